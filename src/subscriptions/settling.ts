import type { Attempt, Attempted, Attempts } from './attempts.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { tokensAfter } from './late.ts';
import { bySequence, columnsOf, type Leased, type Stray, strayColumn, straysOf } from './lease-content.ts';
import type { Leases } from './leases.ts';
import { CLAIM_LIFE_MS } from './limits.ts';
import { noteObstacle, obstacleWait } from './obstacle.ts';
import type { DeliveryOutcome, SettleRequest, SettleResult } from './protocol-claims.ts';
import { effectiveRate } from './rate.ts';
import type { Receiver } from './receiver.ts';
import { nextTry } from './retry.ts';
import type { LaneChange, LaneRow, LeaseRow } from './rows.ts';
import type { Throttle } from './throttle.ts';
import type { ToldHealth } from './told-health.ts';

type Invalid = Extract<DeliveryOutcome, { kind: 'invalid' }>;

/** What events that went in one request share: the batch they stay in, what it met, and when they are due again. */
interface OneRequest {
  id: number;
  /** Before any of them was settled. */
  wasDisabled: boolean;
  /** For the jitter. */
  fraction: number;
}

/** What a settle has come to. */
interface Applied {
  /** Those that were still open. */
  outcomes: DeliveryOutcome[];
  attempted: Attempted[];
  failed: Leased[];
  released: Leased[];
  remaining: Leased[];
  /** What is none of it any more, and may be under way. */
  strays: Stray[];
}

interface SettlingParts {
  leases: Leases;
  deaths: Deaths;
  attempts: Attempts;
  receiver: Receiver;
  throttle: Throttle;
  toldHealth: ToldHealth;
}

/** Records what became of leases. */
export class Settling {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #deaths: Deaths;
  readonly #attempts: Attempts;
  readonly #receiver: Receiver;
  readonly #throttle: Throttle;
  readonly #toldHealth: ToldHealth;

