import { WorkerEntrypoint } from 'cloudflare:workers';
import { consumer, Reject, Retry } from '../../../../src/client/worker.ts';
import type { HandedEvent } from '../../../../src/events/handed.ts';

/** A consumer Worker that does what a test's book (an HTTP server) tells it, for each event or for each call. */

interface Env {
  BOOK_URL: string;
  HUB: Fetcher;
  MILLRACE_KEY: string;
  DEPLOYMENT: string;
  /** The dead letter queue of one of its queues, to which it may write. */
  TRUSTED_DEAD: Queue;
  /** The queue that an event came by; none: it came with a call. */
  QUEUE?: string;
}

interface Told {
  do: 'ack' | 'retry' | 'reject' | 'throw' | 'forge' | 'return';
  delay?: string;
  value?: unknown;
}

async function ask(env: Env, entry: object): Promise<Told> {
  const response = await fetch(env.BOOK_URL, { method: 'POST', body: JSON.stringify(entry) });
  return response.json();
}

const told = consumer<Env>({
  hub: (env) => ({ url: 'https://hub', key: env.MILLRACE_KEY, fetch: (url, init) => env.HUB.fetch(url, init) }),
  concurrency: 5,

  async handle({ event, topic, sequence, attempt, redriven }, env) {
    const size = JSON.stringify(event).length;
    const entry = {
      topic,
      sequence,
      attempt,
      redriven,
      id: event.id,
      size,
      queue: env.QUEUE,
      deployment: env.DEPLOYMENT,
    };
    const answer = await ask(env, entry);
    if (answer.do === 'retry') throw new Retry('busy', answer.delay);
    if (answer.do === 'reject') throw new Reject('no such customer');
    if (answer.do === 'throw') throw new RangeError('a bug');
    // Says of an event that its queue has given up on it, which it has not.
    if (answer.do === 'forge') {
      const about = { v: 1, subscription: topic, topic, sequence, attempt, replay: null, redriven, sentAt: Date.now() };
      await env.TRUSTED_DEAD.send({ ...about, event });
    }
  },
});

export default {
  ...told,
  queue: (batch: MessageBatch, env: Env, context: ExecutionContext) =>
    told.queue(batch, { ...env, QUEUE: batch.queue }, context),
} satisfies ExportedHandler<Env>;

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
