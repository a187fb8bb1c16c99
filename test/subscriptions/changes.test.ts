import { describe, expect, test } from 'vitest';
import type { SubscriptionDocument, WebhookDelivery } from '../../src/subscriptions/document.ts';
import { type SignatureScheme, schemeOf } from '../../src/subscriptions/webhook-keys.ts';
import { booked, Hub, typed, unlocked, WEBHOOK, webhookTarget } from './harness.ts';

const NEW_URL = { ...WEBHOOK, url: 'https://receiver.example/new' };

describe('P4: a PUT', () => {
  test('that removes a topic skips what was on its way, and says so; added again it begins anew', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['orders', 'invoices'] });
    await hub.publish('orders', 2);
    await hub.work('billing', (event) => (event.sequence === 1 ? hub.failed(event) : hub.delivered(event)));
    await hub.publish('orders', 1);
    const late = await hub.claim(hub.take());
    await hub.publish('orders', 1);
    await hub.advance(50);
    await hub.subscribe('billing', { topics: ['invoices'] });
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, skipped: 3, pending: 0, waiting: 0 });
    const outcomes = late.events.map((event) => hub.delivered(event));
    expect(await hub.subscription('billing').settle({ v: 1, lease: 1, token: late.token, outcomes })).toEqual({
      outcome: 'fenced',
    });
    const statuses: string[] = [];
    for (let sequence = 1; sequence <= 5; sequence++)
      statuses.push((await hub.subscription('billing').delivery('orders', sequence, typed('order.created'))).status);
    expect(statuses).toEqual(['skipped', 'delivered', 'skipped', 'skipped', 'not-subscribed']);
    await hub.advance(60_000);
    expect(await hub.awaiting(hub.log('orders').subscribers('', 10))).toEqual([]);
    await hub.publish('orders', 1);
    expect(await hub.work('billing')).toEqual([]);

    await hub.subscribe('billing', { topics: ['invoices', 'orders'] });
    await hub.publish('orders', 1);
    expect(await hub.work('billing')).toEqual([6]);
    expect((await hub.subscription('billing').delivery('orders', 5, typed('order.created'))).status).toBe(
      'not-subscribed',
    );
  });

  test('that pauses does so from its first moment, and says how it is configured without asking a log', async () => {
    const hub = new Hub();
    await hub.publish('orders', 3);
    const made = await hub.put('billing', { from: { kind: 'earliest' } }, { paused: true });
    expect(made).toMatchObject({ outcome: 'created', view: { status: 'paused' } });
    await hub.advance(60_000);
    expect(await hub.work('billing')).toEqual([]);
    await hub.put('billing', { from: { kind: 'earliest' }, maxInFlight: 3 });
    expect(await hub.subscription('billing').configuration()).toMatchObject({
      paused: true,
      document: { maxInFlight: 3, delivery: { secret: null } },
      etag: (await hub.view('billing')).etag,
    });
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([1, 2, 3]);
    expect(await hub.subscription('nobody').configuration()).toBeNull();
  });

  test('that names what a pattern matched keeps the lane, and lets the log know', async () => {
    const hub = new Hub();
    await hub.publish('orders.eu', 1);
    await hub.advance(1_000);
    await hub.subscribe('billing', { topics: ['orders.*'], from: { kind: 'earliest' } });
    await hub.work('billing');
    await hub.subscribe('billing', { topics: ['orders.eu'] });
    await hub.advance(1_000);
    expect(await hub.awaiting(hub.log('orders.eu').remove({ force: false }))).toEqual({
      outcome: 'topic-has-subscriptions',
      subscriptions: ['billing'],
    });
    await hub.publish('orders.eu', 1);
    expect(await hub.work('billing')).toEqual([2]);
    await hub.subscribe('billing', { topics: ['orders.*'] });
    await hub.advance(1_000);
    expect(await hub.awaiting(hub.log('orders.eu').remove({ force: false }))).toEqual({ outcome: 'removed' });
  });

  test('with another filter counts from where the lane stands, parked', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { filter: { types: ['order.*'], cel: null } });
    await hub.publish('orders', 2, 'invoice.sent');
    await hub.subscribe('billing', { filter: { types: ['invoice.*'], cel: null } });
    expect(await hub.view('billing')).toMatchObject({ filtered: 2, cursor: 2, waiting: 0 });
    await hub.publish('orders', 1, 'invoice.sent');
    await hub.publish('orders', 1, 'order.created');
    expect(await hub.work('billing')).toEqual([3]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ filtered: 3, delivered: 1, cursor: 4 });
    expect(booked(view)).toBe(4);
    expect((await hub.subscription('billing').delivery('orders', 1, typed('invoice.sent'))).status).toBe('filtered');
    expect((await hub.subscription('billing').delivery('orders', 3, typed('invoice.sent'))).status).toBe('delivered');
  });

  test('with another filter, a backlog, and leases out: what is out stays, the rest goes by the new one', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 2 });
    await hub.publish('orders', 4);
    await hub.publish('orders', 2, 'invoice.sent');
    expect(await hub.view('billing')).toMatchObject({ inFlight: 2, waiting: 4 });
    await hub.subscribe('billing', { maxInFlight: 2, filter: { types: ['invoice.*'], cel: null } });
    expect(await hub.work('billing')).toEqual([1, 2, 5, 6]);
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 4, filtered: 2, cursor: 6 });
    expect(booked(view)).toBe(6);
    expect((await hub.subscription('billing').delivery('orders', 3, typed('order.created'))).status).toBe('filtered');
    expect((await hub.subscription('billing').delivery('orders', 2, typed('order.created'))).status).toBe('delivered');
  });

  test('while a filter changes, no lane parks by the old one', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { topics: ['orders', 'invoices'], filter: { types: ['order.*'], cel: null } });
    const put = hub.put('billing', { topics: ['orders', 'invoices'], filter: { types: [], cel: null } });
    const published = hub.publish('orders', 1, 'refund.paid');
    await Promise.all([put, published]);
    await hub.publish('orders', 1, 'refund.paid');
    const view = await hub.view('billing');
    expect(view.delivered + view.pending + view.filtered + view.waiting).toBe(2);
    expect(await hub.work('billing')).toContain(2);
  });

  test('does not undo a rotation that happens while it waits for a log', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    const put = hub.put('billing', { topics: ['orders', 'invoices'] });
    const rotated = unlocked(await hub.subscription('billing').rotateSecret(60_000));
    await put;
    expect(await hub.subscription('billing').secret()).toMatchObject({ secret: rotated.secret });
  });

  test('whose log can not be reached changes nothing and says so; one after it is not kept waiting', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    const before = await hub.view('billing');
    hub.unreachable.add('invoices');
    expect(await hub.put('billing', { topics: ['orders', 'invoices'] })).toMatchObject({ outcome: 'unavailable' });
    expect((await hub.view('billing')).etag).toBe(before.etag);
    hub.unreachable.clear();
    expect(await hub.put('billing', { topics: ['orders', 'invoices'] })).toMatchObject({ outcome: 'replaced' });
  });

  test('is guarded by the etag of the configuration alone', async () => {
    const hub = new Hub();
    const { etag, document } = await hub.subscribe('billing');
    await hub.publish('orders', 2);
    await hub.work('billing');
    const put = (ifMatch: string, changes: Partial<SubscriptionDocument> = {}) =>
      hub.awaiting(
        hub.subscription('billing').put({ v: 1, name: 'billing', document: { ...document, ...changes }, ifMatch }),
      );
    expect(etag).toMatch(/^[\w-]+$/);
    expect((await hub.view('billing')).etag).toBe(etag);
    expect(await put(etag, { maxInFlight: 7 })).toMatchObject({ outcome: 'replaced' });
    expect(await put(etag)).toEqual({ outcome: 'precondition-failed' });
  });

  test('that changes nothing leaves the etag and the time of the last change as they are', async () => {
    const hub = new Hub();
    const { etag, document, updatedAt } = await hub.subscribe('billing');
    const put = async (changes: Partial<WebhookDelivery>, paused?: true) => {
      await hub.advance(1_000);
      const changed = { ...document, delivery: { ...WEBHOOK, ...changes } };
      const subscription = hub.subscription('billing');
      await hub.awaiting(
        subscription.put({ v: 1, name: 'billing', document: changed, ifMatch: null, ...(paused && { paused }) }),
      );
      return hub.view('billing');
    };
    const { secret } = unlocked(await hub.subscription('billing').secret());
    expect(await put({})).toMatchObject({ etag, updatedAt });
    expect(await put({ secret })).toMatchObject({ etag, updatedAt });
    const other = await put({ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' });
    expect(other.etag).not.toBe(etag);
    expect(other.updatedAt).toBeGreaterThan(updatedAt);
    const paused = await put({}, true);
    expect(paused.etag).not.toBe(other.etag);
    expect(await put({}, true)).toMatchObject({ etag: paused.etag, updatedAt: paused.updatedAt });
  });
});

