import { formatDuration, parseDuration } from '../events/duration-text.ts';
import { HELD_MAX_MS } from '../events/handing-limits.ts';
import { sleep } from './backoff.ts';
import { type Answer, type Connection, isPassing } from './connection.ts';
import { type Delivery, type EventOf, placeOf } from './delivery.ts';
import { MillraceError } from './errors.ts';
import { atLeastOne } from './numbers.ts';
import { Reject, Retry, reasonOf } from './results.ts';
import { type Settlement, Settling } from './settling.ts';

/** The loop of a program that pulls: takes events, has them handled, and settles each. */

export interface SubscribeOptions {
  /** How many events are handled at a time. 10 by default, 1,000 at most. */
  concurrency?: number;
  /** How long the hub waits for an event before it answers that there is none. `20s` by default. */
  wait?: string;
  /** Stops taking events; the promise resolves once those that are being handled are settled. */
  signal?: AbortSignal;
  /**
   * Told of each handler that threw, and of what could not be settled. By default it goes to `console.error`. What it throws
   * ends the loop, once what is being handled is settled.
   */
  onError?: (error: unknown, delivery: Delivery) => void;
}

/**
 * Deals with one event. Returning acknowledges it. If it throws the event comes again, as the subscription or a `Retry` says;
 * `Reject` makes it a dead letter. `signal` aborts when the event is no longer this worker's to handle.
 */
export type Handler<Data> = (delivery: Delivery<Data>, signal: AbortSignal) => unknown;

type PullRoute = 'POST /v1/subscriptions/{name}/pull';
type Pulled = Answer<PullRoute>['deliveries'][number];

const CONCURRENCY = 10;
const WAIT = '20s';
/** How often a delivery is extended within its deadline. */
const EXTENSIONS_A_DEADLINE = 3;
/** How long a delivery is extended in all: less than the hub lets it be, as clocks differ and a request takes its time. */
const EXTENDED_MAX_MS = HELD_MAX_MS - 60_000;
/** How long it waits at most before it asks again where the hub does not wait, milliseconds. */
const PAUSE_MAX_MS = 1_000;
/** Events in one pull, and ids in one request that settles. */
const PULL_MAX = 1000;

/**
 * Handles a pull subscription's events until `signal` aborts. While a handler works its event is extended. What passes (a hub
 * that can't be reached) is waited for; any other refusal ends it.
 *
 * @throws MillraceError, and what `onError` throws
 */
export async function handlePulled<Data>(
  connection: Connection,
  name: string,
  handler: Handler<Data>,
  options: SubscribeOptions,
): Promise<void> {
  const { wait = WAIT, onError = report } = options;
  /** Ends it all where whoever is told of errors throws one. */
  const broken = new AbortController();
  const signal = options.signal === undefined ? broken.signal : AbortSignal.any([options.signal, broken.signal]);
  const concurrency = Math.min(atLeastOne('concurrency', options.concurrency ?? CONCURRENCY), PULL_MAX);
  const waitMs = parseDuration(wait);
  if (waitMs === null) throw new TypeError(`"${wait}" is no duration such as "20s".`);
  const workshop = new Workshop(connection, name, handler, (error, delivery) => {
    try {
      onError(error, delivery);
    } catch (thrown) {
      broken.abort(thrown);
    }
  });
  try {
    for (let failures = 0, inVain = 0; !signal.aborted; ) {
      const askedAt = Date.now();
      try {
        const { deliveries, ackDeadline } = await connection.call('POST /v1/subscriptions/{name}/pull', {
          params: { name },
          body: { max: concurrency - workshop.size, wait },
          repeatable: true,
          waitMs,
          signal,
        });
        failures = 0;
        workshop.extendWithin(ackDeadline);
        for (const pulled of deliveries) workshop.take(pulled);
        await workshop.below(concurrency);
        // Where more workers ask than the hub lets wait, or it is asked not to wait, it answers at once.
        const atOnce = waitMs === 0 || Date.now() - askedAt < waitMs / 2;
        inVain = deliveries.length === 0 && atOnce ? inVain + 1 : 0;
        if (inVain > 0) await sleep(Math.min(connection.backoff.delayMs(inVain, null), PAUSE_MAX_MS), signal);
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof MillraceError) || !isPassing(error, true)) throw error;
        failures += 1;
        await sleep(connection.backoff.delayMs(failures, error.retryAfterMs), signal).catch(() => undefined);
      }
    }
  } finally {
    await workshop.below(1);
    workshop.close();
  }
  broken.signal.throwIfAborted();
}

