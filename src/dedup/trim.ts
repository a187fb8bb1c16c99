import { trimAudit } from '../access/audit.ts';
import { trimRevocations } from '../access/keys.ts';
import type { Database, Log } from '../platform.ts';
import { trimIdempotency } from './idempotency.ts';

/** Batches of each kind in one run. One run a minute forgets up to 20,000 answers; more wait for the next. */
const BATCHES_MAX = 20;

/** The cron's part in keeping D1 small: forgets what has outlived its use. Never throws; D1's failures are logged. */
export async function trim({ db, now, log }: { db: Database; now: () => number; log: Log }): Promise<void> {
  for (const forget of [trimIdempotency, trimRevocations, trimAudit]) {
    try {
      for (let batch = 0; batch < BATCHES_MAX && (await forget(db, now())) > 0; batch += 1);
    } catch (error) {
      log('error', 'D1 could not be trimmed.', { error });
    }
  }
}
