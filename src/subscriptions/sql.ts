import type { ObjectStorage } from '../platform.ts';
import { laneStatements } from './sql-lanes.ts';
import { leaseStatements } from './sql-leases.ts';
import { recordStatements } from './sql-records.ts';

/** Every statement on a Subscription's tables (migrations.ts). */
export function statements(storage: ObjectStorage) {
  return { ...laneStatements(storage), ...leaseStatements(storage), ...recordStatements(storage) };
}

export type Statements = ReturnType<typeof statements>;
