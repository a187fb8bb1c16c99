import { Catalog } from '../../src/catalog/catalog.ts';
import { type DeadLetter, DeadLetters, type LetterState } from '../../src/dead-letters/letters.ts';
import { packEvents } from '../../src/events/new-event.ts';
import type { Log, SqlRow } from '../../src/platform.ts';
import type { SubscriptionDocument, WebhookDelivery } from '../../src/subscriptions/document.ts';
import { COMPANY_MS } from '../../src/subscriptions/limits.ts';
import type {
  HandshakeMessage,
  Locked,
  NoWebhook,
  PutRequest,
  PutResult,
  StartReplayRequest,
} from '../../src/subscriptions/protocol.ts';
import type {
  ClaimResult,
  DeliveryOutcome,
  DeliveryTarget,
  LeaseMessage,
  WebhookTarget,
} from '../../src/subscriptions/protocol-claims.ts';
import type { SubscriptionView } from '../../src/subscriptions/protocol-views.ts';
import { Subscription } from '../../src/subscriptions/subscription.ts';
import { Vault } from '../../src/subscriptions/vault.ts';
import { SYSTEM_TOPIC } from '../../src/system/shapes.ts';
import type { TopicLogApi } from '../../src/topics/protocol.ts';
import { TopicLog } from '../../src/topics/topic-log.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { NodeD1 } from '../support/node-d1.ts';
import { NodeStorage } from '../support/node-storage.ts';

type Claimed = Extract<ClaimResult, { outcome: 'claimed' }>;

const quiet: Log = () => undefined;

/** A system event, as far as tests look at it. */
export interface SystemEvent {
  id: string;
  source: string;
  type: string;
  time: string;
  // biome-ignore lint/suspicious/noExplicitAny: of every shape there is, for tests to look into.
  data: any;
}

export const WEBHOOK: WebhookDelivery = {
  kind: 'webhook',
  url: 'https://receiver.example/hook',
  format: 'structured',
  timeoutMs: 15_000,
  headers: {},
  secret: null,
  rateLimit: null,
  maxBatch: 1,
  handshake: false,
};

export const DOCUMENT = {
  topics: ['orders'],
  from: { kind: 'latest' },
  filter: { types: [], cel: null },
  transform: null,
  ordering: 'none',
  maxInFlight: 64,
  retry: { scheduleMs: [1_000, 2_000], jitter: 0 },
  disableAfterMs: 432_000_000,
  attempts: { maxCount: 10_000, maxAgeMs: 604_800_000 },
  delivery: WEBHOOK,
} satisfies SubscriptionDocument;

/** All of the topic once more. */
export const REPLAY: StartReplayRequest = {
  v: 1,
  id: 'rpl_1',
  topic: 'orders',
  from: { kind: 'earliest' },
  to: null,
  filter: { types: [], cel: null },
  rateLimit: null,
};

/** What a subscription answers whose secret can be opened. */
export function unlocked<T extends object>(answer: T | NoWebhook | Locked | null): T {
  if (answer === null || 'locked' in answer || 'noWebhook' in answer)
    throw new Error(`There is no secret: ${JSON.stringify(answer)}`);
  return answer;
}

/** The same of where it delivers to. */
export function webhookTarget(answer: DeliveryTarget | Locked | null): WebhookTarget {
  const target = unlocked(answer);
  if (target.kind !== 'webhook') throw new Error(`It is of the kind ${target.kind}.`);
  return target;
}

/** Logs and subscriptions over Node's SQLite, wired to each other, with a queue that a test looks into. Nothing moves by itself. */
export class Hub {
  readonly clock = new FakeClock();
  readonly d1 = NodeD1.migrated();
  readonly letters = new DeadLetters(this.d1);
  readonly catalog = new Catalog(this.d1);
  /** Messages sent and not taken yet, by queue. */
  readonly deliveries: LeaseMessage[] = [];
  readonly retries: LeaseMessage[] = [];
  readonly handshakes: HandshakeMessage[] = [];
  /** Topics whose logs answer no subscription. */
  readonly unreachable = new Set<string>();
  /** Topics whose logs leave whoever asks without an answer. */
  readonly silent = new Set<string>();
  /** Topics whose logs answer after so many milliseconds. */
  readonly latencies = new Map<string, number>();
  /** What subscriptions reach instead of the real logs. */
  standIn: ((topic: string) => TopicLogApi) | null = null;
  /** What objects that start from now on have. */
  hubSecret = 'bWlsbHJhY2UtdGVzdHMtbWlsbHJhY2UtdGVzdHMtMTIzNDU2Nzg=';
  readonly #storages = new Map<string, NodeStorage>();
  readonly #logs = new Map<string, TopicLog>();
  readonly #subscriptions = new Map<string, Subscription>();
  #bytes = 1;
  #events = 0;

