import { traceIdOf, traceIn } from '../events/trace.ts';
import type { Log } from '../platform.ts';
import { CLAIM_LIFE_MS, LEASE_WORK_MS, POOL_SIZE } from '../subscriptions/limits.ts';
import { pushesBack } from '../subscriptions/pressure.ts';
import type {
  Claim,
  ClaimedEvent,
  ClaimResult,
  DeliveryOutcome,
  LeaseMessage,
  SubscriptionApi,
  WebhookTarget,
} from '../subscriptions/protocol.ts';
import { canStart, Pace, type Slot } from './pace.ts';
import type { Batch } from './request.ts';
import { Timeouts } from './timeouts.ts';
import { sendBatch, sendWebhook, sharedRequest, type WebhookPorts } from './webhook.ts';

/** The queue consumer: claims a lease, sends its events, settles it. It remembers nothing and may die at any moment. */

export type LeaseHolder = Pick<SubscriptionApi, 'claim' | 'settle'>;

export interface ConsumerPorts extends WebhookPorts {
  subscription: (name: string) => LeaseHolder;
  log: Log;
}

type Claimed = Claim<WebhookTarget>;
type FailedOutcome = Extract<DeliveryOutcome, { kind: 'failed' }>;

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
    await deliverClaim(message, claim, claimedAt, holder, ports);
  } catch (error) {
    ports.log('error', 'A lease was given up; its claim will run out.', { subscription, lease, error });
  }
}

async function deliverClaim(
  message: LeaseMessage,
  claim: Claim,
  claimedAt: number,
  holder: LeaseHolder,
  ports: ConsumerPorts,
): Promise<void> {
  const { target } = claim;
  switch (target.kind) {
    case 'webhook':
      return new LeaseRun(message, { ...claim, target }, claimedAt, holder, ports).run();
    case 'queue':
    case 'service':
      throw new Error(`Nothing delivers to a ${target.kind}.`);
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

/**
 * What is sent one after the other: events with the same key. In the order of their first. Of the format `batch` a lease is
 * one request.
 */
function runsOf({ events, target }: Claimed): Batch[] {
  const runs: [ClaimedEvent, ...ClaimedEvent[]][] = [];
  const byKey = new Map<string | null, ClaimedEvent[]>();
  for (const event of events) {
    const key = target.format === 'batch' ? '' : event.key;
    const run = key === null ? undefined : byKey.get(key);
    if (run !== undefined) {
      run.push(event);
      continue;
    }
    const fresh: [ClaimedEvent, ...ClaimedEvent[]] = [event];
    runs.push(fresh);
    if (key !== null) byKey.set(key, fresh);
  }
  return runs;
}

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
    this.#tellFailures();
  }

  async #sendAll(): Promise<void> {
    const runs = runsOf(this.#claim);
    for (const [index, run] of runs.entries()) {
      await this.#untilFree();
      // A look-up may take seconds: they must not lie between the next lines and the request.
      await this.#ports.guard.check(this.#claim.target.url);
      const slot = await this.#rateSlot();
      if (!this.#mayStart()) {
        this.#release(runs.slice(index).flat());
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

  #start(run: Batch, slot: Slot | null): void {
    const isBatch = this.#claim.target.format === 'batch';
    const sent = (isBatch ? this.#sendBatch(run, slot) : this.#send(run, slot)).then(() => {
      this.#inFlight.delete(sent);
      this.#slotFree();
    });
    this.#inFlight.add(sent);
  }

  /** One after the other, up to the first that fails; the first may start at once, in its slot if there is one. */
  async #send(run: Batch, first: Slot | null): Promise<void> {
    const { subscription, target } = this.#claim;
    let slot = first;
    for (const [index, event] of run.entries()) {
      if (index > 0) {
        await this.#ports.guard.check(target.url);
        slot = await this.#rateSlot();
        if (!this.#mayStart()) return this.#release(run.slice(index));
      }
      const outcome = await sendWebhook(subscription, target, event, this.#ports, this.#timeouts, slot);
      this.#note(event, outcome);
      // What could not even be made into a request is dead: nothing behind it has to wait for that.
      if (outcome.kind === 'failed' || outcome.kind === 'released') return this.#release(run.slice(index + 1));
    }
  }

  async #sendBatch(batch: Batch, slot: Slot | null): Promise<void> {
    const { subscription, target } = this.#claim;
    for (const outcome of await sendBatch(subscription, target, batch, this.#ports, this.#timeouts, slot)) {
      this.#note(batch.find(({ sequence }) => sequence === outcome.sequence) ?? batch[0], outcome);
    }
  }

  #note(event: ClaimedEvent, outcome: DeliveryOutcome): void {
    this.#outcomes.push(outcome);
    if (outcome.kind === 'failed') this.#noteFailure(event, outcome);
    if (pushesBack(outcome)) this.#stopStarting('pushed-back');
    if (outcome.kind !== 'released') return;
    if (outcome.obstacle === undefined) this.#settleSoon();
    else this.#stopStarting('unresolved');
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
      lease: this.#message.lease,
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
    const { token, target } = this.#claim;
    const request = outcomes.length === 0 ? undefined : sharedRequest(target);
    const answer = this.#holder.settle({
      v: 1,
      lease: this.#message.lease,
      token,
      outcomes,
      ...(request === undefined ? {} : { request }),
    });
    const timeout = this.#ports.clock.sleep(SETTLE_TIMEOUT_MS).then(() => null);
    const settled = await Promise.race([answer, timeout]);
    if (settled !== null) return settled;
    throw new Error(`No answer to a settle within ${SETTLE_TIMEOUT_MS} ms.`);
  }
}
