import { DurableObject } from 'cloudflare:workers';

/**
 * The floor: the least that the same runtime does for the same payload. A Worker that hands the body to a Durable Object,
 * which stores it in one transaction; a queue consumer that POSTs what its message carries; and a long poll that gives away
 * what it has stored. No checks, no receipts worth the name, nothing delivered again: whatever the hub does on top of this is
 * its price.
 */

interface FloorEnv {
  STORE: DurableObjectNamespace<FloorStore>;
  WEBHOOKS: Queue<FloorMessage>;
}

/** Events in one queue message, sent at once and waited for together. */
const EVENTS_PER_MESSAGE = 50;
/** The platform's limit of messages in one `sendBatch`. */
const MESSAGES_PER_SEND = 10;

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
  }

  /** Takes up to so many events away, as a JSON array; waits until there is one. */
  async take(max: number): Promise<string> {
    for (;;) {
      const taken = this.ctx.storage.transactionSync(() =>
        this.ctx.storage.sql
          .exec<{ json: string }>(
            'DELETE FROM events WHERE sequence IN (SELECT sequence FROM events ORDER BY sequence LIMIT ?) RETURNING json',
            max,
          )
          .toArray(),
      );
      if (taken.length > 0) return `[${taken.map(({ json }) => json).join(',')}]`;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
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

async function enqueue(order: FloorOrder, queue: Queue<FloorMessage>): Promise<void> {
  const message = (count: number): { body: FloorMessage } => ({
    body: { url: order.url, headers: order.headers, bodies: Array.from({ length: count }, () => order.body) },
  });
  const messages: { body: FloorMessage }[] = [];
  for (let left = order.count; left > 0; left -= EVENTS_PER_MESSAGE) {
    messages.push(message(Math.min(left, EVENTS_PER_MESSAGE)));
  }
  for (let at = 0; at < messages.length; at += MESSAGES_PER_SEND) {
    await queue.sendBatch(messages.slice(at, at + MESSAGES_PER_SEND));
  }
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
      await enqueue(await request.json<FloorOrder>(), env.WEBHOOKS);
      return new Response(null, { status: 202 });
    }
    // What is taken away is kept apart.
    const isPolled = pathname.startsWith('/polled/');
    const store = env.STORE.get(env.STORE.idFromName(isPolled ? 'polled' : 'floor'));
    const body = await request.text();
    if (pathname === '/polled/take') return new Response(await store.take(Number(body)));
    const sequence = pathname.endsWith('/many') ? await store.many(body) : await store.one(body);
    return Response.json({ sequence }, { status: 201 });
  },

  async queue(batch) {
    for (const message of batch.messages) {
      const { url, headers, bodies } = message.body;
      await Promise.all(bodies.map((body) => post(url, headers, body)));
    }
  },
} satisfies ExportedHandler<FloorEnv, FloorMessage>;
