import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Arrival, eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** Everything about a subscription that can change does, in the middle of traffic and over a kill -9: nothing is lost. */

const BATCHES = 80;
const BATCH = 25;
const EVENTS = BATCHES * BATCH;
const KEYS = 20;
const WITHIN_MS = 120_000;
const SETTLED_MS = 300;

let hub: TestHub;
let first: Receiver;
let second: Receiver;

/** Fails one in ten. */
const moody = () => (Math.random() < 0.1 ? 500 : 200);

beforeAll(async () => {
  hub = await startHub();
  first = await startReceiver({ answer: moody });
  second = await startReceiver({ answer: moody });
});

afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  await hub.stop();
});

const PATIENT = { schedule: Array.from({ length: 20 }, () => '200ms'), jitter: 0.2 };

function document(receiver: Receiver, more: object = {}, delivery: object = {}) {
  return {
    topics: ['orders'],
    from: 'earliest',
    retry: PATIENT,
    ...more,
    delivery: { url: receiver.url, timeout: '2s', ...delivery },
  };
}

const put = (body: object) => hub.api.putSubscription('billing', body);
const act = (action: string, json?: object) =>
  hub.api.json('POST', `/v1/subscriptions/billing/${action}`, json === undefined ? {} : { json });

/** Lets some of the traffic pass. */
async function passed(events: number): Promise<void> {
  const before = first.book.length + second.book.length;
  await eventually(
    `${events} more have come`,
    () => first.book.length + second.book.length >= before + events,
    WITHIN_MS,
  );
}

/** One batch after the other, each until it is acknowledged: an outage is no excuse. */
async function publishAll(): Promise<void> {
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const events = Array.from({ length: BATCH }, (_, number) => ({
      id: `${batch}-${number}`,
      source: '/traffic',
      type: number % 2 === 0 ? 'order.even' : 'order.odd',
      subject: `order-${number % KEYS}`,
    }));
    await eventually('the batch is taken', () => hub.api.publish('orders', events, { withinMs: 5_000 }), WITHIN_MS);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

const settled = () =>
  eventually(
    'all is settled',
    async () => {
      const view = await hub.api.subscription('billing');
      return view.pending + view.waiting + view.lag === 0 && view;
    },
    WITHIN_MS,
  );

function sum(view: Awaited<ReturnType<typeof settled>>): number {
  const { delivered, dead, pending, waiting, filtered, skipped, discarded } = view;
  return delivered + dead + pending + waiting + filtered + skipped + discarded;
}

const arrivals = (): Arrival[] => [...first.book, ...second.book];

describe('P4 P5: in the middle of traffic', () => {
  it('pause, resume, url, secret, rate, concurrency, ordering, filter, transform, a seek back and kill -9 lose nothing', {
    timeout: 300_000,
  }, async () => {
    await put(document(first));
    const traffic = publishAll();
    await passed(50);
    await act('pause');
    await eventually('what was claimed has ended', async () => {
      const before = arrivals().length;
      await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
      return arrivals().length === before;
    });
    expect(await hub.api.subscription('billing')).toMatchObject({ status: 'paused' });
    await act('resume');
    await passed(50);
    await put(document(second));
    await passed(50);
    await act('rotate-secret', { overlap: '1h' });
    await passed(50);
    await put(document(first, { maxInFlight: 3 }, { rateLimit: { perSecond: 200 } }));
    await passed(50);
    await hub.kill9();
    await hub.start();
    await passed(50);
    await put(document(second, { maxInFlight: 64 }, { headers: { 'x-team': 'billing' } }));
    await passed(50);
    await put(document(first, { ordering: 'key' }));
    await passed(50);
    await hub.kill9();
    await hub.start();
    await put(document(second, { ordering: 'topic', transform: '{ "shaped": subject }' }));
    await passed(5);
    await put(document(first, { filter: { types: ['order.even'] } }));
    await passed(50);
    await put(document(first));
    // What the filter let by comes with all else.
    await act('seek', { to: 'earliest' });
    await passed(50);
    await traffic;
    const view = await settled();
    expect(view).toMatchObject({ status: 'active', dead: 0, skipped: 0, filtered: 0, cursor: EVENTS });
    expect(sum(view)).toBe(EVENTS);
    const taken = new Set([...first.taken('orders'), ...second.taken('orders')]);
    expect(taken.size).toBe(EVENTS);
    // One id for an event, however often it came.
    const ids = new Map<number, Set<string>>();
    for (const { sequence, webhookId } of arrivals())
      ids.set(sequence, (ids.get(sequence) ?? new Set()).add(webhookId));
    expect([...ids.values()].every((own) => own.size === 1)).toBe(true);
  });

  it('another filter counts from where it was set; what was before it and what comes after it add up', async () => {
    await put(document(second, { filter: { types: ['order.even'] } }));
    const { skipped: none } = await settled();
    expect(none).toBe(0);
    const more = Array.from({ length: 20 }, (_, number) => ({ type: number % 2 === 0 ? 'order.even' : 'order.odd' }));
    await hub.api.publish('orders', more);
    const filtered = await settled();
    expect(filtered).toMatchObject({ filtered: 10, cursor: EVENTS + 20 });
    expect(sum(filtered)).toBe(EVENTS + 20);
  });

  it('a seek forward counts as skipped what it leaves out', async () => {
    await act('pause');
    await hub.api.publish('orders', [{ type: 'order.even' }, { type: 'order.even' }]);
    await act('seek', { to: 'latest' });
    await act('resume');
    await hub.api.publish('orders', { type: 'order.even' });
    const view = await settled();
    expect(view).toMatchObject({ skipped: 2, delivered: 1, cursor: EVENTS + 23 });
  });
});
