import type { Position } from '../events/position.ts';
import type { Core } from './core.ts';
import type { RateLimit } from './document.ts';
import { ownFilter } from './filtering.ts';
import type { Notices } from './notices.ts';
import type { StartReplayRequest, StartReplayResult } from './protocol.ts';
import type { ReplayView } from './protocol-views.ts';
import { cursorOf } from './rate.ts';
import type { LaneRow } from './rows.ts';
import type { Withdrawing } from './withdrawing.ts';

/** Replays: lanes with an end, beside the live one. */
export class Replays {
  readonly #core: Core;
  readonly #withdrawing: Withdrawing;
  readonly #notices: Notices;

  constructor(core: Core, withdrawing: Withdrawing, notices: Notices) {
    this.#core = core;
    this.#withdrawing = withdrawing;
    this.#notices = notices;
  }

  /** Idempotent by id. @throws if the log can't be reached */
  async start(request: StartReplayRequest): Promise<StartReplayResult> {
    if (!this.#core.present) return { outcome: 'unknown-subscription' };
    if (!this.#core.sql.liveLane(request.topic)) return { outcome: 'topic-not-subscribed' };
    const present = this.view(request.id);
    if (present) return { outcome: 'started', replay: present };
    const resolve = (position: Position, as: 'start' | 'end') =>
      this.#core.ask(request.topic, (log) => log.resolve(position, as));
    const from = await resolve(request.from, 'start');
    if (from.outcome === 'position-ahead') return { ...from, end: 'from' };
    if (from.outcome === 'sequence-expired') return from;
    const to = await resolve(request.to ?? { kind: 'sequence', sequence: from.lastSequence }, 'end');
    if (to.outcome === 'position-ahead') return { ...to, end: 'to' };
    // A range that ends before the first retained event is empty rather than expired only if nobody asked for it.
    if (to.outcome === 'sequence-expired' && request.to !== null) return { outcome: 'invalid-range' };
    const last = to.outcome === 'resolved' ? to.sequence : from.sequence - 1;
    if (request.to !== null && last < from.sequence) return { outcome: 'invalid-range' };

    const created = this.#core.tx(() => {
      const live = this.#core.sql.liveLane(request.topic);
      if (!live || !this.#core.present) return false;
      if (this.#core.sql.replayLane(request.id)) return true;
      const empty = last < from.sequence;
      const now = this.#core.now();
      const lane = this.#core.sql.addLane({
        topic: request.topic,
        replay: request.id,
        status: empty ? 'done' : 'active',
        attachment: live.attachment,
        exact: 0,
        origin: from.sequence - 1,
        start: from.sequence,
        next: from.sequence,
        until: empty ? from.sequence - 1 : last,
        parked: null,
        types: JSON.stringify(request.filter.types),
        cel: request.filter.cel,
        rate_count: request.rateLimit?.count ?? null,
        rate_span: request.rateLimit?.spanMs ?? null,
        rate_cursor: 0,
        created_at: now,
        ended_at: empty ? now : null,
        error: null,
        mirrored: 0,
      });
      if (empty) tellReplayEnded(this.#core, this.#notices, lane);
      return true;
    });
    const replay = this.view(request.id);
    return created && replay ? { outcome: 'started', replay } : { outcome: 'topic-not-subscribed' };
  }

  view(id: string): ReplayView | null {
    const lane = this.#core.sql.replayLane(id);
    return lane ? replayView(lane, this.#core.ports.name) : null;
  }

  change(id: string, rateLimit: RateLimit | null): ReplayView | null {
    const lane = this.#core.sql.replayLane(id);
    if (!lane) return null;
    this.#core.tx(() =>
      this.#core.sql.setLane(lane.id, {
        rate_count: rateLimit?.count ?? null,
        rate_span: rateLimit?.spanMs ?? null,
        rate_cursor: cursorOf(lane.rate_cursor, limitOf(lane), rateLimit),
      }),
    );
    return this.view(id);
  }

  /** False if there is no such replay. One that has ended stays as it is. */
  cancel(id: string): boolean {
    const lane = this.#core.sql.replayLane(id);
    if (lane?.status === 'active') this.#core.tx(() => this.#withdrawing.endReplay(lane, 'cancelled', null));
    return lane !== null;
  }

  /** Tells the catalogue of a replay it does not know; false if there is none. @throws if D1 fails */
  async mirror(): Promise<boolean> {
    const lane = this.#core.sql.unmirrored();
    if (!lane?.replay) return false;
    const { name, catalog } = this.#core.ports;
    await catalog.putReplay({ id: lane.replay, subscription: name, topic: lane.topic, createdAt: lane.created_at });
    this.#core.tx(() => this.#core.sql.setLane(lane.id, { mirrored: 1 }));
    return true;
  }
}

/** A replay has come to its end, whatever that was. Only inside `tx`, after its lane says so. */
export function tellReplayEnded(core: Core, notices: Notices, laneId: number): void {
  const lane = core.sql.lane(laneId);
  if (!lane) return;
  const { id, subscription, topic, status, from, to, total, delivered, failed, filtered, remaining, error } =
    replayView(lane, core.ports.name);
  if (status === 'running') return;
  notices.add(`millrace.replay.${status}`, {
    subscription,
    topic,
    replay: id,
    from,
    to,
    total,
    delivered,
    failed,
    filtered,
    remaining,
    error,
  });
}

function replayView(lane: LaneRow, subscription: string): ReplayView {
  const to = lane.until ?? lane.start - 1;
  const total = to - lane.start + 1;
  const status = lane.status;
  return {
    id: lane.replay ?? '',
    topic: lane.topic,
    subscription,
    status: status === 'done' || status === 'cancelled' || status === 'failed' ? status : 'running',
    from: lane.start,
    to,
    filter: ownFilter(lane),
    rateLimit: limitOf(lane),
    total,
    delivered: lane.delivered,
    failed: lane.dead,
    filtered: lane.filtered,
    remaining: total - lane.delivered - lane.dead - lane.filtered,
    createdAt: lane.created_at,
    endedAt: lane.ended_at,
    error: lane.error,
  };
}

function limitOf(lane: LaneRow): RateLimit | null {
  const { rate_count: count, rate_span: spanMs } = lane;
  return count === null || spanMs === null ? null : { count, spanMs };
}
