import {
  type ApiClient,
  type DeadLetter,
  type Page,
  type Replay,
  type Subscription,
  secretIn,
} from '../../../../scripts/hub/api-client.ts';
import { eventually } from '../../../../scripts/hub/eventually.ts';
import type { Receiver } from '../../../../scripts/hub/receiver.ts';
import type { Configure, Publish } from '../../../history/operations.ts';
import { get, intervene, look, lookAtReplay, read } from './observers.ts';
import { makeEvent, Producer, publishUntilTaken, type Style } from './producers.ts';
import { crowded, fine, isShaped, moody, POISON, SHAPE, slow, startRecordedReceiver, uneven } from './receivers.ts';
import type { Recorder } from './recorder.ts';

export const ORDERS = 'orders';
const SHOP = 'shop.main';
const TIMEOUT_MS = 1_000;
const REPLAYED_EVENTS = 50;
const SHOP_EVENTS = 3;
/** What a life leaves claimed holds its slots for 15 s of the next: with these there are some left. */
const IN_FLIGHT = 400;
const CONSENT_WITHIN_MS = 120_000;
/** Its events go through a transform, and come in the order of their keys. */
const SHAPED = 'crowded';
/** Its receiver does not consent until it is told to. */
const ASKED = 'batched';

const STYLES: Style[] = [
  { name: 'steady', topic: ORDERS, batches: false, conditional: false, restMs: 250 },
  { name: 'bulky', topic: ORDERS, batches: true, conditional: false, restMs: 1_000 },
  // Two who want the same place: one wins each time.
  { name: 'careful', topic: SHOP, batches: false, conditional: true, restMs: 600 },
  { name: 'cautious', topic: SHOP, batches: true, conditional: true, restMs: 1_200 },
];

/** Its rate is judged. */
export const MEASURED = 'measured';
/** More than is published, so that what an outage has held up is made up for. */
export const MEASURED_PER_SECOND = 60;

export interface Consumer {
  name: string;
  /** The sequence before the first that counts, by topic; null where topics come and go. */
  bases: Record<string, number> | null;
  document: {
    topics: string[];
    filter?: { types: string[] };
    retry: object;
    ordering?: 'key' | 'topic';
    transform?: object;
  };
  delivery?: object;
}

/** Long enough a schedule that no fault here makes a delivery die that its receiver would take. */
const PATIENT = { schedule: Array.from({ length: 20 }, () => '400ms'), jitter: 0.2 };

export const CONSUMERS: Consumer[] = [
  {
    name: 'moody',
    bases: { [ORDERS]: 0 },
    document: { topics: [ORDERS], retry: { schedule: ['100ms', '200ms', '400ms'], jitter: 0.2 } },
  },
  { name: 'slow', bases: { [ORDERS]: 0 }, document: { topics: [ORDERS], retry: PATIENT } },
  {
    name: 'fine',
    bases: null,
    document: { topics: [ORDERS, 'shop.*'], filter: { types: ['order.*'] }, retry: PATIENT },
  },
  {
    name: MEASURED,
    bases: { [ORDERS]: 0 },
    document: { topics: [ORDERS], retry: PATIENT },
    delivery: { rateLimit: { perSecond: MEASURED_PER_SECOND } },
  },
  {
    name: SHAPED,
    bases: { [ORDERS]: 0 },
    document: { topics: [ORDERS], ordering: 'key', transform: SHAPE, retry: PATIENT },
  },
  {
    name: ASKED,
    bases: { [ORDERS]: 0 },
    document: { topics: [ORDERS], ordering: 'topic', retry: PATIENT },
    delivery: { format: 'batch', maxBatch: 50, handshake: true },
  },
];

/** Everyone who works with the hub while it dies: producers, readers, receivers, and a person at the dead letters. */
export class Load {
  readonly topics = new Set([ORDERS, SHOP]);
  readonly #api: ApiClient;
  readonly #recorder: Recorder;
  readonly #producers: Producer[];
  readonly #receivers = new Map<string, Receiver>();
  readonly #mended = new Set<number>();
  readonly #replays = new Set<string>();
  readonly #tasks: Promise<void>[] = [];
  #stopping = false;
  #unasked = 0;
  #shops = 0;
  #poisons = 0;

