import { Connection, encode, type Method, openAll } from './client.ts';
import { batch, event, SUBJECTS } from './events.ts';
import { closedLoop, type Load, sendAll, succeeded, until } from './measure.ts';
import { ADMIN_KEY, type Running, startHub } from './runtime.ts';

const AUTHORIZATION = `Bearer ${ADMIN_KEY}`;
const ONE = { authorization: AUTHORIZATION, 'content-type': 'application/cloudevents+json' };
const MANY = { authorization: AUTHORIZATION, 'content-type': 'application/cloudevents-batch+json' };
/** Connections over which batches are published. */
const BATCH_CONNECTIONS = 4;

export interface SubscriptionState {
  status: string;
  lag: number;
  pending: number;
  delivered: number;
  failed: number;
}

/** How a subscription is to be, where it is not as the hub's defaults have it. */
export interface SubscribeOptions {
  from?: 'earliest' | 'latest';
  timeout?: string;
  maxInFlight?: number;
  types?: string[];
  schedule?: string[];
  ordering?: Ordering;
}

export type Ordering = 'none' | 'key' | 'topic';

/** A running hub as a program outside sees it. */
export class Hub {
  readonly running: Running;
  readonly #control: Connection;
  readonly #pools = new Map<number, Connection[]>();

  private constructor(running: Running, control: Connection) {
    this.running = running;
    this.#control = control;
  }

  static async start(entry: 'src/worker.ts' | 'bench/worker-counted.ts'): Promise<Hub> {
    const running = await startHub(entry);
    return new Hub(running, await Connection.open(running.port));
  }

  async stop(): Promise<void> {
    this.#control.close();
    for (const pool of this.#pools.values()) for (const connection of pool) connection.close();
    await this.running.stop();
  }

  /** Connections kept between rounds. */
  async connections(count: number): Promise<Connection[]> {
    const pool = this.#pools.get(count) ?? (await openAll(this.running.port, count));
    this.#pools.set(count, pool);
    return pool;
  }

  /** One request; its JSON body, which api.md says has this shape. Anything but a 2xx throws. */
  async call<Shape>(method: Method, path: string, body?: unknown): Promise<Shape | undefined> {
    const headers = { authorization: AUTHORIZATION, 'content-type': 'application/json' };
    const bytes = encode(method, path, headers, body === undefined ? '' : JSON.stringify(body));
    const answer = succeeded(await this.#control.send(bytes));
    return answer.body === '' ? undefined : JSON.parse(answer.body);
  }

  async makeTopic(topic: string): Promise<void> {
    await this.call('PUT', `/v1/topics/${topic}`, {});
  }

  /** Single events, one request each, for `seconds`. */
  async publishSingles(topic: string, connections: number, seconds: number, keyed = true): Promise<Load> {
    return closedLoop(await this.connections(connections), seconds, () => single(topic, keyed));
  }

  /** `count` single events, one request each. */
  async publishSome(topic: string, connections: number, count: number, keyed = true): Promise<void> {
    await sendAll(await this.connections(connections), count, () => single(topic, keyed));
  }

  /** Batches for `seconds`; the rate is of requests. */
  async publishBatches(topic: string, size: number, seconds: number): Promise<Load> {
    return closedLoop(await this.connections(BATCH_CONNECTIONS), seconds, () => many(topic, size, true));
  }

  /** At least `count` events, in batches. */
  async load(topic: string, count: number, size = 100, keyed = true, subjects = SUBJECTS): Promise<void> {
    const connections = await this.connections(BATCH_CONNECTIONS);
    await sendAll(connections, Math.ceil(count / size), () => many(topic, size, keyed, subjects));
  }

  /** Publishes one event over one kept connection; its sequence. */
  async publishOne(topic: string, keyed = true): Promise<number> {
    const [connection] = await this.connections(1);
    if (connection === undefined) throw new Error('No connection.');
    const answer = succeeded(await connection.send(single(topic, keyed)));
    return sequenceOf(answer.body);
  }

  async subscribeWith(name: string, topic: string, delivery: object, maxInFlight: number): Promise<void> {
    await this.call('PUT', `/v1/subscriptions/${name}`, { topics: [topic], maxInFlight, delivery });
  }

  async subscribe(name: string, topic: string, url: string, options: SubscribeOptions = {}): Promise<void> {
    const { from, timeout, maxInFlight, types, schedule, ordering } = options;
    await this.call('PUT', `/v1/subscriptions/${name}`, {
      topics: [topic],
      ...(from === undefined ? {} : { from }),
      ...(types === undefined ? {} : { filter: { types } }),
      ...(maxInFlight === undefined ? {} : { maxInFlight }),
      ...(ordering === undefined ? {} : { ordering }),
      ...(schedule === undefined ? {} : { retry: { schedule } }),
      delivery: { kind: 'webhook', url, ...(timeout === undefined ? {} : { timeout }) },
    });
    await until(`${name} is active`, async () => (await this.subscription(name)).status === 'active');
  }

  async subscription(name: string): Promise<SubscriptionState> {
    const state = await this.call<SubscriptionState>('GET', `/v1/subscriptions/${name}`);
    if (state === undefined) throw new Error(`The hub says nothing of ${name}.`);
    return state;
  }

  async unsubscribe(name: string): Promise<void> {
    await this.call('DELETE', `/v1/subscriptions/${name}`);
  }

  async pause(name: string): Promise<void> {
    await this.call('POST', `/v1/subscriptions/${name}/pause`);
  }

  async resume(name: string): Promise<void> {
    await this.call('POST', `/v1/subscriptions/${name}/resume`);
  }

  /** Nothing is left to deliver and all is settled. */
  async drained(name: string): Promise<void> {
    await until(`${name} is drained`, async () => {
      const { lag, pending } = await this.subscription(name);
      return lag === 0 && pending === 0;
    });
  }

  /** Starts a replay of the whole topic and gives its id. */
  async replay(topic: string, subscription: string): Promise<string> {
    const from = { subscription, from: 'earliest' };
    const made = await this.call<{ id: string }>('POST', `/v1/topics/${topic}/replays`, from);
    return made?.id ?? '';
  }

  async replayDone(id: string): Promise<void> {
    await until('the replay is done', async () => {
      const replay = await this.call<{ status: string }>('GET', `/v1/replays/${id}`);
      return replay?.status === 'done';
    });
  }
}

export function single(topic: string, keyed: boolean): Buffer {
  return encode('POST', `/v1/topics/${topic}/events`, ONE, event(keyed));
}

function many(topic: string, size: number, keyed: boolean, subjects = SUBJECTS): Buffer {
  return encode('POST', `/v1/topics/${topic}/events`, MANY, batch(size, keyed, subjects));
}

export function read(topic: string, from: number, limit: number): Buffer {
  const path = `/v1/topics/${topic}/events?from=${from}&limit=${limit}`;
  return encode('GET', path, { authorization: AUTHORIZATION });
}

export function sequenceOf(body: string): number {
  return Number(/"sequence": *(\d+)/.exec(body)?.[1]);
}
