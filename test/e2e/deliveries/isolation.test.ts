import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/**
 * One receiver hangs for the whole timeout with ten thousand events behind it; five others, each with a topic, are not to wait
 * for that. By how much they notice is in the bench.
 */

const HEALTHY = ['one', 'two', 'three', 'four', 'five'];
const EVENTS = 10_000;
const BATCH = 500;
/** As many are under way at the same time. */
const HANGING = 300;
/** Many times as long as the healthy ones take for all that they get meanwhile. */
const TIMEOUT = '30s';
const ROUNDS = 40;
/** And no more than begin within half of that time. */
const ROUNDS_WITHIN_MS = 15_000;

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
    delivery: { url: hanging.url, timeout: TIMEOUT },
  });
});

afterAll(async () => {
  await Promise.all([healthy.stop(), hanging.stop()]);
  await hub.stop();
});

/** An event for each of the healthy ones, which all have it before this is done. */
async function publishToHealthy(): Promise<void> {
  const sequences = await Promise.all(
    HEALTHY.map(async (topic) => (await hub.api.publish(topic, { type: 'tick' }))[0]?.sequence ?? 0),
  );
  await eventually('all have theirs', () =>
    HEALTHY.every((topic, index) => healthy.taken(topic).includes(sequences[index] ?? 0)),
  );
}

describe('P6: ten thousand events for a receiver that hangs', () => {
  it('hold up neither five healthy ones nor publishing', { timeout: 300_000 }, async () => {
    await hub.api.json('POST', '/v1/subscriptions/hanging/pause');
    for (let sent = 0; sent < EVENTS; sent += BATCH) {
      await hub.api.publish(
        'hanging',
        Array.from({ length: BATCH }, () => ({ type: 'tick' })),
      );
    }
    await hub.api.json('POST', '/v1/subscriptions/hanging/resume');
    await eventually('as much hangs as may', async () => (await hub.api.subscription('hanging')).inFlight === HANGING);
    const end = Date.now() + ROUNDS_WITHIN_MS;
    await publishToHealthy();
    for (let round = 1; round < ROUNDS && Date.now() < end; round += 1) await publishToHealthy();
    // All that came between the first that hangs and the end of its time: nobody has waited for that.
    const then = await hub.api.subscription('hanging');
    expect(then).toMatchObject({ delivered: 0, failed: 0, inFlight: HANGING });
    expect(then.pending + then.waiting).toBe(EVENTS);

    // It is gone, which ends all that hangs at once.
    await hanging.stop();
    const failing = await eventually('it is held back to a probe at a time', async () => {
      const view = await hub.api.subscription('hanging');
      return view.health.state === 'failing' && view.inFlight <= 1 && view;
    });
    // The rest has spent no attempt.
    expect(failing.waiting).toBeGreaterThan(EVENTS - 2 * HANGING);
    expect(failing.pending + failing.waiting).toBe(EVENTS);
  });
});
