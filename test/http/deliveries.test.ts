import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serve } from '../../src/http/app.ts';
import type { DeliveryView } from '../../src/subscriptions/protocol-views.ts';
import { type Answer, FakeHub } from './fake-hub.ts';

const PATH = '/v1/topics/orders/events/3/deliveries';

function delivery(changes: Partial<DeliveryView> = {}): DeliveryView {
  return {
    status: 'delivered',
    attempts: 1,
    lastStatus: 200,
    lastError: null,
    nextAttemptAt: null,
    settledAt: Date.UTC(2026, 10, 23),
    deadLetter: null,
    ...changes,
  };
}

let hub: FakeHub;

beforeEach(() => {
  hub = new FakeHub();
  const json = '{"specversion":"1.0","id":"1","source":"/x","type":"order.created","time":"2026-11-23T00:00:00Z"}';
  hub.topic('orders').event.mockResolvedValue({ outcome: 'found', event: { sequence: 3, json } });
});

describe('GET /v1/topics/{topic}/events/{sequence}/deliveries', () => {
  it('has a row for each subscription of the topic, page by page', async () => {
    const names = ['analytics', 'billing', 'email'];
    hub
      .topic('orders')
      .subscribers.mockImplementation(async (after, limit) => names.filter((name) => name > after).slice(0, limit));
    hub.subscription('analytics').delivery.mockResolvedValue(delivery());
    const nextAttemptAt = Date.UTC(2026, 10, 24);
    hub
      .subscription('billing')
      .delivery.mockResolvedValue(
        delivery({ status: 'retrying', attempts: 2, lastStatus: 500, lastError: 'x', settledAt: null, nextAttemptAt }),
      );
    hub.subscription('email').delivery.mockResolvedValue(delivery({ status: 'dead', deadLetter: 'dl_a' }));
    const first = await hub.call('GET', `${PATH}?limit=2`);
    expect(first.body.items).toEqual([
      { subscription: 'analytics', ...delivery(), settledAt: '2026-11-23T00:00:00.000Z' },
      {
        subscription: 'billing',
        status: 'retrying',
        attempts: 2,
        lastStatus: 500,
        lastError: 'x',
        nextAttemptAt: '2026-11-24T00:00:00.000Z',
        settledAt: null,
        deadLetter: null,
      },
    ]);
    expect(hub.subscription('billing').delivery).toHaveBeenCalledWith(
      'orders',
      3,
      expect.stringContaining('order.created'),
    );
    const second = await hub.call('GET', `${PATH}?limit=2&cursor=${first.body.next}`);
    expect(second.body).toMatchObject({ items: [{ subscription: 'email', deadLetter: 'dl_a' }], next: null });
  });

  it('is 404 or 410 with the event, and 403 before that', async () => {
    const { event } = hub.topic('orders');
    event.mockResolvedValueOnce({ outcome: 'unknown-event' });
    expect(await hub.call('GET', PATH)).toMatchObject({ status: 404, body: { code: 'unknown-event' } });
    event.mockResolvedValueOnce({ outcome: 'unknown-topic' });
    expect(await hub.call('GET', PATH)).toMatchObject({ status: 404, body: { code: 'unknown-topic' } });
    event.mockResolvedValueOnce({ outcome: 'sequence-expired', firstSequence: 9 });
    expect(await hub.call('GET', PATH)).toMatchObject({
      status: 410,
      body: { code: 'sequence-expired', firstSequence: 9 },
    });
    const blind = await hub.call('GET', PATH, undefined, { key: hub.keyWith('read:refunds', 'dead-letters') });
    expect(blind.status).toBe(403);
    for (const bad of ['-1', '1.5', 'x', '1'.repeat(21)]) {
      expect((await hub.call('GET', `/v1/topics/orders/events/${bad}/deliveries`)).status).toBe(400);
    }
  });
});

