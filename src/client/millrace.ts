import { HubSecrets, Keys, Tokens } from './access.ts';
import { Configuration } from './configuration.ts';
import { type Answer, type CallOptions, Connection, type ConnectionOptions, type Query } from './connection.ts';
import type { EventOf } from './delivery.ts';
import { type EventDelivery, followDeliveries } from './follow.ts';
import { type List, listOf } from './list.ts';
import { type PublishOptions, publishEvents, publishFrom, type Receipt } from './publish.ts';
import type { NewEvent } from './publishing.ts';
import { type Handler, handlePulled, type SubscribeOptions } from './pull.ts';
import { type EventPage, type ReadOptions, readEvents, readPage } from './reading.ts';
import { DeadLetters, Replays } from './recovery.ts';
import { Subscriptions } from './subscriptions.ts';
import { type TailOptions, tailEvents } from './tail.ts';
import { Topics } from './topics.ts';

export type AuditEntry = Answer<'GET /v1/audit'>['items'][number];

/**
 * A hub. Every call throws a `MillraceError` with the `code` of the hub's problem, and is repeated by itself where it failed in
 * passing and is no other when it is done twice.
 *
 * ```ts
 * const hub = new Millrace({ url: 'https://hub.example.com', key });
 * await hub.publish('orders', { type: 'order.created', subject: '4711', data: { amount: 120 } });
 * ```
 */
export class Millrace {
  readonly topics: Topics;
  readonly subscriptions: Subscriptions;
  readonly replays: Replays;
  readonly deadLetters: DeadLetters;
  readonly keys: Keys;
  readonly tokens: Tokens;
  readonly hubSecrets: HubSecrets;
  readonly config: Configuration;
  readonly #connection: Connection;

  constructor(options: ConnectionOptions) {
    this.#connection = new Connection(options);
    this.topics = new Topics(this.#connection);
    this.subscriptions = new Subscriptions(this.#connection);
    this.replays = new Replays(this.#connection);
    this.deadLetters = new DeadLetters(this.#connection);
    this.keys = new Keys(this.#connection);
    this.tokens = new Tokens(this.#connection);
    this.hubSecrets = new HubSecrets(this.#connection);
    this.config = new Configuration(this.#connection);
  }

  /**
   * Publishes one event, or many: in as few requests as the limits allow, each all or nothing, with receipts in the order
   * given. What has no id gets one before the first try, so that no retry is a second event.
   *
   * @throws PublishError with what was published, and what is to be published again
   */
  publish(topic: string, event: NewEvent, options?: PublishOptions): Promise<Receipt>;
  publish(topic: string, events: readonly NewEvent[], options?: PublishOptions): Promise<Receipt[]>;
  async publish(
    topic: string,
    events: NewEvent | readonly NewEvent[],
    options: PublishOptions = {},
  ): Promise<Receipt | Receipt[]> {
    if (isMany(events)) return publishEvents(this.#connection, topic, events, options);
    const [receipt] = await publishEvents(this.#connection, topic, [events], options);
    if (receipt === undefined) throw new Error('The hub gave no receipt.');
    return receipt;
  }

  /**
   * Publishes what a source gives, for as long as the receipts are read: `for await (const receipt of hub.publishFrom(…))`.
   *
   * @throws PublishError whose `rest` is what the source had given and is not published. It is thrown once the source has given
   *   what it was just being asked for, or has ended.
   */
  publishFrom(
    topic: string,
    source: AsyncIterable<NewEvent> | Iterable<NewEvent>,
    options: CallOptions = {},
  ): AsyncGenerator<Receipt, void, undefined> {
    return publishFrom(this.#connection, topic, source, options);
  }

  /** The events of a range, the earliest first unless `order` says otherwise, as it is when the reading begins. */
  read<Data = unknown>(topic: string, options: ReadOptions = {}): AsyncGenerator<EventOf<Data>, void, undefined> {
    return readEvents<Data>(this.#connection, topic, options);
  }

  /** One page: as much as a request gives. With `waitMs` the hub waits so long for a first event, 60,000 at most. */
  readPage<Data = unknown>(
    topic: string,
    {
      signal,
      waitMs,
      ...query
    }: Omit<Query<'GET /v1/topics/{topic}/events'>, 'wait'> & CallOptions & { waitMs?: number } = {},
  ): Promise<EventPage<Data>> {
    return readPage<Data>(this.#connection, topic, query, { signal, ...(waitMs !== undefined && { waitMs }) });
  }

  /**
   * The events of a topic as they come: from now on, or from where `from`, `after` or `since` says. No gap and no repetition
   * over any number of broken connections. Ends when `signal` aborts.
   */
  tail<Data = unknown>(topic: string, options: TailOptions = {}): AsyncGenerator<EventOf<Data>, void, undefined> {
    return tailEvents<Data>(this.#connection, topic, options);
  }

  /** One event. */
  async event<Data = unknown>(topic: string, sequence: number, { signal }: CallOptions = {}): Promise<EventOf<Data>> {
    const params = { topic, sequence };
    const event = await this.#connection.call('GET /v1/topics/{topic}/events/{sequence}', { params, signal });
    return event as EventOf<Data>;
  }

  /** What became of an event, a row for each subscription. */
  deliveries(topic: string, sequence: number, options: { limit?: number } & CallOptions = {}): List<EventDelivery> {
    const route = 'GET /v1/topics/{topic}/events/{sequence}/deliveries';
    return listOf(this.#connection, route, { topic, sequence }, options);
  }

  /** What becomes of an event: each row as it is, then each change, until all are settled. */
  followDeliveries(
    topic: string,
    sequence: number,
    options: CallOptions = {},
  ): AsyncGenerator<EventDelivery, void, undefined> {
    return followDeliveries(this.#connection, topic, sequence, options);
  }

  /**
   * Handles the events of a subscription of the kind `pull` until `signal` aborts: several at a time, each extended while its
   * handler works. Any number of programs may share one subscription.
   */
  subscribe<Data = unknown>(name: string, handler: Handler<Data>, options: SubscribeOptions = {}): Promise<void> {
    return handlePulled<Data>(this.#connection, name, handler, options);
  }

  /** Who changed what, newest first. */
  audit(query: Omit<Query<'GET /v1/audit'>, 'cursor'> & CallOptions = {}): List<AuditEntry> {
    return listOf(this.#connection, 'GET /v1/audit', {}, query);
  }

  /** The hub's numbers, in the text format of Prometheus. */
  metrics({ signal }: CallOptions = {}): Promise<string> {
    return this.#connection.text('GET /metrics', { signal });
  }

  /** Whether it runs; needs no key. */
  health({ signal }: CallOptions = {}): Promise<Answer<'GET /healthz'>> {
    return this.#connection.call('GET /healthz', { signal });
  }
}

/** Whether it is an array: the check of the language's own loses what a readonly array is of. */
function isMany(events: NewEvent | readonly NewEvent[]): events is readonly NewEvent[] {
  return Array.isArray(events);
}
