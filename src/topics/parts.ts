import type { AlarmClock } from './alarm-clock.ts';
import type { DiskSize } from './disk-size.ts';
import type { Identities } from './identities.ts';
import type { KeyIndex } from './key-index.ts';
import type { LogState } from './log-state.ts';
import type { Parks } from './parks.ts';
import type { TopicLogPorts } from './ports.ts';
import type { Scanner } from './scan.ts';
import type { Statements } from './sql.ts';

/** What the work of a log is done with; all of one object, with one truth in its tables. */
export interface TopicLogParts {
  ports: TopicLogPorts;
  sql: Statements;
  state: LogState;
  size: DiskSize;
  parks: Parks;
  identities: Identities;
  keys: KeyIndex;
  scanner: Scanner;
  alarm: AlarmClock;
  /**
   * Runs a closure in one transaction. What memory holds of the tables is changed after it, in the same turn; after a failure
   * memory is forgotten and read anew.
   *
   * @throws whatever the closure throws; nothing was committed then
   */
  transaction<T>(closure: () => T): T;
}