describe('P8: the same as a stream', () => {
  const NAMES = Array.from({ length: 120 }, (_, index) => `s${String(index).padStart(3, '0')}`);

  function subscribers(names: string[]) {
    hub
      .topic('orders')
      .subscribers.mockImplementation(async (after, limit) => names.filter((name) => name > after).slice(0, limit));
  }

  async function open(headers: Record<string, string> = {}, query = ''): Promise<Response> {
    const authorization = `Bearer ${hub.keyWith('read:orders')}`;
    const all = { authorization, accept: 'text/event-stream', ...headers };
    return serve(new Request(`https://hub.example.com${PATH}${query}`, { headers: all }), hub.hub);
  }

  const blocksOf = (text: string) => text.split('\n\n').filter((block) => block !== '');
  const rowsOf = (text: string): Answer[] =>
    blocksOf(text).flatMap((block) => {
      const data = /^event: delivery\ndata: (.*)$/.exec(block)?.[1];
      return data === undefined ? [] : [JSON.parse(data)];
    });

  it('has all present rows first, then each change, and ends with the id "settled" when none is open', async () => {
    subscribers(['analytics', 'billing']);
    hub.subscription('analytics').delivery.mockResolvedValue(delivery());
    const pending = delivery({ status: 'pending', attempts: 0, lastStatus: null, settledAt: null });
    const steps = [delivery({ ...pending, status: 'delivering' }), delivery()];
    hub.subscription('billing').delivery.mockResolvedValue(pending);
    hub.subscription('billing').deliveryOtherThan.mockImplementation(async () => steps.shift() ?? delivery());
    const response = await open();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const text = await response.text();
    expect(rowsOf(text)).toEqual([
      { subscription: 'analytics', ...delivery(), settledAt: '2026-11-23T00:00:00.000Z' },
      { subscription: 'billing', ...pending },
      { subscription: 'billing', ...pending, status: 'delivering' },
      { subscription: 'billing', ...delivery(), settledAt: '2026-11-23T00:00:00.000Z' },
    ]);
    expect(blocksOf(text).at(-1)).toBe('id: settled');
    expect(hub.subscription('billing').deliveryOtherThan).toHaveBeenCalledWith({
      v: 1,
      topic: 'orders',
      sequence: 3,
      json: expect.stringContaining('order.created'),
      known: pending,
      waitMs: 20_000,
    });
    expect(hub.subscription('analytics').deliveryOtherThan).not.toHaveBeenCalled();
  });

  it('is of up to 1,000 subscriptions, or of the page that is asked for', async () => {
    subscribers(NAMES);
    for (const name of NAMES) hub.subscription(name).delivery.mockResolvedValue(delivery());
    expect(rowsOf(await (await open()).text()).map(({ subscription }) => subscription)).toEqual(NAMES);
    expect(hub.topic('orders').subscribers).toHaveBeenLastCalledWith('', 1_001);
    const first = await hub.call('GET', `${PATH}?limit=10`);
    const second = await open({}, `?limit=10&cursor=${first.body.next}`);
    expect(rowsOf(await second.text()).map(({ subscription }) => subscription)).toEqual(NAMES.slice(10, 20));
    expect((await hub.call('GET', PATH)).body.items).toHaveLength(50);
  });

  it('is 204 for a browser that comes back to a stream that is done, and a stream for any other', async () => {
    subscribers(['analytics']);
    hub.subscription('analytics').delivery.mockResolvedValue(delivery());
    expect((await open({ 'last-event-id': 'settled' })).status).toBe(204);
    const other = await open({ 'last-event-id': '7' });
    expect(rowsOf(await other.text())).toHaveLength(1);
    expect((await hub.call('GET', PATH, undefined, { headers: { 'last-event-id': 'settled' } })).status).toBe(200);
  });

  it('is JSON where that is preferred', async () => {
    subscribers(['analytics']);
    hub.subscription('analytics').delivery.mockResolvedValue(delivery());
    for (const accept of ['application/json, text/event-stream', 'text/event-stream;q=0.5, application/json', '*/*']) {
      const response = await open({ accept });
      expect(response.headers.get('content-type')).toBe('application/json');
    }
  });

  it('refuses as JSON does, before it begins', async () => {
    hub.topic('orders').event.mockResolvedValueOnce({ outcome: 'unknown-event' });
    expect((await open()).status).toBe(404);
    expect((await open({ authorization: `Bearer ${hub.keyWith('read:refunds')}` })).status).toBe(403);
    expect((await open({}, '?limit=0')).status).toBe(400);
    subscribers(['analytics']);
    hub.subscription('analytics').delivery.mockRejectedValue(new Error('It was reset.'));
    expect((await open()).status).toBe(500);
  });

  it('is cut off where a row can’t be had any more, and says so in the log', async () => {
    subscribers(NAMES);
    for (const name of NAMES) hub.subscription(name).delivery.mockResolvedValue(delivery());
    hub.subscription('s070').delivery.mockRejectedValue(new Error('It was reset.'));
    const response = await open();
    await expect(response.text()).rejects.toThrow('It was reset.');
    expect(hub.logged).toContain('A stream of deliveries was cut off.');
  });

  describe('in time', () => {
    beforeEach(() => {
      vi.useFakeTimers();
      subscribers(['billing']);
      hub.subscription('billing').delivery.mockResolvedValue(delivery({ status: 'pending' }));
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    it('has a comment line every 15 s, and leaves nothing behind when the reader hangs up', async () => {
      hub
        .subscription('billing')
        .deliveryOtherThan.mockImplementation(
          ({ known, waitMs }) => new Promise((resolve) => setTimeout(() => resolve(known), waitMs)),
        );
      const reader = (await open()).body?.getReader();
      let text = '';
      const reading = (async () => {
        for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
          text += new TextDecoder().decode(part.value);
        }
      })();
      await vi.advanceTimersByTimeAsync(31_000);
      expect(blocksOf(text).filter((block) => block === ':')).toHaveLength(2);
      expect(blocksOf(text)[0]).toBe('retry: 1000');
      await reader?.cancel();
      await reading;
      await vi.advanceTimersByTimeAsync(60_000);
      expect(hub.subscription('billing').deliveryOtherThan).toHaveBeenCalledTimes(2);
      expect(vi.getTimerCount()).toBe(0);
    });

    it('does nothing for a HEAD', async () => {
      const authorization = `Bearer ${hub.keyWith('read:orders')}`;
      const headers = { authorization, accept: 'text/event-stream' };
      const response = await serve(new Request(`https://hub.example.com${PATH}`, { method: 'HEAD', headers }), hub.hub);
      expect(response.status).toBe(200);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(hub.subscription('billing').deliveryOtherThan).not.toHaveBeenCalled();
    });
  });
});
