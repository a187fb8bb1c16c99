import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EventOf, Millrace, MillraceError, verify } from '../../../src/client/index.ts';
import { eventually, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** The client against a real hub, over real HTTP. */

let hub: TestHub;
let client: Millrace;

beforeAll(async () => {
  hub = await startHub();
  // Long enough for a hub that is killed and started again.
  client = new Millrace({ url: hub.url, key: hub.adminKey, retry: { retries: 60, maxMs: 1_000 } });
});
afterAll(() => hub.stop());

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const WRITERS = 6;
const BATCHES = 30;
const BATCH = 20;

describe('the client', () => {
  it('P1 P3: publishes every event once while the hub is killed and comes back', async () => {
    let published = 0;
    const write = async (writer: number) => {
      for (let batch = 0; batch < BATCHES; batch += 1) {
        const events = Array.from({ length: BATCH }, (_, index) => ({
          type: 'order.created',
          data: { order: `${writer}/${batch}/${index}` },
        }));
        const receipts = await client.publish('killed', events);
        expect(receipts).toHaveLength(BATCH);
        published += 1;
      }
    };
    const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer));
    for (const after of [20, 90]) {
      await eventually(`${after} batches are published`, () => published >= after);
      await hub.kill9();
      await hub.start();
    }
    await Promise.all(writers);
    const events: EventOf<{ order: string }>[] = await all(client.read<{ order: string }>('killed'));
    const orders = events.map(({ data }) => data.order);
    expect(orders).toHaveLength(WRITERS * BATCHES * BATCH);
    expect(new Set(orders).size).toBe(orders.length);
    expect(events.map(({ sequence }) => Number(sequence))).toEqual(orders.map((_, index) => index + 1));
  });

  it('has its webhooks verified by who receives them, over attempts and a rotation', async () => {
    const receiver = await startReceiver();
    receiver.answer = ({ attempt }) => (attempt < 2 ? 503 : 200);
    const { delivery } = await client.subscriptions.put('verified', {
      topics: ['webhooks'],
      retry: { schedule: ['100ms'], jitter: 0 },
      delivery: { url: receiver.url },
    });
    await client.publish('webhooks', { type: 'order.created', data: { amount: 1 } });
    await eventually('it is taken', () => receiver.taken('webhooks').length === 1);
    const { secret, publicKey } = await client.subscriptions.rotateSecret('verified', { signature: 'v1a' });
    await client.publish('webhooks', { type: 'order.created', data: { amount: 2 } });
    await eventually('the second is taken', () => receiver.taken('webhooks').length === 2);
    const before = (delivery.kind === 'webhook' && delivery.secret) || '';
    const keys = [[before], [publicKey ?? '', before]];
    const seen = [];
    for (const { headers, body } of receiver.book) {
      for (const key of keys) {
        const { deliveries } = await verify<{ amount: number }>({ headers, body }, key);
        for (const { event, attempt, sequence } of deliveries) seen.push([sequence, attempt, event.data.amount]);
      }
      await expect(verify({ headers, body: `${body} ` }, keys.flat())).rejects.toMatchObject({
        code: 'no-matching-signature',
      });
    }
    expect(seen).toEqual(
      [1, 1, 2, 2].flatMap((amount, index) => [
        [amount, (index % 2) + 1, amount],
        [amount, (index % 2) + 1, amount],
      ]),
    );
    const last = receiver.book.at(-1) ?? expect.fail('none');
    expect((await verify(last, secret)).deliveries).toHaveLength(1);
    await receiver.stop();
  });

  it('follows an event until it is delivered, reads attempts, dead letters and metrics', async () => {
    const receiver = await startReceiver();
    receiver.answer = () => 500;
    await client.subscriptions.put('failing', {
      topics: ['followed'],
      retry: { schedule: ['50ms'], jitter: 0 },
      delivery: { url: receiver.url },
    });
    await client.publish('followed', { type: 'order.created' });
    const rows = await all(client.followDeliveries('followed', 1));
    expect(rows.at(-1)).toMatchObject({ subscription: 'failing', status: 'dead', attempts: 2 });
    const attempts = await all(client.subscriptions.attempts('failing', { limit: 1 }));
    expect(attempts.map(({ attempt, status }) => [attempt, status])).toEqual([
      [2, 500],
      [1, 500],
    ]);
    const letter = await eventually('there is a dead letter', async () => {
      const [first] = await all(client.deadLetters.list({ subscription: 'failing' }));
      return first;
    });
    receiver.answer = () => 200;
    await client.deadLetters.redrive(letter?.id ?? '');
    await eventually('it is delivered', () => receiver.taken('followed').length === 1);
    expect(await client.metrics()).toContain('millrace_');
    await receiver.stop();
  });

  it('is refused what its key does not grant', async () => {
    const { key } = await client.keys.create({ name: 'reader', scopes: ['read:followed'] });
    const reader = new Millrace({ url: hub.url, key });
    expect(await all(reader.read('followed'))).toHaveLength(1);
    const error = await reader.publish('followed', { type: 'a' }).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) return expect.fail('no MillraceError');
    expect(error).toMatchObject({ code: 'forbidden', status: 403 });
    expect(error.requestId).toMatch(/./);
    await expect(new Millrace({ url: hub.url }).topics.get('followed')).rejects.toMatchObject({ code: 'unauthorized' });
  });
});
