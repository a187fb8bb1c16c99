import type { Database } from '../platform.ts';

export type DeathReason = 'exhausted' | 'gone' | 'rejected' | 'expired' | 'invalid' | 'consumer';

/** A dead letter as D1 keeps it. Times are milliseconds since the epoch. */
export interface DeadLetter {
  id: string;
  subscription: string;
  topic: string;
  sequence: number;
  /** The whole event, as JSON. */
  event: string;
  reason: DeathReason;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  firstAttemptAt: number | null;
  diedAt: number;
  redrivenAt: number | null;
  resolvedAt: number | null;
  discardedAt: number | null;
  version: number;
}
