import { describe, expect, test } from 'vitest';
import { Vault } from '../../src/subscriptions/vault.ts';
import { booked, Hub, unlocked, WEBHOOK, webhookTarget } from './harness.ts';

const OLD = new Hub().hubSecret;
const NEW = 'bmV3LWh1Yi1zZWNyZXQtbmV3LWh1Yi1zZWNyZXQtbmV3LWg=';
const OTHER = 'b3RoZXItaHViLXNlY3JldC1vdGhlci1odWItc2VjcmV0LTE=';
const idOf = (secret: string) => new Vault(secret).keyId;

/** A deployment with another HUB_SECRET: every object starts anew. */
async function deploy(hub: Hub, hubSecret: string): Promise<void> {
  hub.hubSecret = hubSecret;
  hub.restart('billing');
  hub.subscription('billing');
}

const signing = async (hub: Hub) => webhookTarget(await hub.subscription('billing').target()).secrets;
const sealedUnder = (hub: Hub) => hub.catalog.sealedUnder();

describe('P7: a new HUB_SECRET', () => {
  test('seals what is made from now on, while the old one opens what was', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    const before = await signing(hub);
    await deploy(hub, `${NEW},${OLD}`);
    expect(await signing(hub)).toEqual(before);
    expect(await sealedUnder(hub)).toEqual([{ id: idOf(OLD), count: 1 }]);
    const rotated = unlocked(await hub.subscription('billing').rotateSecret(60_000));
    expect(await signing(hub)).toEqual([rotated.secret, ...before]);
  });

  test('is taken on by a reseal, which changes nothing else, and the old one may go', async () => {
    const hub = new Hub();
    const made = await hub.subscribe('billing');
    const rotated = unlocked(await hub.subscription('billing').rotateSecret(3_600_000));
    const before = await signing(hub);
    expect(before).toHaveLength(2);
    await deploy(hub, `${NEW},${OLD}`);
    expect(await hub.awaiting(hub.subscription('billing').reseal())).toEqual({ resealed: true });
    expect(await sealedUnder(hub)).toEqual([{ id: idOf(NEW), count: 1 }]);
    expect(await hub.awaiting(hub.subscription('billing').reseal())).toEqual({ resealed: false });
    await deploy(hub, NEW);
    expect(await signing(hub)).toEqual(before);
    expect(await hub.view('billing')).toMatchObject({ etag: made.etag, status: 'active' });
    expect(await hub.subscription('billing').secret()).toMatchObject({
      previous: { expiresAt: rotated.previousExpiresAt },
    });
  });

  test('is taken on by the daily sweep too', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await deploy(hub, `${NEW},${OLD}`);
    await hub.awaiting(hub.subscription('billing').sweep());
    await hub.advance(100);
    expect(await sealedUnder(hub)).toEqual([{ id: idOf(NEW), count: 1 }]);
  });

  test('drops a secret whose overlap is over rather than seal it anew', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.subscription('billing').rotateSecret(1_000);
    await deploy(hub, `${NEW},${OLD}`);
    await hub.clock.advance(1_001);
    await hub.awaiting(hub.subscription('billing').reseal());
    expect(hub.rows('billing', 'SELECT previous_secret FROM subscription')).toEqual([{ previous_secret: null }]);
  });

  test('is not counted as taken on while the catalogue can not be told', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await deploy(hub, `${NEW},${OLD}`);
    hub.d1.failure = 'before';
    expect(await hub.awaiting(hub.subscription('billing').reseal())).toEqual({ resealed: true });
    hub.d1.failure = null;
    expect(await sealedUnder(hub)).toEqual([{ id: idOf(OLD), count: 1 }]);
    await hub.advance(60_000);
    expect(await sealedUnder(hub)).toEqual([{ id: idOf(NEW), count: 1 }]);
  });

  test('does nothing to a subscription that is gone', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').remove());
    await deploy(hub, NEW);
    expect(await hub.subscription('billing').reseal()).toBeNull();
    expect(await sealedUnder(hub)).toEqual([]);
  });
});

describe('P4 P7: a HUB_SECRET that is missing', () => {
  test.each([
    ['another', OTHER, /sealed under the hub secret [0-9a-f]{8}, which HUB_SECRET does not hold/],
    ['none at all', '', /HUB_SECRET is not base64/],
    ['malformed', 'oops', /HUB_SECRET is not base64/],
  ])(
    'because there is %s stops deliveries, loses nothing, and says so; with it back they go on by themselves',
    async (_what, wrong, why) => {
      const hub = new Hub();
      await hub.subscribe('billing');
      await hub.publish('orders', 2);
      await deploy(hub, wrong);
      await hub.publish('orders', 3);
      await hub.advance(600_000);
      expect(await hub.work('billing')).toEqual([]);
      const view = await hub.view('billing');
      expect(view).toMatchObject({
        status: 'error',
        reason: expect.stringMatching(why),
        failed: 0,
        delivered: 0,
        dead: 0,
      });
      expect(booked(view)).toBe(5);
      expect(await hub.subscription('billing').secret()).toEqual({ locked: view.reason });
      expect(await hub.subscription('billing').target()).toEqual({ locked: view.reason });
      expect(await hub.subscription('billing').rotateSecret(0)).toEqual({ locked: view.reason });
      expect(await hub.subscription('billing').reseal()).toEqual({ locked: view.reason });
      expect(await hub.put('billing', { maxInFlight: 5 })).toEqual({ outcome: 'locked', detail: view.reason });

      // Nobody calls it: its own alarm comes within a minute.
      hub.loseMessages();
      await deploy(hub, OLD);
      await hub.advance(66_000);
      expect((await hub.work('billing')).toSorted()).toEqual([1, 2, 3, 4, 5]);
      expect(await hub.view('billing')).toMatchObject({ status: 'active', reason: null, delivered: 5 });
    },
  );

  test('does not spin: it looks once a minute', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await deploy(hub, OTHER);
    let alarms = 0;
    for (let second = 0; second < 600; second += 1) {
      const before = hub.storage('subscription billing').alarm;
      await hub.advance(1_000);
      if (before !== hub.storage('subscription billing').alarm) alarms += 1;
    }
    expect(alarms).toBeGreaterThan(5);
    expect(alarms).toBeLessThanOrEqual(12);
    expect(hub.deliveries.length + hub.retries.length).toBeLessThanOrEqual(2);
  });

  test('is helped by another secret for the webhook, the one before with it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.subscription('billing').rotateSecret(3_600_000);
    await hub.publish('orders', 2);
    await deploy(hub, OTHER);
    const given = 'whsec_Z2l2ZW4tc2VjcmV0LWdpdmVuLXNlY3JldC0xMjM0';
    expect(await hub.put('billing', { delivery: { ...WEBHOOK, secret: given } })).toMatchObject({
      outcome: 'replaced',
    });
    expect(await signing(hub)).toEqual([given]);
    expect(await hub.work('billing')).toEqual([1, 2]);
    expect(await hub.view('billing')).toMatchObject({ status: 'active', delivered: 2 });
  });

  test('counts no claim of a lease against its events', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const message = hub.take();
    await deploy(hub, OTHER);
    for (let time = 0; time < 5; time += 1) {
      expect(await hub.subscription('billing').claim(message.lease)).toEqual({ outcome: 'void' });
      await hub.advance(20_000);
    }
    await deploy(hub, OLD);
    await hub.advance(10_000);
    expect(await hub.work('billing')).toEqual([1]);
  });
});
