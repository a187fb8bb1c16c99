import type { Core } from './core.ts';
import { FIRST_RESEND_MS, OBSTACLE_WAIT_MAX_MS } from './limits.ts';
import type { DeliveryOutcome } from './protocol-claims.ts';

/**
 * What stands in the way of all deliveries and is no failure of the receiver: its name can't be looked up. No attempt is
 * spent and nothing else changes, but the events wait longer the longer it lasts, and the subscription says why.
 */

/** Notes what a settle says of it. An attempt that was made, however it went, is the end of it. Only inside `tx`. */
export function noteObstacle(core: Core, outcomes: readonly DeliveryOutcome[]): void {
  const row = core.row;
  if (!row) return;
  const attempted = outcomes.some(({ kind }) => kind === 'delivered' || kind === 'failed');
  const told = outcomes.flatMap((outcome) => (outcome.kind === 'released' ? (outcome.obstacle ?? []) : [])).at(-1);
  if (told === undefined && !(attempted && row.obstacle !== null)) return;
  const since = attempted ? null : row.obstacle_since;
  core.setRow({ obstacle: told ?? null, obstacle_since: told === undefined ? null : (since ?? core.now()) });
}

/** How long a lease that met it waits until it is sent again, milliseconds: as long as it has lasted, from 5 s to 5 min. */
export function obstacleWait(core: Core): number {
  const since = core.row?.obstacle_since ?? null;
  const lasted = since === null ? 0 : core.now() - since;
  return Math.min(Math.max(lasted, FIRST_RESEND_MS), OBSTACLE_WAIT_MAX_MS);
}
