import { describe, expect, it } from 'vitest';
import { Millrace, type SubscriptionConfig } from '../../src/client/index.ts';
import { serve } from '../../src/http/app.ts';
import { all, wired } from './hub-client.ts';

const BILLING: SubscriptionConfig = {
  topics: ['orders'],
  delivery: { kind: 'webhook', url: 'http://localhost:9999/' },
};

describe('the calls of the interface', () => {
  it('topics', async () => {
    const { client, hub } = wired();
    expect(await client.topics.put('orders', { description: 'All orders' })).toMatchObject({
      description: 'All orders',
    });
    await client.topics.put('payments');
    for (const topic of ['orders', 'payments']) await hub.topic(topic).alarm();
    expect(await client.topics.get('orders')).toMatchObject({
      name: 'orders',
      lastSequence: 0,
      deduplicationWindow: '24h',
    });
    const { etag } = await client.topics.get('orders');
    expect(await client.topics.put('orders', { deduplicationWindow: '1h' }, { ifMatch: etag })).not.toMatchObject({
      etag,
    });
    await expect(client.topics.put('orders', {}, { ifMatch: etag })).rejects.toMatchObject({
      code: 'precondition-failed',
    });
    const names = (await all(client.topics.list({ limit: 1 }))).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['orders', 'payments']));
    const first = await client.topics.list({ limit: 1 }).page();
    expect(first.items).toHaveLength(1);
    expect((await client.topics.list({ limit: 1 }).page(first.next)).items[0]).not.toEqual(first.items[0]);
    await client.subscriptions.put('billing', BILLING);
    await expect(client.topics.delete('orders')).rejects.toMatchObject({ code: 'topic-has-subscriptions' });
    await client.topics.delete('orders', { force: true });
    await expect(client.topics.get('orders')).rejects.toMatchObject({ code: 'unknown-topic' });
  });

  it('subscriptions, and what can be done with one', async () => {
    const { client, hub } = wired();
    await client.publish('orders', [{ type: 'a' }, { type: 'b' }]);
    const made = await client.subscriptions.put('billing', BILLING);
    const secret = made.delivery.kind === 'webhook' ? made.delivery.secret : '';
    expect(secret).toMatch(/^whsec_/);
    const { etag, ...got } = await client.subscriptions.get('billing');
    expect(got).toMatchObject({ name: 'billing', status: 'active', delivery: { format: 'structured' } });
    const changed = { ...BILLING, maxInFlight: 5 };
    expect(await client.subscriptions.put('billing', changed, { ifMatch: etag })).toMatchObject({ maxInFlight: 5 });
    await expect(client.subscriptions.put('billing', changed, { ifMatch: etag })).rejects.toMatchObject({
      code: 'precondition-failed',
    });
    expect((await all(client.subscriptions.list())).map(({ name }) => name)).toEqual(['billing']);
    expect(await client.subscriptions.pause('billing')).toMatchObject({ status: 'paused' });
    expect(await client.subscriptions.seek('billing', { to: 'earliest' })).toMatchObject({
      topics: [{ topic: 'orders' }],
    });
    expect(await client.subscriptions.resume('billing')).toMatchObject({ status: 'active' });
    expect(await all(client.subscriptions.topics('billing'))).toMatchObject([{ topic: 'orders', lastSequence: 2 }]);
    expect(await client.subscriptions.secret('billing')).toEqual({ secret });
    const rotated = await client.subscriptions.rotateSecret('billing', { overlap: '1h', signature: 'v1a' });
    expect(rotated).toMatchObject({
      secret: expect.stringMatching(/^whsk_/),
      publicKey: expect.stringMatching(/^whpk_/),
    });
    hub.fetch = async () => new Response('thanks');
    expect(await client.subscriptions.test('billing')).toMatchObject({ ok: true, status: 200, body: 'thanks' });
    const preview = await client.subscriptions.preview('billing', { topic: 'orders', sequence: 1 });
    expect(preview.request?.headers['webhook-id']).toMatch(/^msg_/);
    expect(await all(client.subscriptions.attempts('billing', { status: 'failed' }))).toEqual([]);
    await client.subscriptions.putAlert('alarms', { url: 'http://localhost:9998/' });
    await client.subscriptions.delete('billing');
    await expect(client.subscriptions.get('billing')).rejects.toMatchObject({
      code: 'unknown-subscription',
      status: 404,
    });
  });

  it('replays, dead letters and deliveries', async () => {
    const { client } = wired();
    await client.publish('orders', { type: 'a' });
    await client.subscriptions.put('billing', BILLING);
    const replay = await client.replays.start('orders', { subscription: 'billing', from: 'earliest' });
    expect(replay).toMatchObject({ status: 'running', total: 1 });
    expect(await client.replays.put(replay.id, { rateLimit: { perSecond: 5 } })).toMatchObject({
      rateLimit: { perSecond: 5 },
    });
    expect(await client.replays.get(replay.id)).toMatchObject({ id: replay.id });
    await client.replays.cancel(replay.id);
    expect(await all(client.replays.list())).toMatchObject([{ id: replay.id }]);
    expect(await all(client.deliveries('orders', 1))).toMatchObject([{ subscription: 'billing' }]);
    const followed = await client.followDeliveries('orders', 1).next();
    expect(followed.value).toMatchObject({ subscription: 'billing', status: 'not-subscribed' });

    expect(await all(client.deadLetters.list({ reason: 'exhausted', state: 'all' }))).toEqual([]);
    expect(await client.deadLetters.redriveAll({ topic: 'orders' })).toMatchObject({ count: 0 });
    expect(await client.deadLetters.discardAll({ topic: 'orders' })).toMatchObject({ count: 0 });
    await expect(client.deadLetters.redriveAll({})).rejects.toMatchObject({ code: 'filter-required' });
    for (const call of ['get', 'redrive', 'discard'] as const) {
      await expect(client.deadLetters[call]('dl_none')).rejects.toMatchObject({ code: 'unknown-dead-letter' });
    }
  });

  it('keys, the configuration, secrets, audit, metrics and health', async () => {
    const { client, hub } = wired();
    const { key } = await client.keys.create({ name: 'shop', scopes: ['publish:orders', 'topics:orders'] });
    expect(await all(client.keys.list())).toMatchObject([{ name: 'shop' }]);
    const shop = new Millrace({
      url: 'http://hub.test',
      key: async () => key,
      fetch: (url, init) => serve(new Request(url, init), hub),
    });
    expect(await shop.publish('orders', { type: 'a' })).toMatchObject({ sequence: 1 });
    await expect(shop.topics.get('payments')).rejects.toMatchObject({ code: 'forbidden', status: 403 });
    await client.keys.delete('shop');

    await client.subscriptions.put('billing', BILLING);
    const config = await client.config.get({ passphrase: 'correct horse battery staple' });
    expect(config.secrets).not.toBeNull();
    expect(await client.config.put(config, { passphrase: 'correct horse battery staple', dryRun: true })).toBeDefined();
    expect(await client.hubSecrets.list()).toHaveLength(1);
    expect(await client.hubSecrets.reseal()).toMatchObject({ next: null });
    const actions = (await all(client.audit({ limit: 2 }))).map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['key.create', 'key.delete', 'subscription.create']));
    expect(await client.metrics()).toContain('# TYPE');
    expect(await client.health()).toEqual({ status: 'ok' });
  });

  it('takes a deletion whose answer was lost for done', async () => {
    const { client, served } = wired((number) => (number === 2 ? 'lost' : 'served'));
    await client.topics.put('orders');
    await client.topics.delete('orders');
    expect(served).toEqual(['PUT /v1/topics/orders', 'DELETE /v1/topics/orders', 'DELETE /v1/topics/orders']);
    await expect(client.topics.delete('orders')).rejects.toMatchObject({ code: 'unknown-topic' });
  });

  it('takes none for done that was refused before anything was done', async () => {
    let tries = 0;
    const client = new Millrace({
      url: 'http://hub.test',
      retry: { firstMs: 1 },
      fetch: async () => {
        tries += 1;
        const [status, code] = tries === 1 ? [429, 'quota-exceeded'] : [404, 'unknown-topic'];
        return Response.json(
          { status, code, detail: 'No.' },
          { status, headers: { 'content-type': 'application/problem+json' } },
        );
      },
    });
    await expect(client.topics.delete('nope')).rejects.toMatchObject({ code: 'unknown-topic' });
    expect(tries).toBe(2);
  });

  it('repeats nothing that would be done twice', async () => {
    const { client, served } = wired((number) => (number === 2 ? 'lost' : 'served'));
    await client.topics.put('orders');
    await expect(client.keys.create({ name: 'shop', scopes: ['read:>'] })).rejects.toMatchObject({ code: 'network' });
    expect(served).toHaveLength(2);
  });
});
