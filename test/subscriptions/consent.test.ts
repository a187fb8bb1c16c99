import { describe, expect, test } from 'vitest';
import type { RateLimit } from '../../src/subscriptions/document.ts';
import { slowerRate } from '../../src/subscriptions/rate.ts';
import { booked, Hub, WEBHOOK, webhookTarget } from './harness.ts';

const ASKING = { delivery: { ...WEBHOOK, handshake: true } };
const HUB = 'https://hub.example.com';
const GIVEN = { given: true, perMinute: null } as const;

async function askingHub(): Promise<Hub> {
  const hub = new Hub();
  await hub.subscribe('billing', ASKING);
  return hub;
}

const request = async (hub: Hub) => {
  const asked = await hub.subscription('billing').consentRequest(HUB);
  if (asked === null) throw new Error('Nothing is to be asked.');
  return asked;
};

async function consent(hub: Hub, perMinute: number | null = null): Promise<void> {
  const { token } = await request(hub);
  await hub.subscription('billing').consentAnswer({ token, consent: { given: true, perMinute } });
}

describe('P4: a subscription whose receiver has not consented', () => {
  test('is pending and says why; its events wait, and go out once it has', async () => {
    const hub = await askingHub();
    expect(await hub.view('billing')).toMatchObject({
      status: 'pending',
      reason: expect.stringContaining('not been asked'),
    });
    await hub.publish('orders', 3);
    expect(await hub.work('billing')).toEqual([]);
    const { token } = await request(hub);
    const refusal = { given: false, reason: 'The receiver answered 405 without WebHook-Allowed-Origin.' } as const;
    expect(await hub.subscription('billing').consentAnswer({ token, consent: refusal })).toBe(true);
    expect(await hub.view('billing')).toMatchObject({
      status: 'pending',
      reason: refusal.reason,
      waiting: 3,
      cursor: 0,
    });
    await consent(hub);
    expect(await hub.work('billing')).toEqual([1, 2, 3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ status: 'active', reason: null, delivered: 3 });
    expect(booked(view)).toBe(3);
  });

  test('asks for as many requests a minute as are configured', async () => {
    const hub = new Hub();
    const rate = (rateLimit: RateLimit | null) => hub.put('billing', { delivery: { ...ASKING.delivery, rateLimit } });
    await rate(null);
    expect(await request(hub)).toMatchObject({ url: WEBHOOK.url, hub: HUB, perMinute: null });
    await rate({ count: 50, spanMs: 1_000 });
    expect((await request(hub)).perMinute).toBe(3_000);
    await rate({ count: 7, spanMs: 60_000 });
    expect((await request(hub)).perMinute).toBe(7);
  });

  test('has it asked again after 5 s, doubling to an hour, whatever becomes of a message or the object', async () => {
    const hub = await askingHub();
    const times: number[] = [];
    const start = hub.clock.now();
    for (let elapsed = 0; elapsed < 4 * 3_600_000; elapsed += 1_000) {
      await hub.advance(1_000);
      if (hub.handshakes.length > 0) times.push(Math.round((hub.clock.now() - start) / 1_000));
      hub.handshakes.length = 0;
      if (elapsed % 60_000 === 0) hub.restart('billing');
    }
    const waits = times.map((time, index) => time - (times[index - 1] ?? 0));
    expect(waits.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(waits.at(-1)).toBe(3_600);
  });

  test('is asked by nobody while it is paused, and as if for the first time when it is resumed', async () => {
    const hub = await askingHub();
    await hub.advance(100_000);
    await hub.subscription('billing').pause();
    expect(await hub.view('billing')).toMatchObject({ status: 'paused', reason: null });
    hub.handshakes.length = 0;
    await hub.advance(3_600_000);
    expect(hub.handshakes).toEqual([]);
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.view('billing')).toMatchObject({ status: 'pending' });
    await hub.advance(5_001);
    expect(hub.handshakes).toEqual([{ v: 1, handshake: 'billing' }]);
  });

  test('keeps what was on its way when a new url has not consented', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 2);
    await hub.put('billing', { delivery: { ...ASKING.delivery, url: 'https://receiver.example/new' } });
    hub.loseMessages();
    await hub.advance(60_000);
    expect(await hub.work('billing')).toEqual([]);
    await consent(hub);
    expect(await hub.work('billing')).toEqual([1, 2]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 2, lag: 0 });
  });

  test('deleted while it waits has nobody asked', async () => {
    const hub = await askingHub();
    const { token } = await request(hub);
    await hub.awaiting(hub.subscription('billing').remove());
    expect(await hub.subscription('billing').consentRequest(HUB)).toBe(null);
    expect(await hub.subscription('billing').consentAnswer({ token, consent: GIVEN })).toBe(false);
    hub.handshakes.length = 0;
    await hub.advance(3_600_000);
    expect(hub.handshakes).toEqual([]);
  });
});

