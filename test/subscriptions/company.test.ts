import { expect, test, vi } from 'vitest';
import { Delivering } from './delivering.ts';
import { Hub, WEBHOOK } from './harness.ts';

/** Events before those that are counted. */
const FIRST = 30;

/**
 * Publishes an event each so many milliseconds to receivers that answer at once; what was called for each subscription and
 * event, and how late each came.
 */
async function flowing(everyMs: number, events: number, subscriptions = 1) {
  const hub = new Hub();
  const names = Array.from({ length: subscriptions }, (_, index) => `billing-${index}`);
  for (const name of names) await hub.subscribe(name);
  const delivering = new Delivering(hub);
  await delivering.run(1_000);
  const published: number[] = [];
  const publish = async (count: number) => {
    for (let index = 0; index < count; index += 1) {
      const at = hub.clock.now();
      published.push(at);
      await hub.publish('orders', 1);
      await delivering.run(Math.max(0, at + everyMs - hub.clock.now()), 5);
    }
  };
  // What comes first does not know yet how much does.
  await publish(FIRST);
  const spies = names.flatMap((name) => {
    const subscription = hub.subscription(name);
    return [
      vi.spyOn(subscription, 'wake'),
      vi.spyOn(subscription, 'claim'),
      vi.spyOn(subscription, 'settle'),
      vi.spyOn(subscription, 'alarm'),
    ];
  });
  const reads = vi.spyOn(hub.log('orders'), 'readOrPark');
  await publish(events);
  await delivering.run(1_000);
  const late = delivering.started.map(({ at, sequence }) => at - (published[sequence - 1] ?? 0));
  const made = [...spies, reads].reduce((sum, spy) => sum + spy.mock.calls.length, 0);
  return { calls: made / events / subscriptions, late };
}

test('events that come a hundred a second share their calls, and wait for others no longer than a quarter of a second', async () => {
  const { calls, late } = await flowing(10, 1_000);
  expect(late).toHaveLength(FIRST + 1_000);
  expect(calls).toBeLessThan(0.2);
  expect(Math.max(...late)).toBeLessThanOrEqual(250);
});

test('events that come a hundred a second to a hundred subscriptions cost each of them as little as one alone', {
  timeout: 120_000,
}, async () => {
  const { calls, late } = await flowing(10, 150, 100);
  expect(late).toHaveLength((FIRST + 150) * 100);
  expect(calls).toBeLessThan(0.2);
  expect(Math.max(...late)).toBeLessThanOrEqual(250);
});

test('events that come ten a second wait for nobody', async () => {
  const { late } = await flowing(100, 50);
  expect(late).toHaveLength(FIRST + 50);
  expect(Math.max(...late)).toBeLessThanOrEqual(30);
});

test('what waits behind keys is read once, the oldest first, and shares leases', async () => {
  const hub = new Hub();
  const delivery = { ...WEBHOOK, timeoutMs: 5_000 };
  await hub.subscribe('billing', { ordering: 'key', maxInFlight: 512, delivery });
  const delivering = new Delivering(hub);
  // Leases end at different times, so that slots come back in all numbers.
  delivering.answer = (started) => delivering.after(2 + ((started.sequence * 7) % 13))(started);
  await hub.publish('orders', 10);
  await delivering.run(1_000);
  await hub.awaiting(hub.subscription('billing').pause());
  const events = 6_000;
  const keys = Array.from({ length: 100 }, (_, key) => `k${key}`);
  for (let sent = 0; sent < events; sent += keys.length) await hub.publishKeys('orders', keys);
  const claims = vi.spyOn(hub.subscription('billing'), 'claim');
  const reads = vi.spyOn(hub.log('orders'), 'readKeys');
  await hub.awaiting(hub.subscription('billing').resume());
  delivering.started.length = 0;
  await delivering.run(8_000);

  const sequences = delivering.started.map(({ sequence }) => sequence);
  expect(new Set(sequences).size).toBe(events);
  for (const [key] of keys.entries()) {
    const ofKey = sequences.filter((sequence) => sequence % keys.length === key);
    expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b));
  }
  expect(claims.mock.calls.length).toBeLessThan(events / 50);
  const results = await Promise.all(reads.mock.results.map(({ value }) => value));
  expect(results.flat().reduce((sum, { events: read }) => sum + read.length, 0)).toBeLessThanOrEqual(events);
});
