import { WorkerEntrypoint } from 'cloudflare:workers';
import { consumer, Reject, Retry } from '../../../../src/client/worker.ts';
import type { HandedEvent } from '../../../../src/events/handed.ts';

/** A consumer Worker that does what a test's book (an HTTP server) tells it, for each event or for each call. */

interface Env {
  BOOK_URL: string;
  HUB: Fetcher;
  MILLRACE_KEY: string;
}

interface Told {
  do: 'ack' | 'retry' | 'reject' | 'throw' | 'return';
  delay?: string;
  value?: unknown;
}

async function ask(env: Env, entry: object): Promise<Told> {
  const response = await fetch(env.BOOK_URL, { method: 'POST', body: JSON.stringify(entry) });
  return response.json();
}

export default consumer<Env>({
  hub: (env) => ({ url: 'https://hub', key: env.MILLRACE_KEY, fetch: (url, init) => env.HUB.fetch(url, init) }),
  concurrency: 5,

  async handle({ event, topic, sequence, attempt, redriven }, env) {
    const size = JSON.stringify(event).length;
    const told = await ask(env, { topic, sequence, attempt, redriven, id: event.id, size });
    if (told.do === 'retry') throw new Retry('busy', told.delay);
    if (told.do === 'reject') throw new Reject('no such customer');
    if (told.do === 'throw') throw new RangeError('a bug');
  },
});

/** Without the library: answers whatever the book says. */
export class Raw extends WorkerEntrypoint<Env> {
  async handle(deliveries: HandedEvent[]): Promise<unknown> {
    const told = await ask(this.env, { sequences: deliveries.map(({ sequence }) => sequence) });
    if (told.do === 'throw') throw new RangeError('a bug');
    return told.value;
  }
}

/** Has neither method. */
export class Mute extends WorkerEntrypoint<Env> {}
