import { beforeEach, describe, expect, it } from 'vitest';
import { HUB_SECRET as OLD, WholeHub } from './whole-hub.ts';

const NEW = 'bmV3LWh1Yi1zZWNyZXQtbmV3LWh1Yi1zZWNyZXQtbmV3LWg=';

let hub: WholeHub;

beforeEach(() => {
  hub = new WholeHub();
});

async function subscribe(name: string): Promise<string> {
  const body = { topics: ['orders'], delivery: { url: 'https://example.com/hook' } };
  return (await hub.call('PUT', `/v1/subscriptions/${name}`, { body })).json.delivery.secret;
}

async function makeKey(name: string): Promise<string> {
  return (await hub.call('POST', '/v1/keys', { body: { name, scopes: ['read:>'] } })).json.key;
}

const items = async () => (await hub.call('GET', '/v1/hub-secrets')).json.items;
const reseal = async () => (await hub.call('POST', '/v1/hub-secrets/reseal')).json;
const mayRead = async (key: string) => (await hub.call('GET', '/v1/topics', { key })).status === 200;

describe('P7: HUB_SECRET is replaced', () => {
  it('step by step, without a gap, and it can be seen when the old one may go', async () => {
    const secret = await subscribe('billing');
    const shop = await makeKey('shop');
    const [old] = await items();
    expect(await items()).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{8}$/),
        status: 'current',
        subscriptions: { count: 1, names: ['billing'] },
        keys: { count: 1, names: ['shop'] },
      },
    ]);

    // 1. The new one in front: all goes on.
    hub.deploy(`${NEW},${OLD}`);
    expect(await mayRead(shop)).toBe(true);
    await subscribe('email');
    const [current, listed] = await items();
    expect(current).toMatchObject({ status: 'current', subscriptions: { names: ['email'] }, keys: { count: 0 } });
    expect(listed).toEqual({ ...old, status: 'listed' });

    // 2. What the old one sealed is sealed anew, and keys are made again.
    expect(await reseal()).toEqual({ resealed: 1, failed: [], next: null });
    expect(await reseal()).toEqual({ resealed: 0, failed: [], next: null });
    await hub.call('DELETE', '/v1/keys/shop');
    const again = await makeKey('shop');
    expect(await items()).toMatchObject([
      { id: current.id, subscriptions: { count: 2, names: ['billing', 'email'] }, keys: { names: ['shop'] } },
      { id: old.id, subscriptions: { count: 0, names: [] }, keys: { count: 0, names: [] } },
    ]);

    // 3. The old one goes.
    hub.deploy(NEW);
    expect((await hub.call('GET', '/v1/subscriptions/billing/secret')).json).toEqual({ secret });
    expect(await mayRead(again)).toBe(true);
    expect(await mayRead(shop)).toBe(false);
    expect(await items()).toMatchObject([{ id: current.id, status: 'current' }]);
    const audit = (await hub.call('GET', '/v1/audit')).json.items;
    expect(audit.map(({ action }: { action: string }) => action)).toContain('hub-secrets.reseal');
  });

  it('too early: what depended on the old one is named, says why it does not work, and is put right by its return', async () => {
    await subscribe('billing');
    const shop = await makeKey('shop');
    hub.deploy(NEW);
    expect(await mayRead(shop)).toBe(false);
    const [, missing] = await items();
    expect(missing).toMatchObject({
      status: 'missing',
      subscriptions: { count: 1, names: ['billing'] },
      keys: { count: 1, names: ['shop'] },
    });
    expect(await reseal()).toEqual({
      resealed: 0,
      failed: [{ subscription: 'billing', reason: expect.stringContaining(missing.id) }],
      next: null,
    });
    const path = '/v1/subscriptions/billing';
    const view = (await hub.call('GET', path)).json;
    expect(view).toMatchObject({ status: 'error', reason: expect.stringContaining(missing.id) });
    for (const [method, at, body] of [
      ['GET', `${path}/secret`, undefined],
      ['POST', `${path}/rotate-secret`, {}],
      ['POST', `${path}/test`, undefined],
      ['PUT', path, view],
    ] as const) {
      expect(await hub.call(method, at, { body }), `${method} ${at}`).toMatchObject({
        status: 503,
        json: { code: 'secret-unreadable', detail: view.reason },
      });
    }
    hub.deploy(`${NEW},${OLD}`);
    expect(await mayRead(shop)).toBe(true);
    expect((await hub.call('GET', path)).json).toMatchObject({ status: 'active', reason: null });
    expect(await reseal()).toMatchObject({ resealed: 1 });
  });

  it('is for admins alone', async () => {
    const key = await makeKey('reader');
    expect((await hub.call('GET', '/v1/hub-secrets', { key })).status).toBe(403);
    expect((await hub.call('POST', '/v1/hub-secrets/reseal', { key })).status).toBe(403);
  });

  it('names nothing that is a secret', async () => {
    const secret = await subscribe('billing');
    const { text } = await hub.call('GET', '/v1/hub-secrets');
    for (const hidden of [OLD, secret, secret.slice(6)]) expect(text).not.toContain(hidden);
  });
});
