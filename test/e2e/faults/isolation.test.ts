import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** One receiver hangs for the whole timeout with ten thousand events behind it; five others, each with a topic, are not to notice. */

const HEALTHY = ['one', 'two', 'three', 'four', 'five'];
const EVENTS = 10_000;
const BATCH = 500;
/** Requests that hang at the same time, until the hub holds it back to a probe at a time. */
const HANGING = 300;
const TIMEOUT_MS = 2_000;
const SAMPLES = 40;
const EVERY_MS = 25;
const FACTOR = 2;
/** A receiver that holds others up does so in every round; a machine that does other things too, in one or the other. */
const ROUNDS = 3;
/** Below this a p99 says nothing of a queue: it is the time of a few requests. A hanging one takes ten times as long. */
const FLOOR_MS = TIMEOUT_MS / 10;

let hub: TestHub;
let healthy: Receiver;
let hanging: Receiver;

beforeAll(async () => {
  hub = await startHub();
  healthy = await startReceiver();
  hanging = await startReceiver({ answer: () => 'hang' });
  const retry = { schedule: ['1h'], jitter: 0 };
  for (const name of HEALTHY) {
    await hub.api.putSubscription(name, { topics: [name], retry, delivery: { url: healthy.url } });
  }
  await hub.api.putSubscription('hanging', {
    topics: ['hanging'],
    retry,
    maxInFlight: HANGING,
    delivery: { url: hanging.url, timeout: `${TIMEOUT_MS}ms` },
  });
});

afterAll(async () => {
  await Promise.all([healthy.stop(), hanging.stop()]);
  await hub.stop();
});

interface Percentiles {
  published: number;
  delivered: number;
}

/** The least of some rounds. */
async function leastOf(rounds: number): Promise<Percentiles> {
  const least = { published: Number.POSITIVE_INFINITY, delivered: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round += 1) {
    const { published, delivered } = await measure();
    least.published = Math.min(least.published, published);
    least.delivered = Math.min(least.delivered, delivered);
  }
  return least;
}

/** From the start of each publish until its answer, and until its webhook arrives; the 99th percentiles, in milliseconds. */
async function measure(): Promise<Percentiles> {
  const published: number[] = [];
  const started = new Map<string, number>();
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    await Promise.all(
      HEALTHY.map(async (topic) => {
        const start = Date.now();
        const [receipt] = await hub.api.publish(topic, { type: 'tick' });
        published.push(Date.now() - start);
        if (receipt !== undefined) started.set(`${topic} ${receipt.sequence}`, start);
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  const arrived = () => healthy.book.filter(({ topic, sequence }) => started.has(`${topic} ${sequence}`));
  await eventually('all have arrived', () => arrived().length >= started.size);
  const delivered = arrived().map(({ topic, sequence, at }) => at - (started.get(`${topic} ${sequence}`) ?? 0));
  return { published: percentile99(published), delivered: percentile99(delivered) };
}

function percentile99(times: number[]): number {
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
}

describe('P6: ten thousand events for a receiver that hangs', () => {
  it('move neither the p99 of five healthy ones beyond twice what it is, nor that of publishing', {
    timeout: 300_000,
  }, async () => {
    await measure(); // warm
    const without = await leastOf(ROUNDS);
    for (let sent = 0; sent < EVENTS; sent += BATCH) {
      await hub.api.publish(
        'hanging',
        Array.from({ length: BATCH }, () => ({ type: 'tick' })),
      );
    }
    await eventually('it hangs', () => hanging.book.length > 0);
    const during = await leastOf(ROUNDS);
    expect(during.delivered).toBeLessThan(FACTOR * Math.max(without.delivered, FLOOR_MS));
    expect(during.published).toBeLessThan(FACTOR * Math.max(without.published, FLOOR_MS));
    const then = await hub.api.subscription('hanging');
    // It hung all the while.
    expect(then.delivered).toBe(0);
    expect(then.pending + then.waiting).toBe(EVENTS);
    const failing = await eventually(
      'it is held back to a probe at a time',
      async () => {
        const view = await hub.api.subscription('hanging');
        return view.health.state === 'failing' && view.inFlight <= 1 && view;
      },
      120_000,
    );
    // The rest has spent no attempt.
    expect(failing.waiting).toBeGreaterThan(EVENTS - 2 * HANGING);
    expect(failing.pending + failing.waiting).toBe(EVENTS);
  });
});
