import type { Position } from '../events/position.ts';
import type { ReadKeysRequest } from '../topics/protocol.ts';
import type { Configuration } from './configuration.ts';
import type { Core } from './core.ts';
import { wasWanted } from './decisions.ts';
import { SEEK_PAGE, VIEW_CONCURRENCY } from './limits.ts';
import { inParallel } from './parallel.ts';
import type { SeekResult } from './protocol.ts';
import type { LaneRow } from './rows.ts';
import type { Withdrawing } from './withdrawing.ts';

/**
 * Moves live lanes. A seek begins new books: the counters start again from where it leads, with `skipped` for what it
 * dropped or passed over. All targets are resolved before anything moves, so that a refusal changes nothing.
 *
 * @throws if a log can't be reached; nothing has moved then
 */
export async function seek(
  core: Core,
  withdrawing: Withdrawing,
  configuration: Configuration,
  request: { topic: string | null; to: Position },
): Promise<SeekResult> {
  if (!core.present) return { outcome: 'unknown-subscription' };
  const lanes =
    request.topic === null
      ? [...configuration.liveLanes()]
      : [core.sql.liveLane(request.topic)].filter((lane) => lane !== null);
  if (request.topic !== null && lanes.length === 0) return { outcome: 'topic-not-subscribed' };
  if (request.to.kind === 'sequence' && lanes.length > 1) return { outcome: 'topic-required' };

  const targets = await inParallel(lanes, VIEW_CONCURRENCY, async (lane) => ({
    lane,
    answer: await core.ask(lane.topic, (log) => log.resolve(request.to, 'start')),
  }));
  for (const { lane, answer } of targets) {
    if (answer.outcome === 'sequence-expired') return { ...answer, topic: lane.topic };
    if (answer.outcome === 'position-ahead') return { ...answer, topic: lane.topic };
  }
  await inParallel(lanes, VIEW_CONCURRENCY, (lane) => configuration.unpark(lane));

  const topics: { topic: string; cursor: number; skipped: number }[] = [];
  // While what is held is counted nothing more of it is leased.
  core.readingHeld = true;
  try {
    for (const { lane, answer } of targets) {
      if (answer.outcome !== 'resolved') continue;
      const skipped = await seekLane(core, withdrawing, lane.id, answer.sequence);
      if (skipped !== null) topics.push({ topic: lane.topic, cursor: answer.sequence - 1, skipped });
    }
  } finally {
    core.readingHeld = false;
  }
  return { outcome: 'sought', topics };
}

/** Moves one lane; null if it is none any more. @throws if its log can't be reached */
async function seekLane(core: Core, withdrawing: Withdrawing, laneId: number, target: number): Promise<number | null> {
  for (;;) {
    const before = liveLane(core, laneId);
    if (before === null) return null;
    const holds = holdsAsText(core, laneId);
    const held = await heldBelow(core, before, target);
    const skipped = core.tx(() => {
      const lane = liveLane(core, laneId);
      if (lane === null) return null;
      // A settle may have given something back meanwhile, which is then to be counted, too.
      return holdsAsText(core, laneId) === holds ? move(core, withdrawing, lane, target, held) : 'changed';
    });
    if (skipped !== 'changed') return skipped;
  }
}

function liveLane(core: Core, id: number): LaneRow | null {
  const lane = core.sql.lane(id);
  return lane?.status === 'active' || lane?.status === 'attaching' ? lane : null;
}

function holdsAsText(core: Core, laneId: number): string {
  return core.sql.holdCount() === 0
    ? ''
    : JSON.stringify(core.sql.holdsOf(laneId).map(({ key, first }) => [key, first]));
}

/** How many of the events that a lane holds lie below a sequence. @throws if its log can't be reached */
async function heldBelow(core: Core, lane: LaneRow, below: number): Promise<number> {
  if (lane.held === 0 || below >= lane.next) return lane.held;
  let count = 0;
  for (const { key, first } of core.sql.holdsOf(lane.id)) {
    for (let from = first; from < below; ) {
      const read = { key, from, to: below - 1, types: [] };
      const request: ReadKeysRequest = { v: 1, reads: [read], limit: SEEK_PAGE, total: SEEK_PAGE };
      const [answer] = await core.ask(lane.topic, (log) => log.readKeys(request));
      count += answer?.events.filter((event) => wasWanted(core, lane, event)).length ?? 0;
      from = Math.max(from, answer?.examined ?? below) + 1;
    }
  }
  return count;
}

/** Moves one lane to `target`, its first sequence not examined; answers how many deliveries that skips. Only inside `tx`. */
function move(core: Core, withdrawing: Withdrawing, lane: LaneRow, target: number, held: number): number {
  const { sql } = core;
  sql.forgetFrom(lane.topic, Math.min(target, lane.next));
  sql.reopenLetters(lane.topic, lane.id, core.letterVersion());
  const dropped = withdrawing.skipAll(lane, target, held);
  sql.uncountLetters(lane.topic, lane.id);
  const passedOver = Math.max(0, target - lane.next);
  if (passedOver > 0) sql.decide(lane.topic, lane.next, null);
  sql.decide(lane.topic, target, core.document.filter);

  const skipped = dropped + passedOver;
  const none = { delivered: 0, filtered: 0, discarded: 0, dead: 0, failed: 0, in_flight: 0, retrying: 0 };
  sql.setLane(lane.id, { ...none, skipped, origin: target - 1 - skipped, start: target, next: target, parked: null });
  return skipped;
}