describe('P4: a receiver that fails', () => {
  test('is probed again at once when it gets a new url; a failing and a disabling end', async () => {
    const hub = new Hub();
    const documented = { maxInFlight: 2, retry: { scheduleMs: [60_000, 60_000], jitter: 0 } };
    await hub.subscribe('billing', documented);
    await hub.publish('orders', 6);
    await hub.work('billing', (event) => hub.failed(event));
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'failing' }, waiting: 4 });
    await hub.subscribe('billing', { ...documented, delivery: NEW_URL });
    expect(await hub.view('billing')).toMatchObject({ health: { state: 'healthy' } });
    expect(await hub.work('billing', (event) => hub.failed(event, event.sequence === 1 ? 410 : 500))).toEqual([1, 2]);
    expect(await hub.view('billing')).toMatchObject({ status: 'disabled', reason: 'The receiver answered 410 Gone.' });
    await hub.subscribe('billing', documented);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', reason: null });
    await hub.advance(120_000);
    await hub.work('billing');
    await hub.advance(120_000);
    await hub.work('billing');
    const view = await hub.view('billing');
    expect(view).toMatchObject({ delivered: 5, dead: 1, pending: 0, waiting: 0 });
  });

  test('and says 410 for an url that is not the present one any more is only a failure', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    const claimed = await hub.claim(message);
    await hub.subscribe('billing', { delivery: NEW_URL });
    const outcomes = claimed.events.map((event) => hub.failed(event, 410));
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
    expect(await hub.view('billing')).toMatchObject({ status: 'active', retrying: 1, dead: 0 });
  });

  test('and a disabling are told on millrace.system, once, whenever it can be reached', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    hub.unreachable.add('millrace.system');
    await hub.work('billing', (event) => hub.failed(event, 410));
    await hub.advance(5_000);
    hub.restart('billing');
    hub.unreachable.clear();
    await hub.advance(60_000);
    const told = (await hub.told('/subscriptions/billing')).filter(({ type }) => type.endsWith('.disabled'));
    expect(told).toMatchObject([
      {
        type: 'millrace.subscription.disabled',
        source: '/subscriptions/billing',
        subject: 'billing',
        data: { subscription: 'billing', reason: 'The receiver answered 410 Gone.' },
      },
    ]);
  });

  test('for five days without one success is disabled; its backlog stays', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 1, retry: { scheduleMs: [60_000, 60_000, 60_000], jitter: 0 } });
    await hub.publish('orders', 20);
    await hub.work('billing', (event) => hub.failed(event));
    const [row] = hub.rows<{ failing_since: number }>('billing', 'SELECT failing_since FROM subscription');
    expect(row?.failing_since).toBeLessThanOrEqual(hub.clock.now());
    const aged = (ms: number) => {
      const since = hub.clock.now() - ms;
      hub.storage('subscription billing').sql.exec('UPDATE subscription SET failing_since = ?', since);
      hub.restart('billing');
    };
    aged(5 * 24 * 3_600_000 - 120_000);
    await hub.advance(60_000);
    await hub.work('billing', (event) => hub.failed(event));
    expect((await hub.view('billing')).status).toBe('active');
    aged(5 * 24 * 3_600_000 - 30_000);
    await hub.advance(60_000);
    await hub.work('billing', (event) => hub.failed(event));
    const view = await hub.view('billing');
    expect(view).toMatchObject({ status: 'disabled', dead: 0 });
    expect(view.reason).toMatch(/for 5d without one success/);
    expect(booked(view)).toBe(20);
  });
});