describe('consent', () => {
  test('stays through a PUT and a restart; another url has to give its own', async () => {
    const hub = await askingHub();
    await consent(hub, 60);
    const { token } =
      hub.rows<{ token: string }>('billing', 'SELECT consent_token AS token FROM subscription')[0] ?? {};
    await hub.subscribe('billing', { ...ASKING, maxInFlight: 5 });
    hub.restart('billing');
    expect(await hub.view('billing')).toMatchObject({ status: 'active' });
    expect(await hub.subscription('billing').consentRequest(HUB)).toBe(null);
    const moved = await hub.subscribe('billing', {
      delivery: { ...ASKING.delivery, url: 'https://receiver.example/new' },
    });
    expect(moved.status).toBe('pending');
    // What the old url was told is of no use any more.
    expect(await hub.subscription('billing').consentAnswer({ token: token ?? '', consent: GIVEN })).toBe(false);
    expect((await request(hub)).token).not.toBe(token);
  });

  test('is not needed without a handshake, and asked for once there is one', async () => {
    const hub = await askingHub();
    expect((await hub.subscribe('billing')).status).toBe('active');
    expect(webhookTarget(await hub.subscription('billing').target()).origin).toBe(undefined);
    expect((await hub.subscribe('billing', ASKING)).status).toBe('pending');
    await consent(hub);
    expect((await hub.view('billing')).status).toBe('active');
  });

  test('given twice changes nothing, nor does a refusal after it', async () => {
    const hub = await askingHub();
    const { token } = await request(hub);
    const say = (perMinute: number | null) =>
      hub.subscription('billing').consentAnswer({ token, consent: { given: true, perMinute } });
    expect(await say(60)).toBe(true);
    expect(await say(null)).toBe(true);
    await hub.subscription('billing').consentAnswer({ token, consent: { given: false, reason: 'no' } });
    expect(hub.rows('billing', 'SELECT consent, granted_rate FROM subscription')).toEqual([
      { consent: 'given', granted_rate: 60 },
    ]);
  });

  test('goes with each delivery under the name by which it was asked for', async () => {
    const hub = await askingHub();
    await hub.subscription('billing').consentRequest('https://hub.example.com:8443');
    await hub.subscription('billing').consentRequest(null);
    expect(webhookTarget(await hub.subscription('billing').target()).origin).toBe('hub.example.com');
  });
});

describe('the rate that a receiver grants', () => {
  const perSecond = { count: 50, spanMs: 1_000 };
  const perMinute = (count: number) => ({ count, spanMs: 60_000 });

  test.each<[RateLimit | null, number | null, RateLimit | null]>([
    [null, null, null],
    [perSecond, null, perSecond],
    [null, 120, perMinute(120)],
    [perSecond, 120, perMinute(120)],
    [perSecond, 3_000, perSecond],
    [perSecond, 6_000, perSecond],
    [perMinute(10), 120, perMinute(10)],
  ])('of %j and %j a minute, %j binds', (configured, granted, expected) => {
    expect(slowerRate(configured, granted)).toEqual(expected);
  });
});
