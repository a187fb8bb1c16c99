import { expect, test, vi } from 'vitest';
import { Delivering } from './delivering.ts';
import { Hub } from './harness.ts';

/** Publishes an event each so many milliseconds to a receiver that answers at once; what was called, and how late each came. */
async function flowing(everyMs: number, events: number) {
  const hub = new Hub();
  await hub.subscribe('billing');
  const delivering = new Delivering(hub);
  await delivering.run(1_000);
  const subscription = hub.subscription('billing');
  const calls = [
    vi.spyOn(subscription, 'wake'),
    vi.spyOn(subscription, 'claim'),
    vi.spyOn(subscription, 'settle'),
    vi.spyOn(hub.log('orders'), 'readOrPark'),
  ];
  const published: number[] = [];
  for (let index = 0; index < events; index += 1) {
    const at = hub.clock.now();
    published.push(at);
    await hub.publish('orders', 1);
    await delivering.run(Math.max(0, at + everyMs - hub.clock.now()), 5);
  }
  await delivering.run(1_000);
  const late = delivering.started.map(({ at, sequence }) => at - (published[sequence - 1] ?? 0));
  return { calls: calls.reduce((sum, spy) => sum + spy.mock.calls.length, 0) / events, late };
}

test('events that come a hundred a second share their calls, and wait for others no longer than a quarter of a second', async () => {
  const { calls, late } = await flowing(10, 1_000);
  expect(late).toHaveLength(1_000);
  expect(calls).toBeLessThan(0.2);
  expect(Math.max(...late)).toBeLessThanOrEqual(250);
});

test('events that come ten a second wait for nobody', async () => {
  const { late } = await flowing(100, 50);
  expect(late).toHaveLength(50);
  expect(Math.max(...late)).toBeLessThanOrEqual(30);
});
