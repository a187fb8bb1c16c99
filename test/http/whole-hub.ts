import { Catalog } from '../../src/catalog/catalog.ts';
import { DeadLetters } from '../../src/dead-letters/letters.ts';
import { type Seals, sealsOf } from '../../src/deliveries/seal.ts';
import { serve } from '../../src/http/app.ts';
import type { Hub } from '../../src/http/hub.ts';
import type { Clock, Log, Random } from '../../src/platform.ts';
import { QuotaCounter, type Used } from '../../src/quotas/counter.ts';
import { Subscription } from '../../src/subscriptions/subscription.ts';
import { Vault } from '../../src/subscriptions/vault.ts';
import { SYSTEM_TOPIC } from '../../src/system/shapes.ts';
import type { Socket } from '../../src/tails/ports.ts';
import { FEED_PING, FEED_PONG } from '../../src/topics/protocol.ts';
import { TopicLog } from '../../src/topics/topic-log.ts';
import { FakeBindings } from '../support/fake-bindings.ts';
import { type FakeSocket, fakeSocketPair } from '../support/fake-sockets.ts';
import { NodeD1 } from '../support/node-d1.ts';
import { NodeStorage } from '../support/node-storage.ts';
import { hmacUnder } from '../support/seals.ts';

export const ADMIN_KEY = 'the first admin key';
export const HUB_SECRET = 'dGVzdC1odWItc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmc=';

const clock: Clock = { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };
const random: Random = {
  fraction: () => Math.random(),
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/** The interface over real logs and subscriptions in this process, in real time. No alarm fires and no queue is read. */
export class WholeHub implements Hub {
  readonly db = NodeD1.migrated();
  readonly random = random;
  readonly logged: { message: string; fields: Record<string, unknown> | undefined }[] = [];
  readonly log: Log = (_level, message, fields) => void this.logged.push({ message, fields });
  fetch: typeof fetch = async () => new Response('ok');
  readonly bindings = new FakeBindings();
  adminKey: string | undefined = ADMIN_KEY;
  hubSecret: string | undefined = HUB_SECRET;
  webhookAllowHosts = 'localhost';
  hubHosts = '';
  dnsResolver = '';
  corsOrigins = '';
  /** The readers' ends of the WebSockets that were asked for. */
  readonly sockets: FakeSocket[] = [];
  /** Both ends of the feeds that were asked for. */
  readonly feeds: { reader: FakeSocket; log: FakeSocket }[] = [];
  #tasks: Promise<unknown>[] = [];
  readonly #topics = new Map<string, TopicLog>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #storages = new Map<string, NodeStorage>();
  readonly #quotas = new Map<string, QuotaCounter>();
  readonly #catalog = new Catalog(this.db);

  now(): number {
    return Date.now();
  }

  seals(): Seals | null {
    return sealsOf(this.hubSecret ?? '', hmacUnder);
  }

  background(task: Promise<unknown>): void {
    this.#tasks.push(task);
  }

  /** What was to be done beside the answers is done. */
  async settled(): Promise<void> {
    const tasks = this.#tasks;
    this.#tasks = [];
    await Promise.all(tasks);
  }

  /** A deployment with another HUB_SECRET: subscriptions start anew, on what they have stored. */
  deploy(hubSecret: string): void {
    this.hubSecret = hubSecret;
    this.#subscriptions.clear();
  }

  topic(name: string): TopicLog {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const made = new TopicLog({
      topic: name,
      storage: new NodeStorage(),
      clock,
      random,
      background: (task) => void task.catch(() => undefined),
      log: () => undefined,
      catalog: this.#catalog,
      subscriptions: (subscription) => this.subscription(subscription),
      systemLog: () => this.topic(SYSTEM_TOPIC),
    });
    this.#topics.set(name, made);
    return made;
  }

  async feed(topic: string): Promise<Socket | null> {
    const log = this.topic(topic);
    const [reader, atLog] = fakeSocketPair();
    // As the platform does: pings are answered before the log hears of them.
    const message = (text: string) => (text === FEED_PING ? atLog.send(FEED_PONG) : log.feedMessage(atLog, text));
    atLog.listen({ message, closed: () => log.feedGone(atLog) });
    this.feeds.push({ reader, log: atLog });
    return reader;
  }

  /** No Response in Node is a 101. */
  upgrade(take: (socket: Socket) => void): Response {
    const [reader, atHub] = fakeSocketPair();
    this.sockets.push(reader);
    take(atHub);
    return new Response(null, { headers: { 'x-status': '101' } });
  }

  subscription(name: string): Subscription {
    const known = this.#subscriptions.get(name);
    if (known !== undefined) return known;
    const storage = this.#storages.get(name) ?? new NodeStorage();
    this.#storages.set(name, storage);
    const made = new Subscription({
      name,
      storage,
      clock,
      random,
      background: (task) => void task.catch(() => undefined),
      log: () => undefined,
      catalog: this.#catalog,
      letters: new DeadLetters(this.db),
      vault: new Vault(this.hubSecret ?? ''),
      topicLog: (topic) => this.topic(topic),
      deliveries: { send: async () => undefined },
      retries: { send: async () => undefined },
      handshakes: { send: async () => undefined },
    });
    this.#subscriptions.set(name, made);
    return made;
  }

  quota(keyId: string): QuotaCounter {
    const known = this.#quotas.get(keyId);
    if (known !== undefined) return known;
    let stored: Used | undefined;
    const made = new QuotaCounter({
      clock,
      background: (task) => void task.catch(() => undefined),
      stored: {
        get: () => stored,
        put: (used) => {
          stored = { ...used };
        },
        clear: async () => {
          stored = undefined;
        },
      },
    });
    this.#quotas.set(keyId, made);
    return made;
  }

  /** Sends a request; `init.key` null: without a key. A `body` that is not text or bytes goes as JSON. */
  async call(method: string, path: string, init: { key?: string | null; headers?: HeadersInit; body?: unknown } = {}) {
    const headers = new Headers(init.headers);
    if (init.key !== null && !headers.has('authorization')) {
      headers.set('authorization', `Bearer ${init.key ?? ADMIN_KEY}`);
    }
    const { body } = init;
    const raw =
      body === undefined || typeof body === 'string' || body instanceof Uint8Array || body instanceof ReadableStream;
    if (!raw && !headers.has('content-type')) headers.set('content-type', 'application/json');
    const request = new Request(`http://hub.test${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: raw ? body : JSON.stringify(body), duplex: 'half' }),
    });
    const response = await serve(request, this);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: jsonOf(response, text) };
  }
}

function jsonOf(response: Response, text: string) {
  return /[/+]json/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : null;
}
