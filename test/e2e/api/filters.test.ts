import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { type Page, type Stranger, startStranger } from './support/stranger.ts';

/** Filters in CEL and transforms in JSONata, as docs/filters.md has them. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

/** Topic and subscription of one name; answers the secret. */
async function subscribe(name: string, change: Record<string, unknown>): Promise<string> {
  const answer = await me.put(`/v1/subscriptions/${name}`, {
    topics: [name],
    retry: { schedule: ['100ms'], jitter: 0 },
    delivery: { url: receiver.url, timeout: '10s' },
    ...change,
  });
  return answer.is<{ delivery: { secret: string } }>(201).delivery.secret;
}

const arrivals = (topic: string) => receiver.book.filter((arrival) => arrival.topic === topic);
const reached = (name: string, counts: Record<string, number>) =>
  eventually(`${name} has ${JSON.stringify(counts)}`, async () => {
    const view: Record<string, unknown> = { ...(await api.subscription(name)) };
    return Object.entries(counts).every(([count, value]) => view[count] === value);
  });

describe('a filter in CEL', () => {
  it('delivers what matches, counts the rest, and makes a dead letter of what it fails on', async () => {
    await subscribe('amounts', { filter: { types: ['order.*'], cel: 'data.amount > 100 && tenant == "acme"' } });
    const order = (amount: unknown, tenant = 'acme') => ({ type: 'order.created', tenant, data: { amount } });
    await me.publish('amounts', [
      order(150),
      order(50),
      order('many'),
      order(150, 'globex'),
      { type: 'order.empty' },
      { type: 'mail.sent', tenant: 'acme', data: { amount: 500 } },
      order(101),
    ]);
    await reached('amounts', { delivered: 2, filtered: 4, dead: 1, lag: 0 });
    // Without an order they come in any.
    const sequences = arrivals('amounts').map(({ sequence }) => sequence ?? 0);
    expect(sequences.toSorted((a, b) => a - b)).toEqual([1, 7]);
    const letters = await eventually('the letter is in the list', async () => {
      const { items } = (await me.get('/v1/dead-letters?subscription=amounts')).is<Page<Record<string, unknown>>>(200);
      return items.length > 0 && items;
    });
    expect(letters).toMatchObject([
      { sequence: 3, reason: 'invalid', attempts: 0, lastError: expect.stringContaining('line 1, column') },
    ]);
    const statuses = await Promise.all(
      [1, 2, 3, 5].map(async (sequence) => {
        const rows = await me.get(`/v1/topics/amounts/events/${sequence}/deliveries`);
        return rows.is<Page<{ status: string }>>(200).items[0]?.status;
      }),
    );
    expect(statuses).toEqual(['delivered', 'filtered', 'dead', 'filtered']);
  });

  it('with a mistake is refused where it is made, and changes nothing', async () => {
    const put = (change: object) =>
      me.put('/v1/subscriptions/mistaken', { topics: ['a'], delivery: { url: receiver.url }, ...change });
    const problem = (await put({ filter: { cel: 'data.amount >' } })).refused(400, 'invalid-request', 'filter.cel');
    expect(problem.errors?.[0]?.message).toContain('line 1, column 13');
    (await put({ transform: { headers: '{ "a": ' } })).refused(400, 'invalid-request', 'transform.headers');
    (await put({ transform: '$eval(data.code)' })).refused(400, 'invalid-request', 'transform');
    (await me.get('/v1/subscriptions/mistaken')).refused(404, 'unknown-subscription');
  });

  it('of a replay applies beside that of the subscription', async () => {
    await subscribe('replayed', { filter: { cel: 'data.n > 1' } });
    await me.publish(
      'replayed',
      [1, 2, 3].map((n) => ({ type: 'counted', data: { n } })),
    );
    await reached('replayed', { delivered: 2 });
    const made = await me.post('/v1/topics/replayed/replays', {
      subscription: 'replayed',
      from: 'earliest',
      filter: { cel: 'data.n < 3' },
    });
    expect(made.is(202)).toMatchObject({ filter: { types: [], cel: 'data.n < 3' } });
    await eventually('the replay came', async () => arrivals('replayed').some(({ replay }) => replay !== null));
    expect(
      arrivals('replayed')
        .filter(({ replay }) => replay !== null)
        .map(({ sequence }) => sequence),
    ).toEqual([2]);
  });
});