  constructor(core: Core, parts: SettlingParts) {
    this.#core = core;
    this.#leases = parts.leases;
    this.#deaths = parts.deaths;
    this.#attempts = parts.attempts;
    this.#receiver = parts.receiver;
    this.#throttle = parts.throttle;
    this.#toldHealth = parts.toldHealth;
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
    const { outcomes, attempted, failed, released, remaining, strays } = this.#apply(
      lane,
      lease,
      bySequence(lease),
      request,
    );
    // A batch was one request.
    const requests = lease.batch === null ? attempted : attempted.slice(0, 1);
    this.#receiver.learn(lease, requests);
    this.#leases.sizes.learn(lease, requests);
    const underWay = remaining.length + strays.length;
    if (underWay > 0)
      sql.setLease(lease.id, {
        ...columnsOf(remaining),
        ...strayColumn(strays),
        claims: outcomes.length > 0 ? 0 : lease.claims,
        // What is held by ack ids has its own time.
        ...(lease.held_since === null ? { due: this.#core.now() + CLAIM_LIFE_MS } : {}),
      });
    // What stands behind an attempt that failed, or is under way still.
    const behind = new Set([...remaining, ...strays, ...failed].map(({ key }) => key));
    const wasHeld = this.#core.row?.obstacle != null;
    noteObstacle(this.#core, outcomes);
    const again = this.#giveBack(lease, released, behind);
    const missed = outcomes.some((outcome) => outcome.kind === 'released' && outcome.missed === true);
    if (lease.paced && outcomes.length > 0) this.#throttle.learn(missed);
    const isUnpaced = this.#isUnpaced(lease);
    // A consumer that could do nothing at all is not asked again at once, and nobody may claim what isn't running.
    const didSomething = outcomes.length > released.length;
    const isTold = didSomething || missed || isUnpaced;
    const passes = isTold && this.#core.running && this.#core.row?.obstacle == null;
    // Where an obstacle is gone, all goes out that has waited for that.
    const waiting = passes && wasHeld ? this.#leases.resendAll() : again;
    const send = passes ? waiting : [];
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
    // Of a lease of which nothing is left but what may be under way, nothing more is to be started.
    const isOver = remaining.length === 0 && strays.length > 0;
    const stop = !this.#core.running || isUnpaced || isOver;
    return { result: { outcome: 'settled', remaining: underWay, stop }, send };
  }

  /**
   * Records what became of deliveries that are held by ack ids: what is told by these, or that their time has run out. Only
   * inside `tx`.
   */
  settleHeld(lease: LeaseRow, content: ReadonlyMap<number, Leased>, outcomes: DeliveryOutcome[]): void {
    const lane = this.#core.sql.lane(lease.lane);
    if (lane === null) return;
    const { remaining, attempted } = this.#apply(lane, lease, new Map(content), { outcomes });
    this.#receiver.learnHeld(lease, attempted);
    if (remaining.length > 0) this.#core.sql.setLease(lease.id, columnsOf(remaining));
    if (lane.replay !== null) this.#deaths.endIfDone(lane.id);
  }

  /**
   * Records outcomes. A lease of which something remains is the caller's to write.
   *
   * @param open what the lease holds; what remains open stays in it
   */
  #apply(
    lane: LaneRow,
    lease: LeaseRow,
    open: Map<number, Leased>,
    told: Pick<SettleRequest, 'outcomes' | 'request'>,
  ): Applied {
    const { sql } = this.#core;
    const strays = new Map(straysOf(lease).map((stray) => [stray.sequence, stray]));
    const settled: { outcome: DeliveryOutcome; entry: Leased }[] = [];
    const attempts: Attempt[] = [];
    for (const outcome of told.outcomes) {
      if (outcome.topic !== lane.topic) continue;
      const { sequence } = outcome;
      const entry = open.get(sequence);
      const stray = strays.get(sequence);
      open.delete(sequence);
      strays.delete(sequence);
      if (entry !== undefined) settled.push({ outcome, entry });
      else if (stray !== undefined && isAttempt(outcome)) attempts.push({ outcome, number: stray.attempt });
    }
    const change: LaneChange = {};
    const sequences = settled.map(({ entry }) => entry.sequence);
    const lettered = sequences.length > 0 && sql.hasLetters(lane.topic, Math.min(...sequences), Math.max(...sequences));
    const failed: Leased[] = [];
    const released: Leased[] = [];
    const invalid: { outcome: Invalid; entry: Leased }[] = [];
    const batch = lease.batch === null ? null : this.#asOne(lease.batch);
    for (const { outcome, entry } of settled) {
      if (outcome.kind === 'invalid') {
        invalid.push({ outcome, entry });
        continue;
      }
      if (outcome.kind === 'released') {
        released.push(entry);
        continue;
      }
      const number = this.#record(lane, lease, outcome, entry.key, change, lettered, batch);
      attempts.push({ outcome, number });
      if (outcome.kind === 'failed') failed.push(entry);
    }
    // A batch that goes back does so whole: it may be passed anew, and nothing that has died may lie within.
    if (batch !== null && released.length > 0) released.push(...invalid.map(({ entry }) => entry));
    else for (const { outcome } of invalid) this.#die(lane, lease, outcome);
    sql.moveLane(lane.id, change);
    this.#attempts.record(lane, attempts, told.request ?? null);
    if (open.size === 0 && strays.size === 0) this.#leases.drop(lease);
    if (settled.length > released.length) this.#core.progressAt = this.#core.now();
    return {
      outcomes: settled.map(({ outcome }) => outcome),
      attempted: attempts.map(({ outcome }) => outcome),
      failed,
      released,
      remaining: [...open.values()],
      strays: [...strays.values()],
    };
  }

  #asOne(id: number): OneRequest {
    return { id, wasDisabled: this.#core.row?.disabled_reason != null, fraction: this.#core.ports.random.fraction() };
  }

  /** Applies one outcome; answers which attempt it was. */
  #record(
    lane: LaneRow,
    lease: LeaseRow,
    outcome: Attempted,
    key: string | null,
    change: LaneChange,
    lettered: boolean,
    batch: OneRequest | null,
  ): number {
    const { sql } = this.#core;
    const { sequence } = outcome;
    const exception = lease.retry ? sql.exception(lane.id, sequence) : null;
    const attempts = (exception?.attempts ?? 0) + 1;
    if (outcome.kind === 'delivered') {
      if (exception) sql.deleteException(lane.id, sequence);
      add(change, 'in_flight', -1);
      add(change, 'delivered', 1);
      if (lettered) this.#deaths.delivered(lane, sequence, attempts);
      return attempts;
    }
    const isGone = outcome.status === 410 && lease.target_version === this.#core.row?.target_version;
    const isDisabled = this.#core.row?.disabled_reason != null;
    // Of several requests that are told 410 at once, the first disables; the others' events stay, with their schedule whole.
    const stays = isGone && (batch?.wasDisabled ?? isDisabled);
    add(change, 'failed', 1);
    const tries = (exception?.tries ?? 0) + (stays ? 0 : 1);
    const isOver = (isGone && !stays) || outcome.dead !== undefined;
    const fraction = batch?.fraction ?? this.#core.ports.random.fraction();
    const next = stays ? 0 : nextTry(this.#core.document, tries, outcome.retryAfterMs, fraction);
    const delay = isOver ? null : next;
    const firstAttemptAt = exception?.first_attempt_at ?? outcome.at;
    if (delay === null) {
      const reason = isGone ? 'gone' : (outcome.dead ?? 'exhausted');
      this.#deaths.die(lane, sequence, reason, 'in_flight', {
        attempts,
        lastStatus: outcome.status,
        lastError: outcome.error,
        firstAttemptAt,
        event: exception?.event ?? null,
      });
      if (isGone && !isDisabled) this.#toldHealth.disable('The receiver answered 410 Gone.');
      return attempts;
    }
    add(change, 'in_flight', -1);
    add(change, 'retrying', 1);
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
      key: exception?.key ?? key,
      batch: batch?.id ?? null,
      tokens: tokensAfter(this.#core.document.delivery, exception?.tokens ?? null, lease, outcome),
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

  /** Was it claimed before there was a rate limit? What it has not started then has to wait for slots. */
  #isUnpaced(lease: LeaseRow): boolean {
    const { present } = this.#core;
    return lease.paced === 0 && present !== null && effectiveRate(present) !== null;
  }

