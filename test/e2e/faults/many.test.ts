import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** Much of everything: thousands of events to a receiver that fails at random, and hundreds of subscriptions on one topic. */

const EVENTS = 5_000;
const BATCH = 500;
const FAILS = 0.3;
/** A thousand are in test/subscriptions/crowd.test.ts: to make them over HTTP takes minutes. */
const SUBSCRIPTIONS = 200;
const MAKERS = 16;
const WITHIN_MS = 240_000;
const TIMEOUT_MS = 600_000;

let hub: TestHub;
let receiver: Receiver;

beforeAll(async () => {
  hub = await startHub();
  receiver = await startReceiver();
});

afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

describe('P4: a receiver that fails three in ten', () => {
  it('gets 5,000 events over a kill -9: each is delivered or a dead letter, and the sums are equal', {
    timeout: TIMEOUT_MS,
  }, async () => {
    receiver.answer = () => (Math.random() < FAILS ? 500 : 200);
    await hub.api.putSubscription('moody', {
      topics: ['flood'],
      retry: { schedule: ['50ms', '100ms', '200ms'], jitter: 0.2 },
      delivery: { url: receiver.url },
    });
    for (let sent = 0; sent < EVENTS; sent += BATCH) {
      await hub.api.publish(
        'flood',
        Array.from({ length: BATCH }, (_, number) => ({ type: 'drop', data: { number: sent + number } })),
      );
    }
    await eventually('a part of it has come', () => receiver.book.length > 1_000, WITHIN_MS);
    await hub.kill9();
    await hub.start();
    const view = await eventually(
      'all is settled',
      async () => {
        const now = await hub.api.subscription('moody');
        return now.pending + now.waiting === 0 && now;
      },
      WITHIN_MS,
    );
    expect(view).toMatchObject({ lag: 0, cursor: EVENTS, filtered: 0, skipped: 0, discarded: 0 });
    expect(view.delivered + view.dead).toBe(EVENTS);
    const taken = new Set(receiver.taken('flood'));
    const letters = await eventually('the letters are in D1', async () => {
      const all = await hub.api.deadLetters({ subscription: 'moody' });
      return all.length === view.dead && all;
    });
    const dead = new Set(letters.map(({ sequence }) => sequence));
    expect(dead.size).toBe(view.dead);
    const lost = Array.from({ length: EVENTS }, (_, index) => index + 1).filter(
      (sequence) => !taken.has(sequence) && !dead.has(sequence),
    );
    expect(lost).toEqual([]);
    expect(view.delivered).toBeLessThanOrEqual(taken.size);
    // Three in ten, four times over: about 40.
    expect(view.dead).toBeLessThan(EVENTS / 20);
  });
});

describe('P6: hundreds of subscriptions on one topic', () => {
  it('each get every event, over a kill -9 in the middle of it', { timeout: TIMEOUT_MS }, async () => {
    receiver.answer = () => 200;
    receiver.book.length = 0;
    let next = 0;
    const make = async () => {
      while (next < SUBSCRIPTIONS) {
        next += 1;
        const name = `reader-${next}`;
        const delivery = { url: `${receiver.url}/${name}` };
        await eventually(`${name} is made`, () => hub.api.putSubscription(name, { topics: ['news'], delivery }));
      }
    };
    await Promise.all(Array.from({ length: MAKERS }, make));
    await hub.api.publish('news', [{ type: 'headline' }, { type: 'headline' }]);
    const came = () => new Set(receiver.book.map(({ path, sequence }) => `${path} ${sequence}`)).size;
    await eventually('some have come', () => came() > SUBSCRIPTIONS / 4, WITHIN_MS);
    await hub.kill9();
    await hub.start();
    await eventually('all have come', () => came() === 2 * SUBSCRIPTIONS, WITHIN_MS);
    await hub.api.publish('news', { type: 'headline' });
    await eventually('one more to each', () => came() === 3 * SUBSCRIPTIONS, WITHIN_MS);
    expect(await hub.api.topic('news')).toMatchObject({ subscriptions: SUBSCRIPTIONS, lastSequence: 3 });
    const view = await eventually('the last is settled', async () => {
      const last = await hub.api.subscription(`reader-${SUBSCRIPTIONS}`);
      return last.lag === 0 && last;
    });
    expect(view).toMatchObject({ delivered: 3, failed: 0 });
  });
});
