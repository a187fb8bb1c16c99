import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Arrival, eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** Order that changes under a receiver that fails three times in ten, and a key that fails. random.test.ts has the great numbers. */

const BATCH = 50;
const KEYS = 12;
const FAILING = 0.3;
/** With so many attempts next to nothing dies of chance. */
const RETRY = { schedule: Array.from({ length: 15 }, () => '100ms'), jitter: 0 };
const PATIENCE_MS = 150_000;

let hub: TestHub;
const receivers: Receiver[] = [];

beforeAll(async () => {
  hub = await startHub();
});
afterAll(async () => {
  await Promise.all(receivers.map((receiver) => receiver.stop()));
  await hub.stop();
});

async function subscribe(name: string, retry: object = RETRY): Promise<Receiver> {
  const receiver = await startReceiver({ answer: () => (Math.random() < FAILING ? 500 : 204) });
  receivers.push(receiver);
  await hub.api.putSubscription(name, { topics: [name], ordering: 'key', retry, delivery: { url: receiver.url } });
  return receiver;
}

async function publish(topic: string, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => ({
      type: 'order.changed',
      subject: `order-${(sent + index) % KEYS}`,
    }));
    await hub.api.publish(topic, events);
  }
}

const drained = (name: string, count: number) =>
  eventually(
    `${name} has drained`,
    async () => {
      const view = await hub.api.subscription(name);
      const { delivered, dead, pending, waiting, filtered, skipped, discarded } = view;
      expect(delivered + dead + pending + waiting + filtered + skipped + discarded).toBe(count);
      expect(pending).toBe(view.inFlight + view.retrying + view.held);
      return delivered + dead === count && view;
    },
    PATIENCE_MS,
  );

const subjectOf = ({ body }: Arrival): string => JSON.parse(body).subject;

describe('P2 P4: a receiver that fails at random', () => {
  it('gets everything through changes of its ordering', { timeout: 240_000 }, async () => {
    const name = 'changing';
    const receiver = await subscribe(name);
    for (const [index, ordering] of (['topic', 'none', 'key', 'topic', 'key'] as const).entries()) {
      await publish(name, BATCH * 2);
      await hub.api.putSubscription(name, {
        topics: [name],
        ordering,
        retry: RETRY,
        delivery: { url: receiver.url, headers: { 'x-change': String(index) } },
      });
    }
    const { dead } = await drained(name, BATCH * 10);
    expect(receiver.taken(name)).toHaveLength(BATCH * 10 - dead);
  });
});

describe('P2: a key that fails', () => {
  it('is held and shown as held, while the others run on, and comes in order through a kill -9', {
    timeout: 240_000,
  }, async () => {
    const name = 'held';
    let broken = true;
    const receiver = await subscribe(name, { schedule: Array.from({ length: 60 }, () => '2s'), jitter: 0 });
    receiver.answer = (arrival) => (broken && subjectOf(arrival) === 'order-0' ? 500 : 204);
    await publish(name, 3 * KEYS * 50);
    const own = Array.from({ length: 150 }, (_, index) => index * KEYS + 1);
    await eventually(
      'all but one key are delivered',
      async () => (await hub.api.subscription(name)).delivered === 150 * (KEYS - 1),
      PATIENCE_MS,
    );
    expect(await hub.api.subscription(name)).toMatchObject({ held: 149, waiting: 0, cursor: 0 });
    const became = await hub.api.json<{ items: object[] }>('GET', `/v1/topics/${name}/events/${1 + KEYS}/deliveries`);
    expect(became.items).toMatchObject([{ subscription: name, status: 'held' }]);
    await hub.kill9();
    broken = false;
    await hub.start();
    await drained(name, 3 * KEYS * 50);
    const mine = receiver.book.filter((arrival) => arrival.status === 204 && subjectOf(arrival) === 'order-0');
    expect([...new Set(mine.map(({ sequence }) => sequence))]).toEqual(own);
  });
});
