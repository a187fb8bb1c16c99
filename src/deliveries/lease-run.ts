import { traceIdOf, traceIn } from '../events/trace.ts';
import type { Clock, Log } from '../platform.ts';
import { CLAIM_LIFE_MS, LEASE_WORK_MS, POOL_SIZE } from '../subscriptions/limits.ts';
import { pushesBack } from '../subscriptions/pressure.ts';
import type { SubscriptionApi } from '../subscriptions/protocol.ts';
import type { Claim, ClaimedEvent, DeliveryOutcome, NextLease } from '../subscriptions/protocol-claims.ts';
import { canStart, Pace, type Slot } from './pace.ts';
import { Timeouts } from './timeouts.ts';
import type { Part, Run, Way } from './way.ts';

/** A claimed lease on its way: what is started when, renewed and settled, whichever way it goes. */

export type LeaseHolder = Pick<SubscriptionApi, 'claim' | 'settle'>;

export interface LeasePorts {
  clock: Clock;
  log: Log;
}

type FailedOutcome = Extract<DeliveryOutcome, { kind: 'failed' }>;

/** A settle that throws is repeated after each of these. */
const SETTLE_RETRIES_MS = [100, 500, 2_000];
/** A settle without an answer for this long counts as thrown. */
const SETTLE_TIMEOUT_MS = 5_000;

/**
 * Why nothing more of a lease is started:
 * - `fenced`: it is someone else's now; nothing is to be reported either
 * - `gone`: the receiver answered 410
 * - `halted`: the subscription was paused or disabled since
 * - `missed`: its rate slots are over
 * - `obstructed`: something stands in the way of all that is no doing of the receiver
 * - `overdue`: the time for a lease is used up
 * - `pushed-back`: the receiver says that it is asked too much
 * - `unrenewed`: the Subscription was not reached for as long as a claim lives, so it may be someone else's
 */
type Stop = 'fenced' | 'gone' | 'halted' | 'missed' | 'obstructed' | 'overdue' | 'pushed-back' | 'unrenewed';

export interface ClaimedLease extends NextLease {
  /** When its claim was asked for. */
  claimedAt: number;
}

/** One claimed lease. A single loop starts the requests, another renews; they meet in the fields below. */
export class LeaseRun {
  readonly #lease: number;
  readonly #claim: Claim;
  readonly #way: Way;
  readonly #holder: LeaseHolder;
  readonly #ports: LeasePorts;
  readonly #pace: Pace;
  /** Not settled yet. */
  #outcomes: DeliveryOutcome[] = [];
  #failed = 0;
  #firstFailed: { event: ClaimedEvent; outcome: FailedOutcome } | null = null;
  readonly #inFlight = new Set<Promise<void>>();
  /** Wakes whoever waits for a slot. */
  #slotFree = () => {};
  #stop: Stop | null = null;
  readonly #stopped = Promise.withResolvers<void>();
  #hasReleased = false;
  readonly #released = Promise.withResolvers<void>();
  #renewedAt: number;
  /** Is another lease wanted, once this one is settled? */
  readonly #goesOn: () => boolean;
  #next: ClaimedLease | null = null;

  /** @param goesOn would its claimer go on with another? Asked when all of this one is done. */
  constructor(
    { lease, claim, claimedAt }: ClaimedLease,
    way: Way,
    holder: LeaseHolder,
    goesOn: () => boolean,
    ports: LeasePorts,
  ) {
    this.#lease = lease;
    this.#claim = claim;
    this.#way = way;
    this.#renewedAt = claimedAt;
    this.#holder = holder;
    this.#goesOn = goesOn;
    this.#ports = ports;
    const starts = way.runs.flat().map(([first]) => first.notBefore);
    this.#pace = new Pace(starts, claim.slotLifeMs);
  }

