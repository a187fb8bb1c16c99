import { deadLetterId } from '../events/ids.ts';
import { orderingKey } from '../events/ordering-key.ts';
import { judge } from '../expressions/filter.ts';
import type { LogEvent, Standing } from '../topics/protocol.ts';
import type { Attempts } from './attempts.ts';
import { type Configuration, etag } from './configuration.ts';
import type { Core } from './core.ts';
import { isHeld } from './decisions.ts';
import type { SubscriptionFilter } from './document.ts';
import { sequencesOf } from './lease-content.ts';
import { VIEW_CONCURRENCY } from './limits.ts';
import { low } from './low.ts';
import { inParallel } from './parallel.ts';
import type { DeliveryView, SubscriptionStatus, SubscriptionView, TopicStanding } from './protocol-views.ts';
import type { Receiver } from './receiver.ts';
import type { ExceptionRow, LaneRow, LetterRow } from './rows.ts';
import type { StatKeeping } from './stat-keeping.ts';
import { attempted, lastDay, lastHour, percentile, successRate } from './stats.ts';

/** A lane and its log, of one moment; of a log that does not answer, what is known of it here. */
interface LaneStanding {
  lane: LaneRow;
  isKnown: boolean;
  lastSequence: number;
  /** Not examined. */
  waiting: number;
  /** Passed by a park that nothing has ended: filtered, though the lane's row does not say so yet. */
  passed: number;
  cursor: number;
  /** When the first event above the cursor was recorded; null: there is none, or the log does not say. */
  behindSince: number | null;
}

/** What the subscription says of itself. */
export class Views {
  readonly #core: Core;
  readonly #configuration: Configuration;
  readonly #attempts: Attempts;
  readonly #stats: StatKeeping;
  readonly #receiver: Receiver;

  constructor(core: Core, configuration: Configuration, attempts: Attempts, stats: StatKeeping, receiver: Receiver) {
    this.#core = core;
    this.#configuration = configuration;
    this.#attempts = attempts;
    this.#stats = stats;
    this.#receiver = receiver;
  }

