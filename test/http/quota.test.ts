import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { QuotaApi } from '../../src/quotas/protocol.ts';
import { WholeHub } from './whole-hub.ts';

/** What a key with a quota may publish, and what happens when that can't be counted. */

let hub: WholeHub;
let key: string;
let id: string;

/** A clock in the middle of a minute: no test crosses into the next. */
const NOW = Date.UTC(2026, 10, 23, 20, 0, 20);

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
  hub = new WholeHub();
  key = await makeKey('writer', { perMinute: 10 });
  return () => vi.useRealTimers();
});

async function makeKey(name: string, quota?: object): Promise<string> {
  const made = await hub.call('POST', '/v1/keys', { body: { name, scopes: ['publish:>', 'topics:>'], quota } });
  expect(made.status, made.text).toBe(201);
  const [payload = ''] = made.json.key.slice('mr_'.length).split('.');
  id = JSON.parse(Buffer.from(payload, 'base64url').toString())[0];
  return made.json.key;
}

const events = (count: number) => Array.from({ length: count }, () => ({ type: 'order.created' }));
const publish = (count: number, headers: Record<string, string> = {}, body: unknown = events(count)) =>
  hub.call('POST', '/v1/topics/orders/events', { key, body, headers });

describe('POST /v1/keys with a quota', () => {
  it('shows it where there is one', async () => {
    await makeKey('free');
    const [free, writer] = (await hub.call('GET', '/v1/keys')).json.items;
    expect(free).not.toHaveProperty('quota');
    expect(writer).toMatchObject({ name: 'writer', quota: { perMinute: 10 } });
  });

  it.each([{ perSecond: 1 }, { perDay: 1_000_000_000 }])('takes %j', async (quota) => {
    await makeKey('other', quota);
    expect((await hub.call('GET', '/v1/keys')).json.items[0]).toMatchObject({ name: 'other', quota });
  });

  it.each([{}, { perSecond: 0 }, { perHour: 5 }, { perMinute: 1, perDay: 1 }, { perDay: 1.5 }, 5])(
    'refuses %j',
    async (quota) => {
      const { json } = await hub.call('POST', '/v1/keys', { body: { name: 'no', scopes: ['publish:>'], quota } });
      expect(json).toMatchObject({ code: 'invalid-request', errors: [{ path: expect.stringMatching(/^quota/) }] });
    },
  );
});

describe('publishing with a quota', () => {
  it('counts every event of a request, and refuses the one that is too many with what is left and when more comes', async () => {
    const first = await publish(8);
    expect(first.status).toBe(201);
    expect(first.headers.get('ratelimit')).toBe('"events";r=2;t=40');
    expect(first.headers.get('ratelimit-policy')).toBe('"events";q=10;w=60');
    const refused = await publish(3);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('40');
    expect(refused.json).toMatchObject({
      code: 'quota-exceeded',
      quota: { perMinute: 10 },
      remaining: 2,
      resetAt: '2026-11-23T20:01:00.000Z',
    });
    expect((await publish(2)).status).toBe(201);
    expect((await publish(1)).json).toMatchObject({ code: 'quota-exceeded', remaining: 0 });
    vi.setSystemTime(NOW + 40_000);
    expect((await publish(10)).status).toBe(201);
    expect((await hub.call('GET', '/v1/topics/orders')).json.lastSequence).toBe(20);
  });

  it('holds all at once to it exactly, to whatever topics they publish', async () => {
    const sent = Array.from({ length: 40 }, (_, index) =>
      hub.call('POST', `/v1/topics/t-${index % 4}/events`, { key, body: events(1) }),
    );
    const statuses = (await Promise.all(sent)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(30);
  });

  it('says of a request that never fits that it never will', async () => {
    const refused = await publish(11);
    expect(refused.json).toMatchObject({ status: 413, code: 'payload-too-large', quota: { perMinute: 10 } });
    expect(refused.json.detail).toContain('10 events a minute');
  });

  it('takes nothing for what is refused: a bad event, a wrong expectation, a log that is away', async () => {
    expect((await publish(0, {}, [{ type: '' }])).status).toBe(400);
    expect((await publish(9, { 'expected-last-sequence': '5' })).status).toBe(412);
    vi.spyOn(hub.topic('orders'), 'append').mockRejectedValueOnce(new Error('Network connection lost.'));
    expect((await publish(9)).status).toBe(503);
    await hub.settled();
    expect((await publish(10)).status).toBe(201);
  });

  it('takes nothing for an answer given again by its Idempotency-Key; a duplicate counts', async () => {
    const once = { 'idempotency-key': 'one' };
    const body = [
      { type: 'a', id: '1' },
      { type: 'a', id: '2' },
    ];
    expect((await publish(2, once, body)).headers.get('ratelimit')).toBe('"events";r=8;t=40');
    const again = await publish(2, once, body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.headers.get('ratelimit')).toBeNull();
    expect((await publish(2, {}, body)).headers.get('ratelimit')).toBe('"events";r=6;t=40');
  });

  it('costs a key without a quota nothing', async () => {
    key = await makeKey('free');
    const asked = vi.spyOn(hub, 'quota');
    const published = await publish(50);
    expect(published.status).toBe(201);
    expect(published.headers.get('ratelimit')).toBeNull();
    expect((await hub.call('POST', '/v1/topics/orders/events', { body: events(1) })).status).toBe(201);
    expect(asked).not.toHaveBeenCalled();
  });

  it('starts afresh with a key made again, and is forgotten with its key', async () => {
    await publish(10);
    const forget = vi.spyOn(hub.quota(id), 'forget');
    expect((await hub.call('DELETE', '/v1/keys/writer')).status).toBe(204);
    await hub.settled();
    expect(forget).toHaveBeenCalledOnce();
    key = await makeKey('writer', { perMinute: 10 });
    expect((await publish(10)).status).toBe(201);
  });
});

describe('P1 P6: a quota that cannot be counted', () => {
  const failing = (take: QuotaApi['take']) => {
    const api = { take, giveBack: async () => undefined, forget: async () => undefined };
    Object.assign(hub, { quota: () => api });
  };

  it('does not hold up a publish: its object is away, or silent', async () => {
    failing(async () => {
      throw new Error('Network connection lost.');
    });
    expect((await publish(10)).status).toBe(201);
    expect((await publish(10)).status).toBe(201);
    failing(() => new Promise(() => undefined));
    expect((await publish(1)).status).toBe(201);
    const warned = hub.logged.map(({ message }) => message).filter((message) => message !== 'request');
    expect(warned).toEqual(Array(3).fill('A quota could not be asked for: the request goes on without.'));
    expect(JSON.stringify(hub.logged)).not.toContain(key);
  });

  it('refuses a key that overloads its own: too many requests must not be a way around', async () => {
    failing(async () => {
      throw Object.assign(new Error('Durable Object is overloaded.'), { overloaded: true });
    });
    const refused = await publish(1);
    expect(refused.json).toMatchObject({ status: 429, code: 'quota-exceeded' });
    expect(refused.headers.get('retry-after')).toBe('1');
  });

  it('is not asked for again within the second when it is spent', async () => {
    await publish(10);
    const take = vi.spyOn(hub.quota(id), 'take');
    for (let request = 0; request < 50; request += 1) expect((await publish(1)).status).toBe(429);
    expect(take).not.toHaveBeenCalled();
    vi.setSystemTime(NOW + 1_000);
    expect((await publish(1)).headers.get('retry-after')).toBe('39');
    expect(take).toHaveBeenCalledOnce();
  });
});
