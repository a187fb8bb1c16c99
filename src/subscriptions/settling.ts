import { formatDuration } from '../events/durations.ts';
import type { Attempts } from './attempts.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { health } from './health.ts';
import { columnsOf, contentOf, type Leased, WHOLE_TOPIC } from './lease-content.ts';
import type { Leases } from './leases.ts';
import { CLAIM_LIFE_MS, SLOW_LATENCY_MS } from './limits.ts';
import { noteObstacle, obstacleWait } from './obstacle.ts';
import type { DeliveryOutcome, SettleRequest, SettleResult } from './protocol.ts';
import { retryDelay } from './retry.ts';
import type { LaneChange, LaneRow, LeaseRow } from './rows.ts';
import type { ToldHealth } from './told-health.ts';

type Attempted = Exclude<DeliveryOutcome, { kind: 'released' | 'invalid' }>;
type Invalid = Extract<DeliveryOutcome, { kind: 'invalid' }>;
type Failed = Extract<DeliveryOutcome, { kind: 'failed' }>;

/** What events that went in one request share: the batch they stay in, what it met, and when they are due again. */
interface OneRequest {
  id: number;
  /** Before any of them was settled. */
  wasDisabled: boolean;
  /** For the jitter. */
  fraction: number;
}

/** Records what became of leases. */
export class Settling {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #attempts: Attempts;
  readonly #toldHealth: ToldHealth;

  constructor(core: Core, leases: Leases, deaths: Deaths, attempts: Attempts, toldHealth: ToldHealth) {
    this.#core = core;
    this.#leases = leases;
    this.#deaths = deaths;
    this.#attempts = attempts;
    this.#toldHealth = toldHealth;
  }

  /** Idempotent, and fenced by the claim's token. */
  settle(request: SettleRequest): SettleResult {
    const { result, send } = this.#core.tx(() => this.#settle(request));
    this.#leases.send(send);
    return result;
  }

  #settle(request: SettleRequest): { result: SettleResult; send: number[] } {
    const { sql } = this.#core;
    const lease = sql.lease(request.lease);
    const lane = lease && sql.lane(lease.lane);
    if (!lease || !lane || lease.token !== request.token) return { result: { outcome: 'fenced' }, send: [] };
    const content = new Map(contentOf(lease).map((entry) => [entry.sequence, entry]));
    const open = new Set(content.keys());
    const outcomes = request.outcomes.filter(
      (outcome) => outcome.topic === lane.topic && open.delete(outcome.sequence),
    );
    const change: LaneChange = {};
    const sequences = outcomes.map((outcome) => outcome.sequence);
    const lettered = sequences.length > 0 && sql.hasLetters(lane.topic, Math.min(...sequences), Math.max(...sequences));
    const numbers = new Map<number, number>();
    const attempted: Attempted[] = [];
    const released: Leased[] = [];
    const batch = lease.batch === null ? null : this.#asOne(lease.batch);
    for (const outcome of outcomes) {
      if (outcome.kind === 'invalid') {
        this.#die(lane, lease, outcome);
        continue;
      }
      const entry = content.get(outcome.sequence) ?? { sequence: outcome.sequence, key: null };
      const number =
        outcome.kind === 'released' ? null : this.#record(lane, lease, outcome, entry.key, change, lettered, batch);
      if (outcome.kind === 'released' || number === null) released.push(entry);
      else {
        attempted.push(outcome);
        numbers.set(outcome.sequence, number);
      }
    }
    sql.moveLane(lane.id, change);
    this.#attempts.record(lane, attempted, numbers, request.request ?? null);
    // A batch was one request.
    const requests = batch === null ? attempted : attempted.slice(0, 1);
    this.#updateHealth(lease, requests);
    this.#leases.learn(lease, requests);