  /** Asks each log where it stands, then puts that together with the rows as they are at that moment. */
  async #standings(): Promise<LaneStanding[]> {
    const { name } = this.#core.ports;
    const asked = await inParallel([...this.#configuration.liveLanes()], VIEW_CONCURRENCY, async (lane) => ({
      id: lane.id,
      standing: await this.#core.ask(lane.topic, (log) => log.standing(name, low(this.#core, lane))).catch(() => null),
    }));
    const standings: LaneStanding[] = [];
    for (const { id, standing } of asked) {
      const lane = this.#core.sql.lane(id);
      if (lane && lane.status !== 'removed') standings.push(this.#standing(lane, standing));
    }
    return standings;
  }

  #standing(lane: LaneRow, standing: Standing | null): LaneStanding {
    const examined = lane.next - 1;
    if (standing === null) {
      const cursor = low(this.#core, lane) - 1;
      return { lane, isKnown: false, lastSequence: examined, waiting: 0, passed: 0, cursor, behindSince: null };
    }
    const lastSequence = Math.max(standing.lastSequence, examined);
    const { parked } = standing;
    // A parked lane has passed everything up to the first event that it is owed, or up to the log's head.
    const asleep = parked !== null && parked.ticket === lane.parked && parked.next === lane.next;
    const passed = asleep ? Math.max(0, (parked.owed ?? lastSequence + 1) - lane.next) : 0;
    const lowest = low(this.#core, lane);
    const cursor = lowest === lane.next ? examined + passed : lowest - 1;
    const behindSince = cursor < lastSequence ? standing.recordedAt : null;
    const waiting = lastSequence - examined - passed;
    return { lane, isKnown: true, lastSequence, waiting, passed, cursor, behindSince };
  }

  /** Null if there is no subscription. */
  async describe(): Promise<SubscriptionView | null> {
    if (!this.#core.present) return null;
    const standings = await this.#standings();
    const present = this.#core.present;
    if (!present) return null;
    const { row, document } = present;
    const totals = this.#core.sql.totals();
    const sum = (of: (standing: LaneStanding) => number) =>
      standings.reduce((total, standing) => total + of(standing), 0);
    const now = this.#core.now();
    const stats = this.#stats.current();
    const [hour, day] = [lastHour(stats, now), lastDay(stats, now)];
    const only = standings.length === 1 ? standings[0] : undefined;
    return {
      name: this.#core.ports.name,
      document,
      etag: etag(present) ?? '',
      status: this.status(),
      reason: this.#reason(),
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      health: this.#receiver.view(),
      unanswered: standings.filter(({ isKnown }) => !isKnown).length,
      lag: sum(({ lastSequence, cursor }) => lastSequence - cursor),
      waiting: sum(({ waiting }) => waiting),
      pending: totals.in_flight + totals.retrying + totals.held,
      inFlight: totals.in_flight,
      retrying: totals.retrying,
      held: totals.held,
      delivered: totals.delivered,
      failed: totals.failed,
      dead: totals.dead,
      filtered: totals.filtered + sum(({ passed }) => passed),
      skipped: totals.skipped,
      discarded: totals.discarded,
      deaths: JSON.parse(row.deaths) as Record<string, number>,
      cursor: only?.cursor ?? null,
      lagMs: lagMs(standings, now),
      latency: { p50: percentile(hour, 0.5), p99: percentile(hour, 0.99) },
      successRate: { hour: successRate(hour), day: successRate(day) },
      attempted: { hour: attempted(hour), day: attempted(day) },
    };
  }

  status(): SubscriptionStatus {
    const row = this.#core.row;
    if (row?.disabled_reason != null) return 'disabled';
    if (row?.paused) return 'paused';
    if (this.#core.locked !== null) return 'error';
    if (row?.consent === 'pending') return 'pending';
    if (row?.obstacle != null) return 'error';
    return row?.attach_after != null ? 'attaching' : 'active';
  }

  /** Why nothing is delivered, where somebody has to know. */
  #reason(): string | null {
    const row = this.#core.row;
    if (row?.disabled_reason != null) return row.disabled_reason;
    if (row?.paused) return null;
    return this.#core.locked ?? row?.consent_reason ?? row?.obstacle ?? null;
  }

  async topics(): Promise<TopicStanding[] | null> {
    if (!this.#core.present) return null;
    return (await this.#standings()).map(({ lane, isKnown, lastSequence, cursor }) => ({
      topic: lane.topic,
      status: lane.status === 'attaching' ? 'attaching' : 'active',
      cursor,
      lastSequence: isKnown ? lastSequence : null,
      lag: isKnown ? lastSequence - cursor : null,
      pending: lane.in_flight + lane.retrying + lane.held,
    }));
  }

  /** What became of one event here, traced to its attempts. What a replay does with it is the replay's to say. */
  delivery(topic: string, event: LogEvent): DeliveryView {
    const { sql } = this.#core;
    const { sequence } = event;
    const letter = sql.letter(topic, sequence);
    const recorded = this.#attempts.newestOf(topic, sequence, (attempt) => attempt.replay === null);
    const base: DeliveryView = {
      status: 'not-subscribed',
      attempts: recorded?.attempt ?? 0,
      lastStatus: recorded?.status ?? null,
      lastError: recorded?.error ?? null,
      nextAttemptAt: null,
      settledAt: null,
      deadLetter: letter?.state === 'open' ? deadLetterId(this.#core.ports.name, topic, sequence) : null,
    };
    if (!this.#core.present) return base;
    const lane = sql.countingLane(topic);
    const exception = (lane && sql.exception(lane.id, sequence)) ?? this.#redriven(letter);
    if (exception) return this.#excepted(base, exception);
    if (!lane) return base;
    const lease = sql.leasesOf(lane.id).find((candidate) => sequencesOf(candidate).includes(sequence));
    if (lease) return { ...base, status: lease.token !== null ? 'delivering' : 'pending' };
    if (sequence >= lane.next && lane.status !== 'removed')
      return { ...base, status: isFiltered(this.#core.document.filter, event) ? 'filtered' : 'pending' };
    const buried = letter && this.#buried(base, letter, lane);
    if (buried) return buried;
    if (isHeld(this.#core, lane, event)) return { ...base, status: 'held' };
    return sequence >= lane.next ? base : this.#settled(base, topic, event);
  }

  /** The delivery that a letter came back to, unless what it died in was a replay. */
  #redriven(letter: LetterRow | null): ExceptionRow | null {
    if (letter?.state !== 'redriven' || letter.replayed || letter.lane === null) return null;
    return this.#core.sql.exception(letter.lane, letter.sequence);
  }

  /** Retrying, or redriven. */
  #excepted(base: DeliveryView, exception: ExceptionRow): DeliveryView {
    const lease = exception.lease === null ? null : this.#core.sql.lease(exception.lease);
    const waiting = exception.attempts > 0 ? 'retrying' : 'pending';
    const isUnderWay = lease?.token != null;
    return {
      ...base,
      status: isUnderWay ? 'delivering' : waiting,
      attempts: exception.attempts,
      lastStatus: exception.last_status,
      lastError: exception.last_error,
      nextAttemptAt: isUnderWay ? null : exception.due,
    };
  }

  /** Dead or discarded, unless that was the affair of a replay, or of former books: the lane has passed the event since. */
  #buried(base: DeliveryView, letter: LetterRow, lane: LaneRow): DeliveryView | null {
    if (letter.lane === null && letter.sequence >= lane.start) return null;
    if (letter.replayed || (letter.state !== 'open' && letter.state !== 'discarded')) return null;
    return {
      ...base,
      status: letter.state === 'open' ? 'dead' : 'discarded',
      attempts: letter.attempts,
      lastStatus: letter.last_status,
      lastError: letter.last_error,
      settledAt: letter.discarded_at ?? letter.died_at,
      deadLetter: deadLetterId(this.#core.ports.name, letter.topic, letter.sequence),
    };
  }

  /** What was decided when the lane passed it. */
  #settled(base: DeliveryView, topic: string, event: LogEvent): DeliveryView {
    const { sql } = this.#core;
    const { sequence, json } = event;
    const decided = sql.decided(topic, sequence);
    if (!decided) return base;
    if (decided.filter === null) return { ...base, status: 'skipped' };
    // Of a key that was held what does not match was passed like anything else.
    if (isFiltered(JSON.parse(decided.filter) as SubscriptionFilter, event)) return { ...base, status: 'filtered' };
    if (sql.isSkipped(topic, sequence, orderingKey(json))) return { ...base, status: 'skipped' };
    // A replay's letter that was redriven and failed has newer attempts than the one that was taken.
    const taken = this.#attempts.newestOf(
      topic,
      sequence,
      ({ replay, outcome }) => replay === null && outcome === 'delivered',
    );
    return {
      ...base,
      status: 'delivered',
      attempts: Math.max(1, base.attempts),
      lastStatus: taken?.status ?? null,
      lastError: null,
      settledAt: taken ? taken.at + taken.latencyMs : null,
    };
  }
}

/** How old the oldest event is that is neither settled nor filtered; 0: none is, null: no log says. */
function lagMs(standings: LaneStanding[], now: number): number | null {
  if (standings.every(({ cursor, lastSequence }) => cursor === lastSequence)) return 0;
  const since = standings.map(({ behindSince }) => behindSince).filter((moment) => moment !== null);
  return since.length === 0 ? null : Math.max(0, now - Math.min(...since));
}

/** What a filter fails on isn't filtered: it becomes a dead letter, and may be redriven. */
function isFiltered(filter: SubscriptionFilter, { json }: LogEvent): boolean {
  return judge(filter, json).verdict.kind === 'no-match';
}
