import { DurableObject } from 'cloudflare:workers';

/**
 * The floor: the least that the same runtime does for the same payload. A Worker that hands the body to a Durable Object,
 * which stores it in one transaction; a queue consumer that POSTs what its message carries, or calls a consumer Worker with it;
 * a long poll that hands out what it has stored, under a token and a deadline that it stores, too, until it is told that it is
 * done; calls of a consumer Worker with what is stored so, and with the same event each time, as messages to its queue carry;
 * and a broadcast over WebSockets of what is not stored at all. No checks, no receipts worth the name, nothing delivered again: whatever the hub
 * does on top of this is its price.
 */

interface FloorEnv {
  STORE: DurableObjectNamespace<FloorStore>;
  WEBHOOKS: Queue<FloorMessage>;
  HANDED: Queue<object[]>;
  CONSUMER: Fetcher & { handle(deliveries: unknown[]): Promise<unknown> };
  CONSUMER_QUEUE: Queue<unknown>;
}

/** Events in one queue message, sent at once and waited for together. */
const EVENTS_PER_MESSAGE = 50;
/** The platform's limit of messages in one `sendBatch`. */
const MESSAGES_PER_SEND = 10;
/** So long what was handed out is held. */
const DEADLINE_MS = 60_000;

export interface FloorMessage {
  url: string;
  headers: Record<string, string>;
  bodies: string[];
}

/** What the receiver is to get: `count` requests with this body and these headers. */
export interface FloorOrder {
  url: string;
  headers: Record<string, string>;
  body: string;
  count: number;
}

export class FloorStore extends DurableObject<FloorEnv> {
  /** Whoever waits for something to take. */
  #waiting: (() => void)[] = [];

