import { WorkerEntrypoint } from 'cloudflare:workers';
import { ensureOnceTable, type OnceEvent, once, onceBatch } from '../src/client/index.ts';

/**
 * A consumer Worker that does nothing but count, for the hub and for the floor alike; and one that does its effects in D1
 * once, and counts what that takes.
 */

interface ConsumerEnv {
  EFFECTS: D1Database;
}

/** How often a count that is waited for is looked at. */
const LOOK_MS = 2;

/** What `once` took for so many events, one by one or `size` together. */
export interface OnceCounts {
  events: number;
  batches: number;
}

let count = 0;

export default class Consumer extends WorkerEntrypoint<ConsumerEnv> {
  /** `/arrived`: waits until as many events came as the body says, and begins anew. `/once`: see `#once`. */
  override async fetch(request: Request): Promise<Response> {
    const asked = Number(await request.text());
    if (new URL(request.url).pathname === '/once') return Response.json(await this.#once(200, asked));
    while (count < asked) await scheduler.wait(LOOK_MS);
    count = 0;
    return new Response();
  }

  override async queue(batch: MessageBatch): Promise<void> {
    count += batch.messages.length;
  }

  handle(deliveries: unknown[]): { result: 'ack' }[] {
    count += deliveries.length;
    return deliveries.map(() => ({ result: 'ack' }));
  }

  async #once(events: number, size: number): Promise<OnceCounts> {
    const db = this.env.EFFECTS;
    await ensureOnceTable(db);
    await db.prepare('CREATE TABLE IF NOT EXISTS effects (topic TEXT, sequence INTEGER)').run();
    const counts: OnceCounts = { events, batches: 0 };
    const counted = {
      prepare: (sql: string) => db.prepare(sql),
      batch: (statements: D1PreparedStatement[]) => {
        counts.batches += 1;
        return db.batch(statements);
      },
    };
    const topic = crypto.randomUUID();
    for (let first = 1; first <= events; first += size) {
      const effects = Array.from({ length: size }, (_, index) => {
        const event: OnceEvent = { topic, sequence: first + index, replay: null };
        const statements = [db.prepare('INSERT INTO effects VALUES (?, ?)').bind(topic, event.sequence)];
        return { event, statements };
      });
      const [single] = effects;
      if (size === 1 && single !== undefined) await once(counted, single.event, single.statements);
      else await onceBatch(counted, effects);
    }
    const done = await db.prepare('SELECT count(*) AS n FROM effects WHERE topic = ?').bind(topic).first<number>('n');
    if (done !== events) throw new Error(`${done} effects of ${events} events.`);
    return counts;
  }
}