  readonly #random = {
    fraction: () => 0.5,
    bytes: (length: number) => Uint8Array.from({ length }, () => this.#nextByte()),
  };

  #nextByte(): number {
    this.#bytes = (this.#bytes * 75 + 74) % 65_537;
    return this.#bytes & 255;
  }

  storage(name: string): NodeStorage {
    const storage = this.#storages.get(name) ?? new NodeStorage();
    this.#storages.set(name, storage);
    return storage;
  }

  /** Puts a storage in the place of an object that was not used yet: `topic orders`, `subscription billing`. */
  adopt(name: string, storage: NodeStorage): void {
    this.#storages.set(name, storage);
  }

  log(topic: string): TopicLog {
    const present = this.#logs.get(topic);
    if (present) return present;
    const log = new TopicLog({
      topic,
      storage: this.storage(`topic ${topic}`),
      clock: this.clock,
      random: this.#random,
      background: (task) => void task,
      log: quiet,
      catalog: this.catalog,
      subscriptions: (name) => this.subscription(name),
      systemLog: () => this.#reach(SYSTEM_TOPIC),
    });
    this.#logs.set(topic, log);
    return log;
  }

  #reach(topic: string): TopicLogApi {
    if (this.standIn) return this.standIn(topic);
    if (this.silent.has(topic))
      return new Proxy<TopicLogApi>(this.log(topic), { get: () => () => new Promise(() => undefined) });
    const latency = this.latencies.get(topic);
    if (latency !== undefined)
      return new Proxy<TopicLogApi>(this.log(topic), {
        get:
          (log, name) =>
          async (...values: unknown[]) => {
            await this.clock.sleep(latency);
            return Reflect.get(log, name).apply(log, values);
          },
      });
    if (!this.unreachable.has(topic)) return this.log(topic);
    return new Proxy<TopicLogApi>(this.log(topic), {
      get: () => async () => {
        throw new Error(`The topic ${topic} can't be reached.`);
      },
    });
  }

  subscription(name: string): Subscription {
    const present = this.#subscriptions.get(name);
    if (present) return present;
    const subscription = new Subscription({
      name,
      storage: this.storage(`subscription ${name}`),
      clock: this.clock,
      random: this.#random,
      background: (task) => void task,
      log: quiet,
      catalog: this.catalog,
      letters: this.letters,
      vault: new Vault(this.hubSecret),
      topicLog: (topic) => this.#reach(topic),
      deliveries: { send: async (message) => this.deliveries.push(message) },
      retries: { send: async (message) => this.retries.push(message) },
      handshakes: { send: async (message) => this.handshakes.push(message) },
    });
    this.#subscriptions.set(name, subscription);
    return subscription;
  }

  /** The object is gone from memory; the next call makes it anew from its rows. */
  restart(name: string): void {
    this.#subscriptions.delete(name);
  }

  restartTopic(topic: string): void {
    this.#logs.delete(topic);
  }

  /** Everything sent and not claimed is lost. */
  loseMessages(): void {
    this.deliveries.length = 0;
    this.retries.length = 0;
  }

  /** All letters of a subscription as D1 has them, newest death first. */
  async lettersOf(subscription: string, state: LetterState | null = null): Promise<DeadLetter[]> {
    const filter = { subscription, topic: null, reason: null, since: null, until: null, state };
    return (await this.letters.page(filter, 1_000, null)).letters;
  }

  /** What a subscription's own tables say. */
  rows<Row extends SqlRow>(name: string, query: string, ...values: (string | number | null)[]): Row[] {
    return this.storage(`subscription ${name}`)
      .sql.exec<Row>(query, ...values)
      .toArray();
  }

  /** Makes a document like the one of `subscribe`, and answers whatever `put` does. */
  async put(
    name: string,
    changes: Partial<SubscriptionDocument> = {},
    more: Partial<PutRequest> = {},
  ): Promise<PutResult> {
    return this.awaiting(
      this.subscription(name).put({ v: 1, name, document: { ...DOCUMENT, ...changes }, ifMatch: null, ...more }),
    );
  }

  async publish(topic: string, count: number, type = 'order.created'): Promise<void> {
    await this.publishKeys(
      topic,
      Array.from({ length: count }, () => null),
      type,
    );
  }

  /** One event for each of these keys. */
  async publishKeys(
    topic: string,
    keys: readonly (string | null)[],
    type = 'order.created',
    more: Record<string, unknown> = {},
  ): Promise<void> {
    const events = keys.map((key) => {
      const id = `e${++this.#events}`;
      const subject = key === null ? {} : { subject: key };
      return {
        source: '/test',
        id,
        key,
        json: JSON.stringify({ specversion: '1.0', id, source: '/test', type, ...subject, ...more }),
      };
    });
    const result = await this.awaiting(
      this.log(topic).append({ v: 1, events: packEvents(events), expectedLastSequence: null, create: true }),
    );
    if (result.outcome !== 'appended') throw new Error(result.outcome);
    await settled();
  }

  /** Waits for a promise that may need the clock to move a few milliseconds. */
  async awaiting<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    const marked = promise.finally(() => {
      done = true;
    });
    marked.catch(() => undefined);
    for (let turn = 0; turn < 500 && !done; turn++) {
      await settled();
      if (!done) await this.clock.advance(turn < 50 ? 1 : 100);
    }
    return marked;
  }

  async subscribe(name: string, changes: Partial<SubscriptionDocument> = {}): Promise<SubscriptionView> {
    const result = await this.put(name, changes);
    if (result.outcome !== 'created' && result.outcome !== 'replaced') throw new Error(JSON.stringify(result));
    await settled();
    return result.view;
  }

  /** Moves the clock and fires every alarm that is due on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    for (;;) {
      await settled();
      const due = [...this.#storages.entries()]
        .filter(([, storage]) => storage.alarm !== null && storage.alarm <= end)
        .sort(([, a], [, b]) => (a.alarm ?? 0) - (b.alarm ?? 0))[0];
      if (!due) break;
      const [name, storage] = due;
      await this.clock.advance(Math.max(0, (storage.alarm ?? 0) - this.clock.now()));
      storage.takeAlarm();
      const [kind, object = ''] = name.split(' ');
      await this.awaiting(kind === 'topic' ? this.log(object).alarm() : this.subscription(object).alarm());
    }
    await this.clock.advance(Math.max(0, end - this.clock.now()));
  }

  /** Takes the oldest message of a queue. */
  take(queue: LeaseMessage[] = this.deliveries): LeaseMessage {
    const message = queue.shift();
    if (!message) throw new Error('The queue is empty.');
    return message;
  }

  async claim(message: LeaseMessage): Promise<Claimed> {
    const claimed = await this.awaiting(this.subscription(message.subscription).claim(message.lease));
    if (claimed.outcome !== 'claimed') throw new Error('The lease is void.');
    return claimed;
  }

  delivered(event: { topic: string; sequence: number }): DeliveryOutcome {
    return {
      kind: 'delivered',
      topic: event.topic,
      sequence: event.sequence,
      at: this.clock.now(),
      latencyMs: 5,
      status: 200,
      response: 'ok',
    };
  }

  failed(event: { topic: string; sequence: number }, status = 500): DeliveryOutcome {
    const { topic, sequence } = event;
    return {
      kind: 'failed',
      topic,
      sequence,
      at: this.clock.now(),
      latencyMs: 5,
      outcome: 'failed',
      status,
      response: '',
      error: `The receiver answered ${status}.`,
      retryAfterMs: null,
    };
  }

  /** Claims and settles everything in both queues, until they are empty; answers the sequences in the order of delivery. */
  async work(
    name: string,
    outcome: (event: Claimed['events'][number]) => DeliveryOutcome = (event) => this.delivered(event),
  ): Promise<number[]> {
    const seen: number[] = [];
    for (let idleMs = 0; ; ) {
      await this.clock.advance(20);
      const message = this.deliveries.shift() ?? this.retries.shift();
      if (!message) {
        // What has come behind many others may still wait for company.
        idleMs += 20;
        if (idleMs > COMPANY_MS + 20) return seen;
        continue;
      }
      idleMs = 0;
      const claimed = await this.awaiting(this.subscription(name).claim(message.lease));
      if (claimed.outcome !== 'claimed') continue;
      seen.push(...claimed.events.map((event) => event.sequence));
      const outcomes = claimed.events.map(outcome);
      await this.awaiting(
        this.subscription(name).settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
      );
    }
  }

  /** What was told on the hub's own topic by an object (`/subscriptions/billing`), in order, as far as it has been told. */
  async told(source: string): Promise<SystemEvent[]> {
    const log = this.log(SYSTEM_TOPIC);
    const last = (await log.describe())?.lastSequence ?? 0;
    const { events } = await log.eventsAt(Array.from({ length: last }, (_, index) => index + 1));
    return events.map(({ json }): SystemEvent => JSON.parse(json)).filter((event) => event.source === source);
  }

  async view(name: string): Promise<SubscriptionView> {
    const view = await this.awaiting(this.subscription(name).describe());
    if (!view) throw new Error('There is no such subscription.');
    return view;
  }
}

/** As much of an event as says of which type it is. */
export function typed(type: string): string {
  return JSON.stringify({ type });
}

/** The sum of api.md: everything since the start or the last seek, each once. */
export function booked(view: SubscriptionView): number {
  return view.delivered + view.dead + view.pending + view.waiting + view.filtered + view.skipped + view.discarded;
}