/** The events that are being handled. */
class Workshop<Data> {
  readonly #connection: Connection;
  readonly #name: string;
  readonly #handler: Handler<Data>;
  readonly #onError: NonNullable<SubscribeOptions['onError']>;
  readonly #settling: Settling;
  /** How long a delivery is held, in milliseconds, and what sees to it that it is held for longer. */
  #deadlineMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** By ack id: when each came, and what ends it when it is lost. */
  readonly #working = new Map<string, { at: number; lost: AbortController }>();
  /** Tells whoever waits that one of them is done. */
  #oneDone = () => {};
  #extending = false;

  constructor(
    connection: Connection,
    name: string,
    handler: Handler<Data>,
    onError: NonNullable<SubscribeOptions['onError']>,
  ) {
    this.#connection = connection;
    this.#name = name;
    this.#handler = handler;
    this.#onError = onError;
    this.#settling = new Settling(connection, name);
  }

  get size(): number {
    return this.#working.size;
  }

  /** Extends what is being handled before a delivery's deadline is over, from now on. */
  extendWithin(deadline: string): void {
    const deadlineMs = parseDuration(deadline) ?? 0;
    if (deadlineMs === this.#deadlineMs) return;
    this.close();
    this.#deadlineMs = deadlineMs;
    this.#timer = setInterval(() => void this.#extend(), deadlineMs / EXTENSIONS_A_DEADLINE);
  }

  take(pulled: Pulled): void {
    const lost = new AbortController();
    this.#working.set(pulled.ackId, { at: Date.now(), lost });
    void this.#handle(pulled, lost.signal).finally(() => {
      this.#working.delete(pulled.ackId);
      this.#oneDone();
    });
  }

  /** Waits until fewer than so many are being handled. */
  async below(count: number): Promise<void> {
    while (this.#working.size >= count) {
      // Not a race of all of them: one that takes long would keep something of each.
      await new Promise<void>((resolve) => {
        this.#oneDone = resolve;
      });
    }
  }

  close(): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
  }

  /** Never throws. */
  async #handle(pulled: Pulled, lost: AbortSignal): Promise<void> {
    const delivery = deliveryOf<Data>(pulled);
    const settlement = await this.#settlementOf(delivery, lost);
    if (lost.aborted) return;
    try {
      const { ok, code } = await this.#settling.settle(pulled.ackId, settlement);
      if (!ok) throw new Error(`It was not settled: ${code}. The event comes again.`);
    } catch (error) {
      this.#onError(error, delivery);
    }
  }

  async #settlementOf(delivery: Delivery<Data>, lost: AbortSignal): Promise<Settlement> {
    try {
      await this.#handler(delivery, lost);
      return { how: 'ack' };
    } catch (error) {
      this.#onError(error, delivery);
      const reason = reasonOf(error);
      if (error instanceof Reject) return { how: 'nack', reason, reject: true };
      const delay = error instanceof Retry ? error.delay : undefined;
      return { how: 'nack', reason, ...(delay !== undefined && { delay }) };
    }
  }

  /** A request that fails is left to the next. */
  async #extend(): Promise<void> {
    if (this.#extending) return;
    this.#extending = true;
    try {
      for (const [byMs, ackIds] of this.#extensions()) {
        const { results } = await this.#connection.call('POST /v1/subscriptions/{name}/extend', {
          params: { name: this.#name },
          body: { ackIds, by: formatDuration(byMs) },
          repeatable: true,
        });
        for (const { ackId, ok, code } of results) {
          // What can't be held for longer is this worker's until its time is over.
          if (ok || code === 'held-too-long') continue;
          this.#working.get(ackId)?.lost.abort(new Error(`The event is not this worker's any more: ${code}.`));
        }
      }
    } catch {
      // What is not extended comes again, and its ack says so.
    } finally {
      this.#extending = false;
    }
  }

  /** Ack ids by how long each is to be held from now, in milliseconds: for a deadline, or for the rest of what the hub allows. */
  #extensions(): Map<number, string[]> {
    const now = Date.now();
    const extensions = new Map<number, string[]>();
    for (const [ackId, { at }] of this.#working) {
      const rest = Math.max(at + EXTENDED_MAX_MS - now, 0);
      const byMs = Math.min(this.#deadlineMs, rest);
      const alike = extensions.get(byMs);
      if (alike === undefined) extensions.set(byMs, [ackId]);
      else alike.push(ackId);
    }
    return extensions;
  }
}

function deliveryOf<Data>({ event, attempt, replay, redriven }: Pulled): Delivery<Data> {
  // What an event's data is, its handler knows.
  const stored = event as EventOf<Data>;
  return { event: stored, ...placeOf(stored), attempt, replay, redriven };
}

function report(error: unknown, { topic, sequence }: Delivery): void {
  console.error(`${topic} ${sequence}:`, error);
}
