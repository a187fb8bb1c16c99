import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** One receiver hangs a thousand times over; another, with a topic of its own, is not to notice. */

const HANGING = 1_000;
/** The hub takes a thousand failures in a row before it holds this one back to a probe at a time. */
const TIMEOUT_MS = 2_000;
const SAMPLES = 150;
const EVERY_MS = 20;
/** Of a p99 on a machine that does other things too. One delivery that queued behind a timeout would take longer still. */
const FACTOR = 5;
const FLOOR_MS = TIMEOUT_MS / 8;
const BATCH = 500;

let hub: TestHub;
let healthy: Receiver;
let hanging: Receiver;

beforeAll(async () => {
  hub = await startHub();
  healthy = await startReceiver();
  hanging = await startReceiver({ answer: () => 'hang' });
  const retry = { schedule: ['1h'], jitter: 0 };
  await hub.api.putSubscription('healthy', { topics: ['healthy'], retry, delivery: { url: healthy.url } });
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

/** From the start of each publish until its answer, and until its webhook arrives; the 99th percentiles, in milliseconds. */
async function measure(): Promise<{ published: number; delivered: number }> {
  const published: number[] = [];
  const started = new Map<number, number>();
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const start = Date.now();
    const [receipt] = await hub.api.publish('healthy', { type: 'tick' });
    published.push(Date.now() - start);
    if (receipt !== undefined) started.set(receipt.sequence, start);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  const arrived = () => healthy.book.filter(({ sequence }) => started.has(sequence));
  await eventually('all have arrived', () => arrived().length >= SAMPLES);
  const delivered = arrived().map(({ sequence, at }) => at - (started.get(sequence) ?? 0));
  return { published: percentile99(published), delivered: percentile99(delivered) };
}

function percentile99(times: number[]): number {
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
}

describe('P6: a thousand timeouts', () => {
  it('of one subscription move neither the p99 of another nor that of publishing', { timeout: 120_000 }, async () => {
    await measure(); // warm
    const without = await measure();
    for (let sent = 0; sent < HANGING; sent += BATCH) {
      await hub.api.publish(
        'hanging',
        Array.from({ length: BATCH }, () => ({ type: 'tick' })),
      );
    }
    await eventually('it hangs', () => hanging.book.length > 0);
    const during = await measure();
    const { retrying, pending, waiting } = await hub.api.subscription('hanging');
    expect(during.delivered).toBeLessThan(Math.max(FACTOR * without.delivered, FLOOR_MS));
    expect(during.published).toBeLessThan(Math.max(FACTOR * without.published, FLOOR_MS));
    // It hung all the while.
    expect(pending + waiting).toBe(HANGING);
    expect(retrying).toBeLessThan(HANGING);
    await eventually(
      'all have timed out',
      async () => (await hub.api.subscription('hanging')).failed >= HANGING,
      60_000,
    );
    expect(hanging.book.length).toBeGreaterThanOrEqual(HANGING);
  });
});
