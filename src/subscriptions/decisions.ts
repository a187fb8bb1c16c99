import { headOf, typeMatches } from '../events/filters.ts';
import { orderingKey } from '../events/ordering-key.ts';
import type { LogEvent } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { LaneRow } from './rows.ts';

/**
 * What was decided about the sequences that a lane has passed: by which filter, or that they are skipped. It stands whatever
 * the filter is now, so that what is held is known to be owed.
 */

/** Under which name the decisions about a lane's sequences are kept: its topic, or the replay, which is no topic's name. */
export function decisionsOf(lane: Pick<LaneRow, 'topic' | 'replay'>): string {
  return lane.replay === null ? lane.topic : `replay ${lane.replay}`;
}

/** The type patterns that decided about a sequence of a lane; null: it is skipped. */
export function typesDecided(core: Core, lane: LaneRow, sequence: number): string[] | null {
  const decided = core.sql.decided(decisionsOf(lane), sequence);
  if (decided === null) return core.document.filter.types;
  return decided.types === null ? null : (JSON.parse(decided.types) as string[]);
}

/** Whether an event that a lane has passed was to be delivered. */
export function wasWanted(core: Core, lane: LaneRow, { sequence, json }: LogEvent): boolean {
  const types = typesDecided(core, lane, sequence);
  const { type } = headOf(json);
  return types !== null && typeMatches(types, type) && typeMatches(ownTypes(lane), type);
}

/** A replay's own filter. */
export function ownTypes(lane: LaneRow): string[] {
  return JSON.parse(lane.types) as string[];
}

/** A new filter decides from the lane's `next` on. Only inside `tx`. */
export function decideFrom(core: Core, lane: LaneRow, before: string[], types: string[]): void {
  const { sql } = core;
  const name = decisionsOf(lane);
  sql.forgetFrom(name, lane.next);
  if (sql.decided(name, lane.start) === null && lane.next > lane.start)
    sql.decide(name, lane.start, JSON.stringify(before));
  sql.decide(name, lane.next, JSON.stringify(types));
}

/** Does an event below the lane's `next` wait behind its key? */
export function isHeld(core: Core, lane: LaneRow, event: LogEvent): boolean {
  const key = lane.held === 0 || event.sequence >= lane.next ? null : orderingKey(event.json);
  const hold = key === null ? null : core.sql.hold(lane.id, key);
  return hold !== null && event.sequence >= hold.first && wasWanted(core, lane, event);
}