  /** Answers the lease to go on with, which its Subscription has claimed for it; null: there is none, or none is wanted. */
  async run(): Promise<ClaimedLease | null> {
    // A timer rather than a comparison of times: a clock that is corrected must not stretch it. Once this is done it holds
    // nothing of it, though the invocation goes on.
    const done = new Timeouts(this.#ports.clock, LEASE_WORK_MS).start(() => this.#stopStarting('overdue'));
    const { end } = this.#pace;
    if (end !== null)
      this.#ports.clock.sleep(end + 1 - this.#ports.clock.now()).then(() => this.#stopStarting('missed'));
    const sent = this.#sendAll();
    await Promise.all([sent, this.#renewUntil(sent)]);
    if (this.#outcomes.length > 0) await this.#settle(this.#stop === null && this.#goesOn());
    this.#tellFailures();
    done();
    return this.#next;
  }

  async #sendAll(): Promise<void> {
    const { runs } = this.#way;
    for (const [index, run] of runs.entries()) {
      await this.#untilFree();
      // A look-up may take seconds: they must not lie between the next lines and the request.
      await this.#way.ready();
      const slot = await this.#rateSlot();
      if (!this.#mayStart()) {
        this.#release(runs.slice(index).flat(2));
        break;
      }
      this.#start(run, slot);
    }
    await Promise.all(this.#inFlight);
  }

  /** What can't be started goes back: at once, where that is because this lease has come to its end. */
  #release(events: readonly ClaimedEvent[]): void {
    const missed = this.#stop === 'missed' ? { missed: true as const } : {};
    for (const { topic, sequence } of events) this.#outcomes.push({ kind: 'released', topic, sequence, ...missed });
    if (this.#stop !== null && events.length > 0) this.#settleSoon();
  }

  #settleSoon(): void {
    this.#hasReleased = true;
    this.#released.resolve();
  }

  async #untilFree(): Promise<void> {
    while (this.#inFlight.size >= POOL_SIZE && this.#stop === null) {
      // Not a race of all that is under way: that grows with each event of the lease.
      await new Promise<void>((resolve) => {
        this.#slotFree = resolve;
      });
    }
  }

  /** Waits for the next rate slot that can be used; null: there is no limit, or nothing more is started. */
  async #rateSlot(): Promise<Slot | null> {
    const { clock } = this.#ports;
    if (this.#pace.end === null) return null;
    for (;;) {
      const slot = this.#pace.take(clock.now());
      if (slot === null) this.#stopStarting('missed');
      while (this.#stop === null && slot !== null && clock.now() < slot.from && canStart(slot, clock.now())) {
        await Promise.race([clock.sleep(slot.from - clock.now()), this.#stopped.promise]);
      }
      if (this.#stop !== null || slot === null) return null;
      if (canStart(slot, clock.now())) return slot;
    }
  }

  #mayStart(): boolean {
    if (this.#ports.clock.now() - this.#renewedAt > CLAIM_LIFE_MS) this.#stopStarting('unrenewed');
    return this.#stop === null;
  }

  #start(run: Run, slot: Slot | null): void {
    const sent = this.#send(run, slot).then(() => {
      this.#inFlight.delete(sent);
      this.#slotFree();
    });
    this.#inFlight.add(sent);
  }

  /** One part after the other, up to the first that fails; the first may start at once, in its slot if there is one. */
  async #send(run: Run, first: Slot | null): Promise<void> {
    let slot = first;
    for (const [index, part] of run.entries()) {
      if (index > 0) {
        await this.#way.ready();
        slot = await this.#rateSlot();
        if (!this.#mayStart()) return this.#release(run.slice(index).flat());
      }
      const outcomes = await this.#way.send(part, slot);
      for (const outcome of outcomes) this.#note(part, outcome);
      if (outcomes.some(comesAgain)) return this.#release(run.slice(index + 1).flat());
    }
  }

  #note(part: Part, outcome: DeliveryOutcome): void {
    this.#outcomes.push(outcome);
    if (outcome.kind === 'failed') {
      this.#noteFailure(part.find(({ sequence }) => sequence === outcome.sequence) ?? part[0], outcome);
    }
    if (pushesBack(outcome)) this.#stopStarting('pushed-back');
    if (outcome.kind !== 'released') return;
    if (outcome.obstacle === undefined) this.#settleSoon();
    else this.#stopStarting('obstructed');
  }

  #noteFailure(event: ClaimedEvent, outcome: FailedOutcome): void {
    this.#failed += 1;
    this.#firstFailed ??= { event, outcome };
    if (outcome.status === 410) this.#stopStarting('gone');
  }

