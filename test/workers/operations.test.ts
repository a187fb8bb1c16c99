import { env, evictDurableObject, SELF } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { quotaName } from '../../src/object-names.ts';

/** Quotas, and the configuration as a document, over the real objects and D1 in workerd. */

const DAY_MS = 24 * 3_600_000;
const DAILY = { count: 100, spanMs: DAY_MS };

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await SELF.fetch(`https://hub.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: text === '' ? null : JSON.parse(text) };
}

describe('a quota', () => {
  it('is kept exactly over all that publish at the same time', async () => {
    const made = await call('POST', '/v1/keys', { name: 'daily', scopes: ['publish:>'], quota: { perDay: 20 } });
    expect(made.json).toMatchObject({ quota: { perDay: 20 } });
    await call('PUT', '/v1/topics/quota', {});
    const key = { authorization: `Bearer ${made.json.key}` };
    const publish = () => call('POST', '/v1/topics/quota/events', [{ type: 'a' }, { type: 'b' }, { type: 'c' }], key);
    const statuses = (await Promise.all(Array.from({ length: 15 }, publish))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(6);
    expect((await publish()).json).toMatchObject({ code: 'quota-exceeded', quota: { perDay: 20 }, remaining: 2 });
    expect((await call('GET', '/v1/topics/quota')).json.lastSequence).toBe(18);
    expect((await call('GET', '/v1/keys')).json.items).toMatchObject([{ name: 'daily', quota: { perDay: 20 } }]);
  });

  it('is remembered by an object that was put away, and forgotten with its key', async () => {
    const quota = env.QUOTA.getByName(quotaName('evicted'));
    expect(await quota.take({ v: 1, quota: DAILY, count: 60 })).toMatchObject({ outcome: 'taken', remaining: 40 });
    await scheduler.wait(1_200); // its own delay: what is published within a second is one row
    await evictDurableObject(quota);
    expect(await quota.take({ v: 1, quota: DAILY, count: 41 })).toMatchObject({ outcome: 'refused', remaining: 40 });
    await quota.forget();
    expect(await quota.take({ v: 1, quota: DAILY, count: 100 })).toMatchObject({ outcome: 'taken', remaining: 0 });
  });
});

describe('GET and PUT /v1/config', () => {
  it('takes out and puts back what is configured, where it has the secrets', async () => {
    const delivery = { url: 'https://billing.example.com/hook', headers: { authorization: 'Bearer s3cr3t' } };
    await call('PUT', '/v1/topics/orders', { description: 'Orders' });
    await call('PUT', '/v1/subscriptions/billing', { topics: ['orders', 'billing.*'], delivery });
    await call('POST', '/v1/subscriptions/billing/pause');
    const secret = (await call('GET', '/v1/subscriptions/billing/secret')).json;
    const out = await call('GET', '/v1/config');
    expect(out.status, out.text).toBe(200);
    expect(out.text).not.toMatch(/whsec_|s3cr3t/);

    await call('PUT', '/v1/subscriptions/billing', { topics: ['other'], delivery });
    await call('POST', '/v1/subscriptions/billing/resume');
    const back = await call('PUT', '/v1/config', out.json);
    expect(back.json, back.text).toMatchObject({ subscriptions: [{ name: 'billing', outcome: 'replaced' }] });
    expect((await call('GET', '/v1/subscriptions/billing/secret')).json).toEqual(secret);
    const now = await call('GET', '/v1/subscriptions/billing');
    expect(now.json).toMatchObject({ status: 'paused', topics: ['orders', 'billing.*'], delivery });
    const again = await call('PUT', '/v1/config', out.json);
    expect(again.json.subscriptions).toEqual([{ name: 'billing', outcome: 'unchanged' }]);
  });
});
