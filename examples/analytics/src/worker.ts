import { once } from '../../../src/client/once.ts';
import { consumer, Reject } from '../../../src/client/worker.ts';

/**
 * Counts events and sums up amounts by day and type. It takes events from a queue of its own, without confirming them
 * (`delivery.kind: queue`). To count anew from zero: `POST /reset`, and a replay from the start.
 */

interface Env {
  DB: D1Database;
  /** A service binding to the hub, and a key that may read the topics: for events too large for a message. */
  HUB: Fetcher;
  MILLRACE_KEY: string;
}

interface Counted {
  amount?: number;
}

/** What is counted; of others nothing is. */
const TOPICS = ['shop', 'customers'];

export default consumer<Env, Counted>({
  hub: (env) => ({ url: 'https://hub', key: env.MILLRACE_KEY, fetch: (url, init) => env.HUB.fetch(url, init) }),

  async handle(delivery, { DB }) {
    if (!TOPICS.includes(delivery.topic)) throw new Reject(`${delivery.topic} is not counted.`);
    const { type, time, data } = delivery.event;
    // What was counted isn't counted again: neither by a repeated message, nor by a replay beside live events.
    await once(DB, delivery, [
      DB.prepare(
        `INSERT INTO totals (day, type, events, amount) VALUES (?, ?, 1, ?)
         ON CONFLICT (day, type) DO UPDATE SET events = events + 1, amount = amount + excluded.amount`,
      ).bind(time.slice(0, 10), type, data?.amount ?? 0),
    ]);
  },

  async fetch(request, { DB }) {
    const { pathname } = new URL(request.url);
    if (pathname === '/totals') {
      const { results } = await DB.prepare('SELECT day, type, events, amount FROM totals ORDER BY day, type').all();
      return Response.json(results);
    }
    if (pathname !== '/reset' || request.method !== 'POST') return new Response(null, { status: 404 });
    await DB.batch([DB.prepare('DELETE FROM totals'), DB.prepare('DELETE FROM millrace_once')]);
    return new Response(null, { status: 204 });
  },
});