describe('a pause', () => {
  test('stops a claimed lease at its next renewal; what it releases waits for the resume', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 3);
    const message = hub.take();
    const claimed = await hub.claim(message);
    await hub.awaiting(hub.subscription('billing').pause());
    const settle = (outcomes: Parameters<ReturnType<Hub['subscription']>['settle']>[0]['outcomes']) =>
      hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
    expect(await settle([])).toEqual({ outcome: 'settled', remaining: 3, stop: true });
    const [first, ...rest] = claimed.events;
    if (!first) throw new Error('There is no event.');
    await settle([
      hub.delivered(first),
      ...rest.map(({ topic, sequence }) => ({ kind: 'released' as const, topic, sequence })),
    ]);
    await hub.advance(60_000);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, pending: 2 });
    await hub.awaiting(hub.subscription('billing').resume());
    expect(await hub.work('billing')).toEqual([2, 3]);
  });

  test('survives a PUT and a restart', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.subscribe('billing', { delivery: NEW_URL });
    hub.restart('billing');
    await hub.publish('orders', 1);
    await hub.advance(30_000);
    expect(hub.deliveries).toEqual([]);
    expect(await hub.view('billing')).toMatchObject({ status: 'paused', waiting: 1 });
  });
});

describe('P7: the secret', () => {
  test('is made where none is given, kept where none is sent, taken where one is', async () => {
    const hub = new Hub();
    const made = await hub.put('billing');
    if (made.outcome !== 'created') throw new Error(made.outcome);
    expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(made.view.document.delivery).toMatchObject({ secret: null });
    const kept = await hub.put('billing', { delivery: NEW_URL });
    expect(kept).toMatchObject({ outcome: 'replaced', secret: made.secret });
    const given = 'whsec_Z2l2ZW4tc2VjcmV0LWdpdmVuLXNlY3JldC0xMjM0';
    expect(await hub.put('billing', { delivery: { ...WEBHOOK, secret: given } })).toMatchObject({ secret: given });
    expect(await hub.subscription('billing').secret()).toEqual({ secret: given, previous: null });
    expect(JSON.stringify(hub.rows('billing', 'SELECT * FROM subscription'))).not.toContain(given);
  });

  test('rotates with an overlap in which both sign, and then only the new one', async () => {
    const hub = new Hub();
    const made = await hub.put('billing');
    const old = made.outcome === 'created' ? made.secret : '';
    const rotated = unlocked(await hub.subscription('billing').rotateSecret(3_600_000));
    const target = async () => webhookTarget(await hub.subscription('billing').target()).secrets;
    expect(await target()).toEqual([rotated.secret, old]);
    expect(await hub.subscription('billing').secret()).toEqual({
      secret: rotated.secret,
      previous: { secret: old, expiresAt: rotated.previousExpiresAt },
    });
    await hub.clock.advance(3_600_001);
    expect(await target()).toEqual([rotated.secret]);
    expect(await hub.subscription('billing').secret()).toEqual({ secret: rotated.secret, previous: null });
  });

  test('that is given by a PUT signs at once and alone, also while one is rotated', async () => {
    const hub = new Hub();
    await hub.put('billing');
    const rotated = unlocked(await hub.subscription('billing').rotateSecret(3_600_000));
    const target = async () => webhookTarget(await hub.subscription('billing').target()).secrets;
    await hub.put('billing', { delivery: { ...WEBHOOK, secret: rotated.secret } });
    expect(await target()).toHaveLength(2);
    const given = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    await hub.put('billing', { delivery: { ...WEBHOOK, secret: given } });
    expect(await target()).toEqual([given]);
    expect(await hub.subscription('billing').secret()).toEqual({ secret: given, previous: null });
  });

  test('rotates to Ed25519 and back; otherwise it stays of its kind, and sealed', async () => {
    const hub = new Hub();
    await hub.put('billing');
    const rotate = async (scheme?: SignatureScheme) =>
      unlocked(await hub.subscription('billing').rotateSecret(1_000, scheme)).secret;
    const secrets = [await rotate(), await rotate('v1a'), await rotate(), await rotate('v1')];
    expect(secrets.map(schemeOf)).toEqual(['v1', 'v1a', 'v1a', 'v1']);
    expect(new Set(secrets).size).toBe(4);
    expect(webhookTarget(await hub.subscription('billing').target()).secrets).toEqual([secrets[3], secrets[2]]);
    expect(JSON.stringify(hub.rows('billing', 'SELECT * FROM subscription'))).not.toMatch(/whs(ec|k)_/);
  });

  test('of a deleted subscription is gone; one made again has another', async () => {
    const hub = new Hub();
    const made = await hub.put('billing');
    await hub.awaiting(hub.subscription('billing').remove());
    expect(await hub.subscription('billing').secret()).toBeNull();
    expect(await hub.subscription('billing').rotateSecret(1_000)).toBeNull();
    const again = await hub.put('billing');
    expect(again.outcome).toBe('created');
    expect(again).not.toMatchObject({ secret: made.outcome === 'created' ? made.secret : '' });
  });
});
