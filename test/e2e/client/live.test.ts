import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EventOf, Millrace, Reject, Retry } from '../../../src/client/index.ts';
import { eventually, startHub, type TestHub } from '../support/index.ts';

/** Following and pulling over the real thing, which is killed and comes back. */

let hub: TestHub;
let client: Millrace;

beforeAll(async () => {
  hub = await startHub();
  client = new Millrace({ url: hub.url, key: hub.adminKey, retry: { retries: 60, maxMs: 1_000 } });
});
afterAll(() => hub.stop());

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function publish(topic: string, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number += 10) {
    const events = upTo(Math.min(10, to - number + 1)).map((one) => ({
      type: 'number',
      data: { number: number + one - 1 },
    }));
    await client.publish(topic, events);
  }
}

describe('a tail of the real hub', () => {
  it('P2: gives every event in order, once, while the hub is killed', async () => {
    await publish('followed', 1, 50);
    const stop = new AbortController();
    const seen: EventOf<{ number: number }>[] = [];
    const following = (async () => {
      for await (const event of client.tail<{ number: number }>('followed', { from: 1, signal: stop.signal }))
        seen.push(event);
    })();
    await eventually('it has what was there', () => seen.length === 50);
    await publish('followed', 51, 100);
    await eventually('it has what came', () => seen.length === 100);
    await hub.kill9();
    await hub.start();
    await publish('followed', 101, 150);
    await eventually('it has what came after', () => seen.length === 150);
    stop.abort();
    await following;
    expect(seen.map(({ sequence }) => Number(sequence))).toEqual(upTo(150));
    expect(seen.map(({ data }) => data.number)).toEqual(upTo(150));
  });

  it('reads with a token, that which it may alone', async () => {
    const { token } = await client.tokens.create({ scopes: ['read:followed'], expiresIn: '1m' });
    const page = new Millrace({ url: hub.url, key: () => token });
    for await (const { sequence } of page.tail('followed', { from: 150 })) {
      expect(Number(sequence)).toBe(150);
      break;
    }
    await expect(page.publish('followed', { type: 'a' })).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('workers that pull from the real hub', () => {
  it('P5: handle every event, while they and the hub are killed', async () => {
    await client.subscriptions.put('pulled', {
      topics: ['work'],
      from: 'earliest',
      delivery: { kind: 'pull', ackDeadline: '2s' },
    });
    const handled = new Map<number, number>();
    const stop = new AbortController();
    const errors: unknown[] = [];
    const options = {
      concurrency: 5,
      wait: '2s',
      signal: stop.signal,
      onError: (error: unknown) => void errors.push(error),
    };
    const work = () =>
      client.subscribe<{ number: number }>(
        'pulled',
        async ({ event }) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          handled.set(event.data.number, (handled.get(event.data.number) ?? 0) + 1);
        },
        options,
      );
    const workers = [work(), work(), work()];
    await publish('work', 1, 200);
    await eventually('some are handled', () => handled.size > 40);
    await hub.kill9();
    await hub.start();
    await publish('work', 201, 300);
    await eventually('all are handled', () => handled.size === 300, 90_000);
    await eventually(
      'all are delivered',
      async () => (await client.subscriptions.get('pulled')).delivered === 300,
      60_000,
    );
    stop.abort();
    await Promise.all(workers);
    expect([...handled.keys()].sort((a, b) => a - b)).toEqual(upTo(300));
  });

  it('give back what they can not do, and hold what takes long', async () => {
    await client.subscriptions.put('difficult', {
      topics: ['difficulties'],
      from: 'earliest',
      delivery: { kind: 'pull', ackDeadline: '12s' },
    });
    await publish('difficulties', 1, 3);
    const attempts: string[] = [];
    const stop = new AbortController();
    const working = client.subscribe<{ number: number }>(
      'difficult',
      async ({ event, attempt }) => {
        const { number } = event.data;
        attempts.push(`${number}.${attempt}`);
        if (number === 1 && attempt === 1) throw new Retry('later', '100ms');
        if (number === 2) throw new Reject('no such customer');
        if (number === 3) await new Promise((resolve) => setTimeout(resolve, 15_000));
      },
      { signal: stop.signal, wait: '1s', onError: () => undefined },
    );
    await eventually(
      'it is done',
      async () => {
        const { delivered, dead } = await client.subscriptions.get('difficult');
        return delivered === 2 && dead === 1;
      },
      60_000,
    );
    stop.abort();
    await working;
    expect(attempts.sort()).toEqual(['1.1', '1.2', '2.1', '3.1']);
    const { items } = await client.deadLetters.list({ subscription: 'difficult' }).page();
    expect(items).toMatchObject([{ reason: 'rejected', lastError: 'no such customer' }]);
  });
});