  /**
   * What was not attempted goes into a lease again, as far as so many may still be out; where the receiver has pushed back
   * since, the rest waits for its turn, a batch as a whole. Answers the lease, if there is one.
   */
  #giveBack(lease: LeaseRow, released: Leased[], behind: ReadonlySet<string | null>): number[] {
    const { live, replay } = this.#core.sql.inFlight();
    const over = Math.max(0, live + replay + released.length - this.#core.concurrency);
    const free = released.filter(({ key }) => key === null);
    const fitting = over > 0 && lease.batch !== null ? 0 : Math.max(0, free.length - over);
    const due = this.#core.now();
    const waiting = new Set(free.slice(fitting));
    this.#leases.postpone(
      lease,
      [...waiting].map((entry) => ({ ...entry, due })),
    );
    const rest = released.filter((entry) => !waiting.has(entry));
    return this.#leases.giveBack(lease, rest, (key) => over > 0 || behind.has(key), obstacleWait(this.#core));
  }
}

/** What was sent is an attempt, whatever it is counted as. */
function isAttempt(outcome: DeliveryOutcome): outcome is Attempted {
  return outcome.kind === 'delivered' || outcome.kind === 'failed';
}

function add(change: LaneChange, counter: keyof LaneChange, difference: number): void {
  change[counter] = (change[counter] ?? 0) + difference;
}
