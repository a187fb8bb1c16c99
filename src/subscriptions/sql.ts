import type { ObjectStorage } from '../platform.ts';
import { laneStatements } from './sql-lanes.ts';
import { leaseStatements } from './sql-leases.ts';
import { recordStatements } from './sql-records.ts';
import { Outbox } from './sql-rows.ts';

/** Every statement on a Subscription's tables (migrations.ts). */
export function statements(storage: ObjectStorage) {
  const outbox = new Outbox();
  return {
    outbox,
    ...laneStatements(storage, outbox),
    ...leaseStatements(storage),
    ...recordStatements(storage, outbox),
  };
}

export type Statements = ReturnType<typeof statements>;
