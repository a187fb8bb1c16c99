import { orderingKey } from '../events/ordering-key.ts';
import { judge } from '../expressions/filter.ts';
import type { LogEvent } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { SubscriptionFilter } from './document.ts';
import { ownFilter } from './filtering.ts';
import type { LaneRow } from './rows.ts';

/**
 * What was decided about the sequences that a lane has passed: by which filter, or that they are skipped. It stands whatever
 * the filter is now, so that what is held is known to be owed.
 */

/** Under which name the decisions about a lane's sequences are kept: its topic, or the replay, which is no topic's name. */
export function decisionsOf(lane: Pick<LaneRow, 'topic' | 'replay'>): string {
  return lane.replay === null ? lane.topic : `replay ${lane.replay}`;
}

/** The filter that decided about a sequence of a lane; null: it is skipped. */
export function filterDecided(core: Core, lane: LaneRow, sequence: number): SubscriptionFilter | null {
  const decided = core.sql.decided(decisionsOf(lane), sequence);
  if (decided === null) return core.document.filter;
  return decided.filter === null ? null : (JSON.parse(decided.filter) as SubscriptionFilter);
}

/** Whether an event that a lane has passed was to be delivered. */
export function wasWanted(core: Core, lane: LaneRow, { sequence, json }: LogEvent): boolean {
  const decided = filterDecided(core, lane, sequence);
  if (decided === null) return false;
  const filters = lane.replay === null ? [decided] : [decided, ownFilter(lane)];
  return filters.every((filter) => judge(filter, json).verdict.kind === 'match');
}

/** A new filter decides from the lane's `next` on. Only inside `tx`. */
export function decideFrom(core: Core, lane: LaneRow, before: SubscriptionFilter, filter: SubscriptionFilter): void {
  const { sql } = core;
  const name = decisionsOf(lane);
  sql.forgetFrom(name, lane.next);
  if (sql.decided(name, lane.start) === null && lane.next > lane.start) sql.decide(name, lane.start, before);
  sql.decide(name, lane.next, filter);
}

/** Does an event below the lane's `next` wait behind its key? */
export function isHeld(core: Core, lane: LaneRow, event: LogEvent): boolean {
  const key = lane.held === 0 || event.sequence >= lane.next ? null : orderingKey(event.json);
  const hold = key === null ? null : core.sql.hold(lane.id, key);
  return hold !== null && event.sequence >= hold.first && wasWanted(core, lane, event);
}