  constructor(ctx: DurableObjectState, env: FloorEnv) {
    super(ctx, env);
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY, json TEXT NOT NULL)');
    ctx.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS held (token TEXT PRIMARY KEY, first INTEGER, last INTEGER, deadline INTEGER) WITHOUT ROWID',
    );
  }

  /**
   * Hands out up to so many events and stores which, under what token and until when; waits until there is one. Answers a JSON
   * array of the events and their ids.
   */
  async take(max: number): Promise<string> {
    for (;;) {
      const taken = this.ctx.storage.transactionSync(() => this.#hold(max));
      if (taken.length > 0) return `[${taken.join(',')}]`;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** What is done is deleted, so that what is free lies behind all that is held. */
  #hold(max: number): string[] {
    const { sql } = this.ctx.storage;
    const free = sql
      .exec<{ sequence: number; json: string }>(
        'SELECT * FROM events WHERE sequence > (SELECT coalesce(max(last), 0) FROM held) ORDER BY sequence LIMIT ?',
        max,
      )
      .toArray();
    const [first, last] = [free[0], free.at(-1)];
    if (first === undefined || last === undefined) return [];
    const token = crypto.randomUUID();
    sql.exec('INSERT INTO held VALUES (?, ?, ?, ?)', token, first.sequence, last.sequence, Date.now() + DEADLINE_MS);
    return free.map(({ sequence, json }) => `{"ackId":"${sequence}:${token}","event":${json}}`);
  }

  /** `json` is an array of ids; answers for each whether it was held, as a JSON array. */
  done(json: string): string {
    const ids: string[] = JSON.parse(json);
    const byToken = new Map<string, string[]>();
    for (const id of ids) {
      const [sequence = '', token = ''] = id.split(':');
      const sequences = byToken.get(token) ?? [];
      sequences.push(sequence);
      byToken.set(token, sequences);
    }
    const held = new Set<string>();
    this.ctx.storage.transactionSync(() => {
      for (const [token, sequences] of byToken) if (this.#delete(token, sequences)) held.add(token);
    });
    return JSON.stringify(ids.map((ackId) => ({ ackId, ok: held.has(ackId.split(':')[1] ?? '') })));
  }

  #delete(token: string, sequences: string[]): boolean {
    const { sql } = this.ctx.storage;
    const [range] = sql.exec<{ first: number; last: number }>('SELECT first, last FROM held WHERE token = ?', token);
    if (range === undefined) return false;
    sql.exec(
      'DELETE FROM events WHERE sequence IN (SELECT value FROM json_each(?)) AND sequence BETWEEN ? AND ?',
      `[${sequences.join(',')}]`,
      range.first,
      range.last,
    );
    sql.exec(
      'DELETE FROM held WHERE token = ? AND NOT EXISTS (SELECT 1 FROM events WHERE sequence BETWEEN first AND last)',
      token,
    );
    return true;
  }

  /** Takes a WebSocket in; or sends each event of an array to all of them, a frame each. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade') === 'websocket') {
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client });
    }
    const events = await request.json<object[]>();
    const frames = events.map((event) => JSON.stringify(event));
    for (const socket of this.ctx.getWebSockets()) for (const frame of frames) socket.send(frame);
    return new Response(null, { status: 204 });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  one(json: string): number {
    this.#wake();
    return this.ctx.storage.transactionSync(
      () =>
        this.ctx.storage.sql
          .exec<{ sequence: number }>('INSERT INTO events (json) VALUES (?) RETURNING sequence', json)
          .one().sequence,
    );
  }

  /** `json` is an array of events; a row each. */
  many(json: string): number {
    this.#wake();
    return this.ctx.storage.transactionSync(
      () => this.ctx.storage.sql.exec('INSERT INTO events (json) SELECT value FROM json_each(?)', json).rowsWritten,
    );
  }
}

/** `count` events in messages of `size`. */
async function enqueue<Message>(
  { count, size }: { count: number; size: number },
  queue: Queue<Message>,
  messageOf: (length: number) => Message,
): Promise<void> {
  const messages: { body: Message }[] = [];
  for (let left = count; left > 0; left -= size) messages.push({ body: messageOf(Math.min(left, size)) });
  for (let at = 0; at < messages.length; at += MESSAGES_PER_SEND) {
    await queue.sendBatch(messages.slice(at, at + MESSAGES_PER_SEND));
  }
}

/** `count` times this event to the consumer Worker, `size` of them at a time. */
export interface ConsumerOrder {
  event: object;
  count: number;
  size: number;
}

/** As many calls at a time as the hub makes. */
const CALLS = 6;

async function toConsumer(order: ConsumerOrder, call: (events: object[]) => Promise<unknown>): Promise<void> {
  const events = eventsOf(order);
  await inCalls(order.count, order.size, (length) => call(events(length)));
}

/** Makes events. Each is one of its own: the same object fifty times would be written once and named 49 times. */
function eventsOf({ event }: ConsumerOrder): (length: number) => object[] {
  const json = JSON.stringify(event);
  return (length) => Array.from({ length }, () => JSON.parse(json));
}

/** What was stored before: taken, given to the consumer Worker under the hub's names, told to be done. */
async function fromStore(
  { event, count, size }: ConsumerOrder,
  store: DurableObjectStub<FloorStore>,
  { CONSUMER }: FloorEnv,
): Promise<void> {
  await inCalls(count, size, async (length) => {
    const taken: { ackId: string; event: object }[] = JSON.parse(await store.take(length));
    await CONSUMER.handle(taken.map((one, index) => ({ ...event, sequence: index, event: one.event })));
    await store.done(JSON.stringify(taken.map(({ ackId }) => ackId)));
  });
}

async function inCalls(count: number, size: number, call: (length: number) => Promise<unknown>): Promise<void> {
  let left = count;
  const calls = async () => {
    while (left > 0) {
      const length = Math.min(left, size);
      left -= length;
      await call(length);
    }
  };
  await Promise.all(Array.from({ length: CALLS }, calls));
}

async function post(url: string, headers: Record<string, string>, body: string): Promise<void> {
  const response = await fetch(url, { method: 'POST', headers, body });
  await response.arrayBuffer();
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === '/ping') {
      await request.text();
      return new Response('ok');
    }
    if (pathname === '/enqueue') {
      const { url, headers, body, count } = await request.json<FloorOrder>();
      const message = (length: number) => ({ url, headers, bodies: Array.from({ length }, () => body) });
      await enqueue({ count, size: EVENTS_PER_MESSAGE }, env.WEBHOOKS, message);
      return new Response(null, { status: 202 });
    }
    if (pathname === '/enqueue-calls') {
      const order = await request.json<ConsumerOrder>();
      await enqueue(order, env.HANDED, eventsOf(order));
      return new Response(null, { status: 202 });
    }
    if (pathname === '/call') {
      await toConsumer(await request.json<ConsumerOrder>(), (events) => env.CONSUMER.handle(events));
      return new Response(null, { status: 204 });
    }
    if (pathname === '/queue') {
      const send = (events: object[]) => env.CONSUMER_QUEUE.sendBatch(events.map((body) => ({ body })));
      await toConsumer(await request.json<ConsumerOrder>(), send);
      return new Response(null, { status: 204 });
    }
    if (pathname.startsWith('/broadcast')) return env.STORE.get(env.STORE.idFromName('broadcast')).fetch(request);
    // Each way has a store of its own: /polled/…, /called/…
    const [, way = ''] = /^\/(polled|called)\//.exec(pathname) ?? [];
    const store = env.STORE.get(env.STORE.idFromName(way));
    if (pathname === '/called/call') {
      await fromStore(await request.json<ConsumerOrder>(), store, env);
      return new Response(null, { status: 204 });
    }
    const body = await request.text();
    if (pathname === '/polled/take') return new Response(await store.take(Number(body)));
    if (pathname === '/polled/done') return new Response(await store.done(body));
    const sequence = pathname.endsWith('/many') ? await store.many(body) : await store.one(body);
    return Response.json({ sequence }, { status: 201 });
  },

  async queue(batch, env) {
    const done = batch.messages.map(async ({ body }) => {
      if (Array.isArray(body)) await env.CONSUMER.handle(body);
      else await Promise.all(body.bodies.map((one) => post(body.url, body.headers, one)));
    });
    await Promise.all(done);
  },
} satisfies ExportedHandler<FloorEnv, FloorMessage | object[]>;