describe('a transform in JSONata', () => {
  const TRANSFORM = {
    data: '{ "order": data.id, "total": $sum(data.lines.(price * count)) }',
    headers: '{ "x-tenant": tenant }',
    path: '"/orders/" & data.id',
  };
  const ORDER = { type: 'order.paid', tenant: 'acme', data: { id: 17, lines: [{ price: 10, count: 2 }] } };

  it('makes data, headers and path of what goes out, and the signature is over that', async () => {
    const secret = await subscribe('transformed', { transform: TRANSFORM });
    await me.publish('transformed', ORDER);
    await reached('transformed', { delivered: 1 });
    const [arrival] = arrivals('transformed');
    const { headers, body } = arrival ?? { headers: {}, body: '' };
    expect(headers).toMatchObject({ 'x-tenant': 'acme' });
    expect(new Webhook(secret).verify(body, headers)).toMatchObject({
      type: 'order.paid',
      datacontenttype: 'application/json',
      data: { order: 17, total: 20 },
    });
    // What is stored is what was published.
    expect((await me.get('/v1/topics/transformed/events/1')).is(200)).toMatchObject({ data: ORDER.data });
  });

  it('that fails makes a dead letter at once; mended, a redrive goes out by the new one', async () => {
    await subscribe('mended', { transform: 'data.id + 1' });
    await me.publish('mended', { type: 'order.paid', data: { id: 'x' } });
    await reached('mended', { dead: 1, failed: 0 });
    const [letter] = await eventually('the letter is in the list', async () => {
      const { items } = (await me.get('/v1/dead-letters?subscription=mended')).is<Page<{ id: string }>>(200);
      return items.length > 0 && items;
    });
    expect(letter).toMatchObject({
      reason: 'invalid',
      attempts: 0,
      lastError: expect.stringContaining('transform.data'),
    });
    await me.put('/v1/subscriptions/mended', {
      topics: ['mended'],
      delivery: { url: receiver.url },
      transform: '{ "id": data.id }',
    });
    await me.post(`/v1/dead-letters/${letter?.id}/redrive`);
    await reached('mended', { delivered: 1, dead: 0 });
    expect(JSON.parse(arrivals('mended')[0]?.body ?? '')).toMatchObject({ data: { id: 'x' } });
  });

  it('is shown by a preview, which sends nothing and shows just what will go out', async () => {
    await subscribe('shown', { filter: { cel: 'data.id > 1' }, transform: TRANSFORM });
    const preview = (body: unknown) =>
      me.post('/v1/subscriptions/shown/preview', body).then((answer) => answer.is(200));
    const shown = await preview({ event: ORDER });
    expect(shown).toMatchObject({
      matches: true,
      error: null,
      request: { method: 'POST', url: `${new URL(receiver.url).origin}/orders/17`, headers: { 'x-tenant': 'acme' } },
    });
    expect(await preview({ event: { type: 'a', data: { id: 1 } } })).toEqual({
      matches: false,
      error: null,
      request: null,
    });
    expect(await preview({ event: { type: 'a', data: { id: 'x' } } })).toMatchObject({
      matches: false,
      error: expect.stringContaining('filter.cel failed'),
    });
    expect(arrivals('shown')).toEqual([]);

    await me.publish('shown', ORDER);
    await reached('shown', { delivered: 1 });
    const stored = await preview({ topic: 'shown', sequence: 1 });
    expect(stored).toMatchObject({ request: { body: arrivals('shown')[0]?.body } });
    expect((await me.post('/v1/subscriptions/none/preview', { event: ORDER })).status).toBe(404);
  });
});
