import type { Position } from '../events/position.ts';
import type { Configuration } from './configuration.ts';
import type { Core } from './core.ts';
import type { Leases } from './leases.ts';
import { VIEW_CONCURRENCY } from './limits.ts';
import { inParallel } from './parallel.ts';
import type { SeekResult } from './protocol.ts';
import type { LaneRow } from './rows.ts';

/**
 * Moves live lanes. A seek begins new books: the counters start again from where it leads, with `skipped` for what it
 * dropped or passed over. All targets are resolved before anything moves, so that a refusal changes nothing.
 *
 * @throws if a log can't be reached; nothing has moved then
 */
export async function seek(
  core: Core,
  leases: Leases,
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
  core.tx(() => {
    for (const { lane, answer } of targets) {
      const now = core.sql.lane(lane.id);
      const isLive = now?.status === 'active' || now?.status === 'attaching';
      if (answer.outcome !== 'resolved' || !now || !isLive) continue;
      topics.push({
        topic: lane.topic,
        cursor: answer.sequence - 1,
        skipped: move(core, leases, now, answer.sequence),
      });
    }
  });
  return { outcome: 'sought', topics };
}

/** Moves one lane to `target`, its first sequence not examined; answers how many deliveries that skips. Only inside `tx`. */
function move(core: Core, leases: Leases, lane: LaneRow, target: number): number {
  const { sql } = core;
  sql.forgetFrom(lane.topic, Math.min(target, lane.next));
  sql.reopenLetters(lane.topic, lane.id, core.letterVersion());
  const dropped = leases.skipAll(lane, target);
  sql.uncountLetters(lane.topic, lane.id);
  const passedOver = Math.max(0, target - lane.next);
  if (passedOver > 0) sql.decide(lane.topic, lane.next, null);
  sql.decide(lane.topic, target, core.document.filter);

  const skipped = dropped + passedOver;
  const none = { delivered: 0, filtered: 0, discarded: 0, dead: 0, failed: 0, in_flight: 0, retrying: 0 };
  sql.setLane(lane.id, { ...none, skipped, origin: target - 1 - skipped, start: target, next: target, parked: null });
  return skipped;
}
