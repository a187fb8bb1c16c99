import type { Core } from './core.ts';
import { firstOf } from './lease-content.ts';
import type { LaneRow } from './rows.ts';

/** The lowest sequence neither settled nor filtered, redriven letters aside; the lane's cursor is one less. */
export function low(core: Core, lane: LaneRow): number {
  const { sql } = core;
  const fresh = sql.leasesOf(lane.id).filter(({ retry, count }) => retry === 0 && count > 0);
  const held = lane.held === 0 ? lane.next : (sql.lowestHeld(lane.id) ?? lane.next);
  return Math.min(lane.next, held, sql.lowestException(lane.id) ?? lane.next, ...fresh.map(firstOf));
}

/** The lowest sequence that the log may still be asked for: D1 may not have the events of dead letters yet. */
export function lowNeeded(core: Core, lane: LaneRow): number {
  const lowest = low(core, core.sql.lane(lane.id) ?? lane);
  return Math.min(lowest, core.sql.firstUnsentLetter(lane.topic) ?? lowest);
}