    const remaining = [...open].flatMap((sequence) => content.get(sequence) ?? []);
    if (remaining.length === 0) this.#leases.drop(lease);
    else
      sql.setLease(lease.id, {
        ...columnsOf(remaining),
        claims: outcomes.length > 0 ? 0 : lease.claims,
        due: this.#core.now() + CLAIM_LIFE_MS,
      });
    // What stands behind an attempt that failed, or is under way still.
    const failed = attempted
      .filter(({ kind }) => kind === 'failed')
      .flatMap(({ sequence }) => content.get(sequence) ?? []);
    const behind = new Set([...remaining, ...failed].map(({ key }) => key));
    const wasHeld = this.#core.row?.obstacle != null;
    noteObstacle(this.#core, outcomes);
    const again = this.#leases.giveBack(lease, released, (key) => behind.has(key), obstacleWait(this.#core));
    // A consumer that could do nothing at all is not asked again at once, and nobody may claim what isn't running.
    const didSomething = outcomes.length > released.length;
    const passes = didSomething && this.#core.running && this.#core.row?.obstacle == null;
    // Where an obstacle is gone, all goes out that has waited for that.
    const waiting = passes && wasHeld ? this.#leases.resendAll() : again;
    const send = passes ? waiting : [];
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
    if (didSomething) this.#core.progressAt = this.#core.now();
    return { result: { outcome: 'settled', remaining: remaining.length, stop: !this.#core.running }, send };
  }

  #asOne(id: number): OneRequest {
    return { id, wasDisabled: this.#core.row?.disabled_reason != null, fraction: this.#core.ports.random.fraction() };
  }

  /** Applies one outcome; answers which attempt it was, or null if the event goes back without one spent. */
  #record(
    lane: LaneRow,
    lease: LeaseRow,
    outcome: Attempted,
    key: string | null,
    change: LaneChange,
    lettered: boolean,
    batch: OneRequest | null,
  ): number | null {
    const { sql } = this.#core;
    const { sequence } = outcome;
    const exception = lease.retry ? sql.exception(lane.id, sequence) : null;
    const attempts = (exception?.attempts ?? 0) + 1;
    if (outcome.kind === 'delivered') {
      if (exception) sql.deleteException(lane.id, sequence);
      add(change, { in_flight: -1, delivered: 1 });
      if (lettered) this.#deaths.delivered(lane, sequence);
      return attempts;
    }
    const gone = outcome.status === 410 && lease.target_version === this.#core.row?.target_version;
    const isDisabled = this.#core.row?.disabled_reason != null;
    // Of several requests that are told 410 at once, the first disables; the others stay where they are.
    if (gone && (batch?.wasDisabled ?? isDisabled)) return null;
    add(change, { failed: 1 });
    const tries = (exception?.tries ?? 0) + 1;
    const delay = gone ? null : this.#retryDelay(outcome, tries, batch?.fraction ?? this.#core.ports.random.fraction());
    const firstAttemptAt = exception?.first_attempt_at ?? outcome.at;
    if (delay === null) {
      this.#deaths.die(lane, sequence, gone ? 'gone' : 'exhausted', 'in_flight', {
        attempts,
        lastStatus: outcome.status,
        lastError: outcome.error,
        firstAttemptAt,
        event: exception?.event ?? null,
      });
      if (gone && !isDisabled) this.#toldHealth.disable('The receiver answered 410 Gone.');
      return attempts;
    }
    add(change, { in_flight: -1, retrying: 1 });
    sql.putException({
      lane: lane.id,
      sequence,
      attempts,
      tries,
      due: this.#core.now() + delay,
      lease: null,
      redriven: exception?.redriven ?? 0,
      event: exception?.event ?? null,
      first_attempt_at: firstAttemptAt,
      last_status: outcome.status,
      last_error: outcome.error,
      key: exception?.key ?? (key === WHOLE_TOPIC ? null : key),
      batch: batch?.id ?? null,
    });
    return attempts;
  }

  /** No attempt is spent on what would fail each time. */
  #die(lane: LaneRow, lease: LeaseRow, { sequence, error }: Invalid): void {
    const exception = lease.retry ? this.#core.sql.exception(lane.id, sequence) : null;
    this.#deaths.die(lane, sequence, 'invalid', 'in_flight', {
      attempts: exception?.attempts ?? 0,
      lastStatus: exception?.last_status ?? null,
      lastError: error,
      firstAttemptAt: exception?.first_attempt_at ?? null,
      event: exception?.event ?? null,
    });
  }

  #retryDelay(outcome: Failed, tries: number, fraction: number): number | null {
    return retryDelay(this.#core.document.retry, tries, outcome.retryAfterMs, fraction);
  }

  #updateHealth(lease: LeaseRow, attempted: Attempted[]): void {
    const row = this.#core.row;
    // A streak counts for the present url only.
    const counts = row?.disabled_reason === null && lease.target_version === row.target_version;
    if (!row || !counts || attempted.length === 0) return;
    const now = this.#core.now();
    const { maxInFlight, disableAfterMs } = this.#core.document;
    const next = health(row, attempted, {
      now,
      maxInFlight,
      slowLatencyMs: SLOW_LATENCY_MS,
      probedLog: lease.retry === 0 && now >= this.#core.probeAt(now),
    });
    if (Object.entries(next).some(([name, value]) => Reflect.get(row, name) !== value)) this.#core.setRow(next);
    this.#toldHealth.settled(attempted.some(({ kind }) => kind === 'delivered'));
    if (next.streak > 0 && next.failing_since !== null && now - next.failing_since >= disableAfterMs)
      this.#toldHealth.disable(`The receiver has failed for ${formatDuration(disableAfterMs)} without one success.`);
  }
}

function add(change: LaneChange, more: LaneChange): void {
  for (const [name, difference] of Object.entries(more) as [keyof LaneChange, number][]) {
    change[name] = (change[name] ?? 0) + difference;
  }
}