  /** One line for all that failed, with the first of them: a receiver that is down must not fill the log. */
  #tellFailures(): void {
    if (this.#firstFailed === null) return;
    const { event, outcome } = this.#firstFailed;
    const trace = traceIn(event.json);
    this.#ports.log('warn', 'Deliveries failed.', {
      subscription: this.#claim.subscription,
      lease: this.#lease,
      failed: this.#failed,
      topic: event.topic,
      sequence: event.sequence,
      attempt: event.attempt,
      status: outcome.status,
      error: outcome.error,
      ...(trace !== null && { traceId: traceIdOf(trace) }),
    });
  }

  #stopStarting(why: Stop): void {
    this.#stop ??= why;
    if (why === 'fenced') this.#stop = why;
    this.#stopped.resolve();
    this.#slotFree();
  }

  /** Renews every `renewEveryMs`, and as soon as something is released, so that it goes back at once. */
  async #renewUntil(sent: Promise<void>): Promise<void> {
    let ended = false;
    const end = sent.then(() => {
      ended = true;
    });
    const renewal = () => this.#ports.clock.sleep(this.#claim.renewEveryMs);
    await Promise.race([end, renewal(), this.#released.promise]);
    while (!ended && this.#stop !== 'fenced') {
      const early = this.#hasReleased ? [] : [this.#released.promise];
      await this.#settle();
      await Promise.race([end, renewal(), ...early]);
    }
  }

  /** Reports what there is to report. What can't be reported is kept for the next time. */
  async #settle(goesOn = false): Promise<void> {
    if (this.#stop === 'fenced') return;
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    const { subscription } = this.#claim;
    const lease = this.#lease;
    for (const retryAfter of [...SETTLE_RETRIES_MS, null]) {
      const askedAt = this.#ports.clock.now();
      try {
        const answer = await this.#settleOnce(outcomes, goesOn);
        this.#renewedAt = askedAt;
        if (answer.outcome === 'settled' && answer.next) this.#next = { ...answer.next, claimedAt: askedAt };
        const lost = answer.outcome === 'fenced' || answer.remaining === 0;
        if (lost) this.#stopStarting('fenced');
        else if (answer.outcome === 'settled' && answer.stop) this.#stopStarting('halted');
        if (answer.outcome === 'fenced') {
          this.#ports.log('info', 'A lease was taken away; what it still brought is dropped.', { subscription, lease });
        }
        return;
      } catch (error) {
        if (retryAfter === null) {
          this.#ports.log('warn', 'A lease could not be settled for now.', { subscription, lease, error });
        } else {
          await this.#ports.clock.sleep(retryAfter);
        }
      }
    }
    this.#outcomes = [...outcomes, ...this.#outcomes];
  }

  async #settleOnce(outcomes: DeliveryOutcome[], goesOn: boolean) {
    const { token } = this.#claim;
    const request = outcomes.length === 0 ? undefined : this.#way.shared();
    const answer = this.#holder.settle({
      v: 1,
      lease: this.#lease,
      token,
      outcomes,
      ...(request === undefined ? {} : { request }),
      ...(goesOn ? { goesOn } : {}),
    });
    const timeout = this.#ports.clock.sleep(SETTLE_TIMEOUT_MS).then(() => null);
    const settled = await Promise.race([answer, timeout]);
    if (settled !== null) return settled;
    throw new Error(`No answer to a settle within ${SETTLE_TIMEOUT_MS} ms.`);
  }
}

/** What is dead, because no request could be made of it or its consumer rejects it, is nothing that others have to wait for. */
function comesAgain(outcome: DeliveryOutcome): boolean {
  return outcome.kind === 'released' || (outcome.kind === 'failed' && outcome.dead === undefined);
}
