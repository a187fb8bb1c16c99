import type { Log } from '../platform.ts';
import { CLAIM_LIFE_MS, LEASE_WORK_MS, POOL_SIZE } from '../subscriptions/limits.ts';
import { pushesBack } from '../subscriptions/pressure.ts';
import type {
  ClaimedEvent,
  ClaimResult,
  DeliveryOutcome,
  LeaseMessage,
  SubscriptionApi,
} from '../subscriptions/protocol.ts';
import { canStart, Pace, type Slot } from './pace.ts';
import { Timeouts } from './timeouts.ts';
import { sendWebhook, type WebhookPorts } from './webhook.ts';

/** The queue consumer: claims a lease, sends its events, settles it. It remembers nothing and may die at any moment. */

export type LeaseHolder = Pick<SubscriptionApi, 'claim' | 'settle'>;

export interface ConsumerPorts extends WebhookPorts {
  subscription: (name: string) => LeaseHolder;
  log: Log;
}

type Claimed = Extract<ClaimResult, { outcome: 'claimed' }>;

/** A settle that throws is repeated after each of these. */
const SETTLE_RETRIES_MS = [100, 500, 2_000];
/** A settle without an answer for this long counts as thrown. */
const SETTLE_TIMEOUT_MS = 5_000;

/**
 * Handles one queue message; resolves when the lease is done with. Never throws: what is lost on the way here, its
 * Subscription sends again, so that the message can be acknowledged in any case.
 */
export async function deliverLease(message: unknown, ports: ConsumerPorts): Promise<void> {
  if (!isLeaseMessage(message)) {
    ports.log('error', 'A queue message is no lease of this version and is dropped.', { dropped: message });
    return;
  }
  const { subscription, lease } = message;
  const claimedAt = ports.clock.now();
  let holder: LeaseHolder;
  let claim: ClaimResult;
  try {
    holder = ports.subscription(subscription);
    claim = await holder.claim(lease);
  } catch (error) {
    ports.log('warn', 'A lease could not be claimed; its subscription will send it again.', {
      subscription,
      lease,
      error,
    });
    return;
  }
  if (claim.outcome !== 'claimed') return;
  try {
    await new LeaseRun(message, claim, claimedAt, holder, ports).run();
  } catch (error) {
    ports.log('error', 'A lease was given up; its claim will run out.', { subscription, lease, error });
  }
}

function isLeaseMessage(message: unknown): message is LeaseMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    'v' in message &&
    message.v === 1 &&
    'subscription' in message &&
    typeof message.subscription === 'string' &&
    'lease' in message &&
    Number.isSafeInteger(message.lease)
  );
}

/**
 * Why nothing more of a lease is started:
 * - `fenced`: it is someone else's now; nothing is to be reported either
 * - `gone`: the receiver answered 410
 * - `halted`: the subscription was paused or disabled since
 * - `missed`: its rate slots are over
 * - `overdue`: the time for a lease is used up
 * - `pushed-back`: the receiver says that it is asked too much
 * - `unresolved`: the receiver's name can't be looked up at present
 * - `unrenewed`: the Subscription was not reached for as long as a claim lives, so it may be someone else's
 */
type Stop = 'fenced' | 'gone' | 'halted' | 'missed' | 'overdue' | 'pushed-back' | 'unrenewed' | 'unresolved';

/** One claimed lease. A single loop starts the requests, another renews; they meet in the fields below. */
class LeaseRun {
  readonly #message: LeaseMessage;
  readonly #claim: Claimed;
  readonly #holder: LeaseHolder;
  readonly #ports: ConsumerPorts;
  readonly #timeouts: Timeouts;
  readonly #pace: Pace;
  /** Not settled yet. */
  #outcomes: DeliveryOutcome[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  /** Wakes whoever waits for a slot. */
  #slotFree = () => {};
  #stop: Stop | null = null;
  readonly #stopped = Promise.withResolvers<void>();
  #hasReleased = false;
  readonly #released = Promise.withResolvers<void>();
  #renewedAt: number;

  constructor(message: LeaseMessage, claim: Claimed, claimedAt: number, holder: LeaseHolder, ports: ConsumerPorts) {
    this.#message = message;
    this.#claim = claim;
    this.#renewedAt = claimedAt;
    this.#holder = holder;
    this.#ports = ports;
    this.#timeouts = new Timeouts(ports.clock, claim.target.timeoutMs);
    this.#pace = new Pace(claim);
  }

  async run(): Promise<void> {
    // A timer rather than a comparison of times: a clock that is corrected must not stretch it.
    this.#ports.clock.sleep(LEASE_WORK_MS).then(() => this.#stopStarting('overdue'));
    const { end } = this.#pace;
    if (end !== null)
      this.#ports.clock.sleep(end + 1 - this.#ports.clock.now()).then(() => this.#stopStarting('missed'));
    const sent = this.#sendAll();
    await Promise.all([sent, this.#renewUntil(sent)]);
    if (this.#outcomes.length > 0) await this.#settle();
  }

  async #sendAll(): Promise<void> {
    const { events } = this.#claim;
    let started = 0;
    for (const event of events) {
      await this.#untilFree();
      // A look-up may take seconds: they must not lie between the next lines and the request.
      await this.#ports.guard.check(this.#claim.target.url);
      const slot = await this.#rateSlot();
      if (!this.#mayStart()) break;
      this.#start(event, slot);
      started += 1;
    }
    for (const { topic, sequence } of events.slice(started)) {
      this.#release({ kind: 'released', topic, sequence, ...(this.#stop === 'missed' ? { missed: true } : {}) });
    }
    await Promise.all(this.#inFlight);
  }

  /** Gives an event back, at once. */
  #release(outcome: Extract<DeliveryOutcome, { kind: 'released' }>): void {
    this.#outcomes.push(outcome);
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

  #start(event: ClaimedEvent, slot: Slot | null): void {
    const { subscription, target } = this.#claim;
    const request = sendWebhook(subscription, target, event, this.#ports, this.#timeouts, slot).then((outcome) => {
      this.#inFlight.delete(request);
      if (outcome.kind === 'released') this.#release(outcome);
      else this.#outcomes.push(outcome);
      if (outcome.kind === 'failed' && outcome.status === 410) this.#stopStarting('gone');
      if (outcome.kind === 'released' && outcome.obstacle !== undefined) this.#stopStarting('unresolved');
      if (pushesBack(outcome)) this.#stopStarting('pushed-back');
      this.#slotFree();
    });
    this.#inFlight.add(request);
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
  async #settle(): Promise<void> {
    if (this.#stop === 'fenced') return;
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    const { subscription, lease } = this.#message;
    for (const retryAfter of [...SETTLE_RETRIES_MS, null]) {
      const askedAt = this.#ports.clock.now();
      try {
        const answer = await this.#settleOnce(outcomes);
        this.#renewedAt = askedAt;
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

  async #settleOnce(outcomes: DeliveryOutcome[]) {
    const { token } = this.#claim;
    const answer = this.#holder.settle({ v: 1, lease: this.#message.lease, token, outcomes });
    const timeout = this.#ports.clock.sleep(SETTLE_TIMEOUT_MS).then(() => null);
    const settled = await Promise.race([answer, timeout]);
    if (settled !== null) return settled;
    throw new Error(`No answer to a settle within ${SETTLE_TIMEOUT_MS} ms.`);
  }
}
