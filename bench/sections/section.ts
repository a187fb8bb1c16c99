import type { Hub } from '../hub.ts';
import type { Receiver } from '../receiver.ts';
import type { Running } from '../runtime.ts';
import type { Row } from '../table.ts';

/** What every section of the bench gets. */
export interface Bench {
  hub: Hub;
  floor: Running;
  receiver: Receiver;
  /** Fewer and shorter rounds. */
  quick: boolean;
  /** Adds a row to the table. */
  row(row: Row): void;
}

export interface Section {
  name: string;
  run(bench: Bench): Promise<void>;
}
