import type { Attempts } from './attempts.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { type Leases, sequencesOf, untried } from './leases.ts';
import { CLAIM_LIFE_MS } from './limits.ts';
import { noteObstacle, obstacleWait } from './obstacle.ts';
import type { DeliveryOutcome, SettleRequest, SettleResult } from './protocol.ts';
import { effectiveRate } from './rate.ts';
import type { Receiver } from './receiver.ts';
import { retryDelay } from './retry.ts';
import type { LaneChange, LaneRow, LeaseRow } from './rows.ts';
import type { Throttle } from './throttle.ts';

type Attempted = Exclude<DeliveryOutcome, { kind: 'released' }>;
type Failed = Extract<DeliveryOutcome, { kind: 'failed' }>;

interface SettlingParts {
  leases: Leases;
  deaths: Deaths;
  attempts: Attempts;
  receiver: Receiver;
  throttle: Throttle;
  disable: (reason: string) => void;
}

/** Records what became of leases. */
export class Settling {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #attempts: Attempts;
  readonly #receiver: Receiver;
  readonly #throttle: Throttle;
  /** Told of a disabling. */
  readonly #disable: (reason: string) => void;

  constructor(core: Core, parts: SettlingParts) {
    this.#core = core;
    this.#leases = parts.leases;
    this.#deaths = parts.deaths;
    this.#attempts = parts.attempts;
    this.#receiver = parts.receiver;
    this.#throttle = parts.throttle;
    this.#disable = parts.disable;
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
    const held = new Set(sequencesOf(lease));
    const outcomes = request.outcomes.filter(
      (outcome) => outcome.topic === lane.topic && held.delete(outcome.sequence),
    );
    const change: LaneChange = {};
    const sequences = outcomes.map((outcome) => outcome.sequence);
    const lettered = sequences.length > 0 && sql.hasLetters(lane.topic, Math.min(...sequences), Math.max(...sequences));
    const numbers = new Map<number, number>();
    const attempted: Attempted[] = [];
    const released: number[] = [];
    for (const outcome of outcomes) {
      const number = outcome.kind === 'released' ? null : this.#record(lane, lease, outcome, change, lettered);
      if (outcome.kind === 'released' || number === null) released.push(outcome.sequence);
      else {
        attempted.push(outcome);
        numbers.set(outcome.sequence, number);
      }
    }
    sql.moveLane(lane.id, change);
    this.#attempts.record(lane, attempted, numbers);
    this.#receiver.learn(lease, attempted);
    this.#leases.learn(lease, attempted);

    const remaining = [...held];
    if (remaining.length === 0) this.#leases.drop(lease);
    else
      sql.setLease(lease.id, {
        sequences: JSON.stringify(remaining),
        count: remaining.length,
        claims: outcomes.length > 0 ? 0 : lease.claims,
        due: this.#core.now() + CLAIM_LIFE_MS,
      });
    const wasHeld = this.#core.row?.obstacle != null;
    noteObstacle(this.#core, outcomes);
    const again = this.#giveBack(lane, lease, released);
    const missed = outcomes.some((outcome) => outcome.kind === 'released' && outcome.missed === true);
    if (lease.paced && outcomes.length > 0) this.#throttle.learn(missed);
    const isUnpaced = this.#isUnpaced(lease);
    // A consumer that could do nothing at all is not asked again at once, and nobody may claim what isn't running.
    const isTold = attempted.length > 0 || missed || isUnpaced;
    const passes = isTold && this.#core.running && this.#core.row?.obstacle == null;
    // Where an obstacle is gone, all goes out that has waited for that.
    const waiting = passes && wasHeld ? this.#leases.resendAll() : again;
    const send = passes ? waiting : [];
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
    if (attempted.length > 0) this.#core.progressAt = this.#core.now();
    const stop = !this.#core.running || isUnpaced;
    return { result: { outcome: 'settled', remaining: remaining.length, stop }, send };
  }

  /** Applies one outcome; answers which attempt it was, or null if the event goes back without one spent. */
  #record(lane: LaneRow, lease: LeaseRow, outcome: Attempted, change: LaneChange, lettered: boolean): number | null {
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
    // Of several requests that are told 410 at once, the first disables; the others stay where they are.
    if (gone && this.#core.row?.disabled_reason != null) return null;
    add(change, { failed: 1 });
    const tries = (exception?.tries ?? 0) + 1;
    const delay = gone ? null : this.#retryDelay(outcome, tries);
    const firstAttemptAt = exception?.first_attempt_at ?? outcome.at;
    if (delay === null) {
      this.#deaths.die(lane, sequence, gone ? 'gone' : 'exhausted', 'in_flight', {
        attempts,
        lastStatus: outcome.status,
        lastError: outcome.error,
        firstAttemptAt,
        event: exception?.event ?? null,
      });
      if (gone) this.#disable('The receiver answered 410 Gone.');
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
    });
    return attempts;
  }

  #retryDelay(outcome: Failed, tries: number): number | null {
    return retryDelay(this.#core.document.retry, tries, outcome.retryAfterMs, this.#core.ports.random.fraction());
  }

  /** Was it claimed before there was a rate limit? What it has not started then has to wait for slots. */
  #isUnpaced(lease: LeaseRow): boolean {
    const { present } = this.#core;
    return lease.paced === 0 && present !== null && effectiveRate(present) !== null;
  }

  /**
   * What was not attempted goes into a lease again, as far as so many may still be out; where the receiver has pushed back
   * since, the rest waits for its turn. Answers the lease, if there is one.
   */
  #giveBack(lane: LaneRow, lease: LeaseRow, released: number[]): number[] {
    const { sql } = this.#core;
    const { live, replay } = sql.inFlight();
    const over = Math.min(released.length, Math.max(0, live + replay + released.length - this.#core.concurrency));
    const waiting = released.slice(released.length - over);
    if (waiting.length > 0) {
      const now = this.#core.now();
      if (!lease.retry) for (const sequence of waiting) sql.putException(untried(lane.id, sequence));
      sql.postpone(
        lane.id,
        waiting,
        waiting.map(() => now),
      );
      sql.moveLane(lane.id, { in_flight: -over, retrying: over });
    }
    if (over === released.length) return [];
    return [this.#leases.again(lease, released.slice(0, released.length - over), obstacleWait(this.#core))];
  }
}

function add(change: LaneChange, more: LaneChange): void {
  for (const [name, difference] of Object.entries(more) as [keyof LaneChange, number][]) {
    change[name] = (change[name] ?? 0) + difference;
  }
}