  constructor(api: ApiClient, recorder: Recorder) {
    this.#api = api;
    this.#recorder = recorder;
    this.#producers = STYLES.map((style) => new Producer(style, api, recorder));
  }

  /** Makes the subscriptions, on a hub that runs, and begins. */
  async start(): Promise<void> {
    for (const consumer of CONSUMERS) {
      const receiver = await startRecordedReceiver(this.#recorder, consumer.name, this.#temperOf(consumer.name));
      this.#receivers.set(consumer.name, receiver);
      receiver.consents = consumer.name !== ASKED;
      receiver.secret = secretIn(await this.#subscribe(consumer));
    }
    this.#tasks.push(...this.#producers.map((producer) => producer.run()));
    this.#tasks.push(this.#follow(), this.#browse(), this.#watch(), this.#bury());
  }

  #temperOf(name: string) {
    const tempers = { moody: moody(this.#mended, TIMEOUT_MS), slow, [SHAPED]: crowded, [ASKED]: uneven };
    return Object.entries(tempers).find(([of]) => of === name)?.[1] ?? fine;
  }

  #receiver(name: string): Receiver {
    const receiver = this.#receivers.get(name);
    if (receiver === undefined) throw new Error(`${name} has no receiver.`);
    return receiver;
  }

  /** @throws if it is refused, or the hub does not answer */
  async #subscribe({ name, document, delivery }: Consumer): Promise<Subscription> {
    const start = this.#recorder.now();
    const made = await this.#api.putSubscription(name, {
      ...document,
      from: 'earliest',
      maxInFlight: IN_FLIGHT,
      delivery: { url: this.#receiver(name).url, timeout: `${TIMEOUT_MS}ms`, ...delivery },
    });
    this.#recorder.add<Configure>({
      kind: 'configure',
      start,
      end: this.#recorder.now(),
      outcome: 'success',
      subscription: name,
      action: 'put',
      topic: null,
      topics: document.topics,
      types: document.filter?.types ?? [],
      ordering: document.ordering ?? 'none',
    });
    return made;
  }

  /** No more faults, no more events; what is under way is brought to its end. @throws what went wrong in the load itself */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const producer of this.#producers) producer.stop();
    await Promise.all(this.#tasks);
  }

  async stopReceivers(): Promise<void> {
    await Promise.all([...this.#receivers.values()].map((receiver) => receiver.stop()));
  }

  /** How many requests came whose signature did not hold. */
  unverified(): number {
    return [...this.#receivers.values()].flatMap(({ book }) => book).filter(({ verified }) => verified !== true).length;
  }

  /** How many requests the transform had not gone over. */
  misshapen(): number {
    return this.#receiver(SHAPED).book.filter((arrival) => !isShaped(arrival)).length;
  }

  /** How many requests came to one that had not consented. */
  unasked(): number {
    return this.#unasked;
  }

  /** The receiver that had refused consents from now on; the hub is told to ask it. */
  consent(): void {
    const receiver = this.#receiver(ASKED);
    this.#unasked = receiver.book.length;
    receiver.consents = true;
    const [asked] = CONSUMERS.filter(({ name }) => name === ASKED);
    if (asked === undefined) throw new Error('Nobody is asked.');
    this.#tasks.push(eventually('it is asked', () => this.#subscribe(asked), CONSENT_WITHIN_MS).then(() => undefined));
  }

  /** Waits until a publish that begins from now on is acknowledged; all acknowledgements of before are out by then. */
  async acknowledged(): Promise<void> {
    const from = this.#recorder.now();
    const isNew = (publish: Publish) =>
      publish.start > from && publish.outcome === 'success' && publish.topic === ORDERS;
    await eventually('a publish is acknowledged', () =>
      this.#recorder.operations.some((operation) => operation.kind === 'publish' && isNew(operation)),
    );
  }

  /** An event that will be a dead letter. */
  poison(): void {
    this.#poisons += 1;
    const event = makeEvent('poisoner', this.#poisons, POISON);
    this.#tasks.push(publishUntilTaken(this.#api, this.#recorder, ORDERS, [event], null).then(() => undefined));
  }

  /** A topic that nobody has heard of, with some events. */
  openShop(): void {
    this.#shops += 1;
    const topic = `shop.n${this.#shops}`;
    this.topics.add(topic);
    const events = Array.from({ length: SHOP_EVENTS }, (_, number) => makeEvent(topic, number, 'order.created'));
    const publishAll = async () => {
      for (const event of events) await publishUntilTaken(this.#api, this.#recorder, topic, [event], null);
    };
    this.#tasks.push(publishAll());
  }

  /** Replays the last events to one that has them. */
  replay(): void {
    const start = async () => {
      for (let id: string | null = null; id === null && !this.#stopping; ) {
        const { lastSequence } = (await get<{ lastSequence: number }>(this.#api, `/v1/topics/${ORDERS}`)) ?? {};
        if (lastSequence !== undefined) {
          const from = Math.max(1, lastSequence - REPLAYED_EVENTS);
          id = await this.#startReplay(from);
        }
        await delay(100);
      }
    };
    this.#tasks.push(start());
  }

  async #startReplay(from: number): Promise<string | null> {
    const request = { json: { subscription: 'fine', from }, withinMs: 4_000 };
    const reply = await this.#api.request('POST', `/v1/topics/${ORDERS}/replays`, request).catch(() => null);
    if (reply?.status !== 202) return null;
    const replay: Replay = JSON.parse(reply.text);
    this.#replays.add(replay.id);
    return replay.id;
  }

  /** Reads the orders as they come. */
  async #follow(): Promise<void> {
    for (let after = 0; !this.#stopping; ) {
      const page = await read(this.#api, this.#recorder, { topic: ORDERS, after, type: null, wait: '1s' });
      after = Math.max(after, page?.read.scannedTo ?? 0);
      await delay(50);
    }
  }

  /** Reads anything from anywhere. */
  async #browse(): Promise<void> {
    while (!this.#stopping) {
      const topics = [...this.topics];
      const topic = topics[Math.floor(Math.random() * topics.length)] ?? ORDERS;
      const last = (await get<{ lastSequence: number }>(this.#api, `/v1/topics/${topic}`))?.lastSequence ?? 0;
      const type = Math.random() < 0.3 ? 'order.paid' : null;
      await read(this.#api, this.#recorder, { topic, after: Math.floor(Math.random() * last), type, wait: '0s' });
      await delay(200);
    }
  }

  /** Looks at the subscriptions and the replays. */
  async #watch(): Promise<void> {
    while (!this.#stopping) {
      for (const { name, bases } of CONSUMERS) await look(this.#api, this.#recorder, name, bases);
      for (const id of this.#replays) {
        const view = await lookAtReplay(this.#api, this.#recorder, id);
        if (view !== null && view.status !== 'running') this.#replays.delete(id);
      }
      await delay(500);
    }
  }

  /** Works through the dead letters: most are mended and redriven, some redriven in vain or discarded, some left. */
  async #bury(): Promise<void> {
    const inVain = new Set<number>();
    while (!this.#stopping) {
      const page = await get<Page<DeadLetter>>(this.#api, '/v1/dead-letters?subscription=moody&limit=20');
      for (const letter of page?.items ?? []) {
        const { sequence } = letter;
        const lot = sequence % 10;
        if (lot < 5) this.#mended.add(sequence);
        if (lot < 5 || (lot < 7 && !inVain.has(sequence))) {
          inVain.add(sequence);
          await intervene(this.#api, this.#recorder, letter, 'redrive');
        } else if (lot === 7) {
          await intervene(this.#api, this.#recorder, letter, 'discard');
        }
      }
      await delay(500);
    }
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
