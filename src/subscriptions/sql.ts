import type { ObjectStorage } from '../platform.ts';
import { Memories } from './memory.ts';
import { exceptionStatements } from './sql-exceptions.ts';
import { holdStatements } from './sql-holds.ts';
import { laneStatements } from './sql-lanes.ts';
import { leaseStatements } from './sql-leases.ts';
import { recordStatements } from './sql-records.ts';

/** Every statement on a Subscription's tables (migrations.ts). */
export function statements(storage: ObjectStorage) {
  const memories = new Memories();
  const lanes = laneStatements(storage, memories);
  return {
    memories,
    ...lanes,
    ...leaseStatements(storage, memories, lanes.lane),
    ...exceptionStatements(storage, memories),
    ...holdStatements(storage, memories),
    ...recordStatements(storage, memories),
  };
}

export type Statements = ReturnType<typeof statements>;
