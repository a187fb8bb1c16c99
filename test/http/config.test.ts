import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CONFIG_ITEMS_MAX } from '../../src/http/config-schema.ts';
import { WholeHub } from './whole-hub.ts';

/** Export and import of the whole configuration (P7: no secret in the open; P8: each thing that is wrong is named). */

const PASSPHRASE = 'correct horse battery staple';
const SECRET = `whsec_${btoa('a secret of thirty-two bytes !!!')}`;
const SEALED = { headers: { 'millrace-secrets-passphrase': PASSPHRASE } };

/** Real logs and subscriptions, configured in every way. */
async function configured(): Promise<WholeHub> {
  const hub = new WholeHub();
  await expectOk(hub.call('PUT', '/v1/topics/orders', { body: { description: 'Orders', deduplicationWindow: '7d' } }));
  await expectOk(hub.call('PUT', '/v1/topics/returns', { body: {} }));
  await expectOk(hub.call('PUT', '/v1/subscriptions/billing', { body: BILLING }));
  await expectOk(
    hub.call('PUT', '/v1/subscriptions/audit', {
      body: { topics: ['>'], from: 'earliest', delivery: { url: 'https://audit.example.com/' } },
    }),
  );
  await expectOk(hub.call('POST', '/v1/subscriptions/billing/pause'));
  await announced(hub);
  return hub;
}

/** No alarm fires here by itself. */
async function announced(hub: WholeHub): Promise<void> {
  for (const topic of ['orders', 'returns']) await hub.topic(topic).alarm();
}

const BILLING = {
  topics: ['orders', 'billing.*'],
  filter: { types: ['order.*'] },
  retry: { schedule: ['1s', '2m'], jitter: 0 },
  delivery: {
    url: 'https://billing.example.com/hook',
    headers: { Authorization: 'Bearer s3cr3t-of-billing', 'x-team': 'blue' },
    secret: SECRET,
  },
};

async function expectOk(answer: ReturnType<WholeHub['call']>) {
  const { status, text } = await answer;
  expect([200, 201, 204], text).toContain(status);
}

const secretOf = async (hub: WholeHub, name: string) =>
  (await hub.call('GET', `/v1/subscriptions/${name}/secret`)).json.secret;

const outcomes = (items: { name: string; outcome: string }[]) =>
  Object.fromEntries(items.map(({ name, outcome }) => [name, outcome]));

describe('GET /v1/config', () => {
  it('has all that is configured, by name, and no secret in the open (P7)', async () => {
    const hub = await configured();
    const { status, json, text, headers } = await hub.call('GET', '/v1/config');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(json).toMatchObject({
      version: 1,
      topics: [
        { name: 'orders', description: 'Orders', deduplicationWindow: '7d' },
        { name: 'returns', description: '', deduplicationWindow: '24h' },
      ],
      subscriptions: [
        { name: 'audit', paused: false, topics: ['>'], from: 'earliest' },
        {
          name: 'billing',
          paused: true,
          retry: { schedule: ['1s', '2m'], jitter: 0 },
          delivery: { headers: { Authorization: null, 'x-team': null } },
        },
      ],
      secrets: null,
    });
    expect(text).not.toMatch(/whsec_|s3cr3t|blue/);
  });

  it('seals the secrets under a passphrase, and says so in the audit', async () => {
    const hub = await configured();
    const { json, text } = await hub.call('GET', '/v1/config', SEALED);
    expect(json.secrets).toMatchObject({ kdf: 'scrypt', cipher: 'aes-256-gcm', box: expect.any(String) });
    expect(text).not.toMatch(/whsec_|s3cr3t|blue|correct horse/);
    await hub.settled();
    const audit = await hub.call('GET', '/v1/audit');
    expect(audit.json.items[0]).toMatchObject({ action: 'config.export', target: 'secrets' });
    expect(audit.text).not.toContain('correct horse');
  });

  it('needs admin', async () => {
    const hub = new WholeHub();
    const { json } = await hub.call('POST', '/v1/keys', { body: { name: 'k', scopes: ['read:>', 'subscriptions:*'] } });
    for (const method of ['GET', 'PUT']) {
      expect((await hub.call(method, '/v1/config', { key: json.key })).json).toMatchObject({ code: 'forbidden' });
    }
  });

  it.each(['short', 'x'.repeat(1_001), 'with a tab\tin it, long enough'])(
    'refuses %j as a passphrase',
    async (value) => {
      const answer = await new WholeHub().call('GET', '/v1/config', {
        headers: { 'millrace-secrets-passphrase': value },
      });
      expect(answer.json).toMatchObject({ code: 'invalid-request', errors: [{ path: 'millrace-secrets-passphrase' }] });
    },
  );
});

describe('PUT /v1/config', () => {
  let source: WholeHub;
  beforeEach(async () => {
    source = await configured();
  });

  it('makes an empty hub the same, secrets, headers and pauses too', async () => {
    const { json } = await source.call('GET', '/v1/config', SEALED);
    const target = new WholeHub();
    const made = await target.call('PUT', '/v1/config', { ...SEALED, body: json });
    expect(made.status, made.text).toBe(200);
    expect(outcomes(made.json.topics)).toEqual({ orders: 'created', returns: 'created' });
    expect(outcomes(made.json.subscriptions)).toEqual({ audit: 'created', billing: 'created' });
    await announced(target);
    expect((await target.call('GET', '/v1/config')).json).toEqual({ ...json, secrets: null });
    for (const name of ['audit', 'billing']) expect(await secretOf(target, name)).toBe(await secretOf(source, name));
    const billing = await target.call('GET', '/v1/subscriptions/billing');
    expect(billing.json).toMatchObject({ status: 'paused', delivery: { headers: BILLING.delivery.headers } });
  });

  it('changes nothing the second time', async () => {
    const { json } = await source.call('GET', '/v1/config', SEALED);
    const before = await source.call('GET', '/v1/subscriptions/billing');
    const again = await source.call('PUT', '/v1/config', { ...SEALED, body: json });
    expect(again.status).toBe(200);
    const items = [...again.json.topics, ...again.json.subscriptions];
    expect(items.map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged', 'unchanged', 'unchanged']);
    const after = await source.call('GET', '/v1/subscriptions/billing');
    expect(after.headers.get('etag')).toBe(before.headers.get('etag'));
  });

  it('without the secrets leaves those that are there, and makes the ones that are not', async () => {
    const { json } = await source.call('GET', '/v1/config');
    const [audit, billing] = json.subscriptions;
    const changed = { ...billing, delivery: { ...billing.delivery, timeout: '7s' } };
    const put = await source.call('PUT', '/v1/config', { body: { ...json, subscriptions: [audit, changed] } });
    expect(outcomes(put.json.subscriptions)).toEqual({ audit: 'unchanged', billing: 'replaced' });
    expect(await secretOf(source, 'billing')).toBe(SECRET);
    const { json: now } = await source.call('GET', '/v1/subscriptions/billing');
    expect(now.delivery).toMatchObject({ timeout: '7s', headers: BILLING.delivery.headers });

    const made = await new WholeHub().call('PUT', '/v1/config', { body: { version: 1, subscriptions: [audit] } });
    expect(made.json.subscriptions).toEqual([{ name: 'audit', outcome: 'created', secretMade: true }]);
  });

  it('never deletes, and tells each change in the audit', async () => {
    const put = await source.call('PUT', '/v1/config', { body: { version: 1, topics: [{ name: 'new' }] } });
    expect(put.json).toEqual({ dryRun: false, topics: [{ name: 'new', outcome: 'created' }], subscriptions: [] });
    expect((await source.call('GET', '/v1/subscriptions/billing')).status).toBe(200);
    await source.settled();
    const { json } = await source.call('GET', '/v1/audit');
    expect(json.items[0]).toMatchObject({ key: 'admin', action: 'topic.create', target: 'new' });
  });

  it('pauses and resumes; a document that does not say leaves it', async () => {
    const entry = { name: 'billing', ...BILLING };
    const put = (more: object) =>
      source.call('PUT', '/v1/config', { body: { version: 1, subscriptions: [{ ...entry, ...more }] } });
    const statusNow = async () => (await source.call('GET', '/v1/subscriptions/billing')).json.status;
    expect((await put({})).json.subscriptions).toMatchObject([{ outcome: 'unchanged' }]);
    expect(await statusNow()).toBe('paused');
    expect((await put({ paused: false })).json.subscriptions).toMatchObject([{ outcome: 'replaced' }]);
    expect(await statusNow()).toBe('active');
    expect((await put({ paused: true })).json.subscriptions).toMatchObject([{ outcome: 'replaced' }]);
    expect(await statusNow()).toBe('paused');
  });

  it('says with dryRun what it would do, and does not', async () => {
    const { json } = await source.call('GET', '/v1/config', SEALED);
    const target = new WholeHub();
    const dry = await target.call('PUT', '/v1/config?dryRun=true', { ...SEALED, body: json });
    expect(dry.json).toMatchObject({ dryRun: true, subscriptions: [{ outcome: 'created' }, { outcome: 'created' }] });
    expect((await target.call('GET', '/v1/config')).json).toMatchObject({ topics: [], subscriptions: [] });
  });

  it('judges everything first: each thing that is wrong is named, and nothing is changed (P8)', async () => {
    const delivery = { url: 'https://ok.example.com/' };
    const target = new WholeHub();
    await expectOk(target.call('POST', '/v1/topics/orders/events', { body: { type: 'order.created' } }));
    const before = (await target.call('GET', '/v1/config')).json;
    const body = {
      version: 1,
      topics: [{ name: 'fine' }, { name: 'millrace.system' }, { name: 'odd', retained: true }, { name: 'fine' }],
      subscriptions: [
        { name: 'fine', topics: ['fine'], delivery },
        { name: 'inside', topics: ['fine'], delivery: { url: 'https://10.0.0.1/' } },
        { name: 'ahead', topics: ['fine', 'orders'], from: 500, delivery },
        { name: 'headless', topics: ['fine'], delivery: { ...delivery, headers: { authorization: null } } },
        { name: 'unfit', topics: ['a..b'], delivery },
      ],
    };
    const refused = await target.call('PUT', '/v1/config', { body });
    expect(refused.status).toBe(400);
    expect(refused.json.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
      'subscriptions[1].delivery.url',
      'subscriptions[2].from',
      'subscriptions[3].delivery.headers.authorization',
      'subscriptions[4].topics[0]',
      'topics[1].name',
      'topics[2].retained',
      'topics[3].name',
    ]);
    const after = (await target.call('GET', '/v1/config')).json;
    expect([after.topics, after.subscriptions]).toEqual([before.topics, []]);
  });

  it('starts with the first event where the sequence that something started from is of another hub', async () => {
    const body = {
      version: 1,
      topics: [{ name: 'orders' }],
      subscriptions: [
        { name: 'moved', topics: ['orders', 'returns'], from: 500, delivery: { url: 'https://ok.example.com/' } },
      ],
    };
    const target = new WholeHub();
    expect((await target.call('PUT', '/v1/config', { body })).json.subscriptions).toMatchObject([
      { outcome: 'created' },
    ]);
    expect((await target.call('GET', '/v1/subscriptions/moved')).json).toMatchObject({
      from: 'earliest',
      cursor: null,
    });
  });

  it.each([
    ['no version', {}, 'version'],
    ['another version', { version: 2 }, 'version'],
    ['an unknown part', { version: 1, routes: [] }, 'routes'],
    ['a name that is none', { version: 1, topics: [{ name: 'A B' }] }, 'topics[0].name'],
  ])('refuses %s', async (_what, body, path) => {
    const answer = await source.call('PUT', '/v1/config', { body });
    expect(answer.json).toMatchObject({ status: 400, errors: [{ path }] });
  });

  it('opens secrets with their passphrase only, and takes no other parameters than its own', async () => {
    const { json } = await source.call('GET', '/v1/config', SEALED);
    const put = (body: object, headers: Record<string, string> = SEALED.headers) =>
      source.call('PUT', '/v1/config', { body, headers });
    const wrong = await put(json, { 'millrace-secrets-passphrase': 'another passphrase' });
    expect(wrong.json.errors).toEqual([{ path: 'secrets', message: 'cannot be opened with this passphrase' }]);
    expect((await put(json, {})).json.errors).toMatchObject([{ path: 'secrets' }]);
    const without = { ...json, secrets: null };
    expect((await put(without)).json.errors).toMatchObject([{ path: 'millrace-secrets-passphrase' }]);
    for (const [field, value] of [
      ['n', 2 ** 20],
      ['salt', 'AAAA'],
      ['box', 'not base64'],
      ['kdf', 'md5'],
    ] as const) {
      const damaged = await put({ ...json, secrets: { ...json.secrets, [field]: value } });
      expect(damaged.status, field).toBe(400);
    }
  });

  it('takes so many at once', async () => {
    const topics = Array.from({ length: CONFIG_ITEMS_MAX + 1 }, (_, index) => ({ name: `t${index}` }));
    const answer = await source.call('PUT', '/v1/config', { body: { version: 1, topics } });
    expect(answer.json).toMatchObject({ code: 'payload-too-large' });
  });

  it('tells what could not be applied; the same document again finishes it', async () => {
    const { json } = await source.call('GET', '/v1/config', SEALED);
    const target = new WholeHub();
    const away = vi
      .spyOn(target.subscription('billing'), 'put')
      .mockRejectedValue(new Error('Network connection lost.'));
    const put = () => target.call('PUT', '/v1/config', { ...SEALED, body: json });
    const first = await put();
    expect(first.status).toBe(503);
    expect(first.headers.get('retry-after')).toBe('1');
    expect(first.json).toMatchObject({
      code: 'config-incomplete',
      topics: [{ outcome: 'created' }, { outcome: 'created' }],
      subscriptions: [
        { name: 'audit', outcome: 'created' },
        { name: 'billing', outcome: 'failed', problem: { code: 'unavailable' } },
      ],
    });
    away.mockRestore();
    const second = await put();
    expect(second.status).toBe(200);
    expect(outcomes(second.json.subscriptions)).toEqual({ audit: 'unchanged', billing: 'created' });
    expect((await target.call('GET', '/v1/subscriptions/billing')).json.status).toBe('paused');
  });

  it('does not overwrite what was changed since it was read', async () => {
    const billing = source.subscription('billing');
    const put = billing.put.bind(billing);
    vi.spyOn(billing, 'put').mockImplementationOnce(async (request) => {
      const present = await billing.configuration();
      const changed = present && { ...present.document, maxInFlight: 5 };
      if (changed !== null) await put({ v: 1, name: 'billing', document: changed, ifMatch: null });
      return put(request);
    });
    const entry = { name: 'billing', ...BILLING, maxInFlight: 3 };
    const answer = await source.call('PUT', '/v1/config', { body: { version: 1, subscriptions: [entry] } });
    expect(answer.json).toMatchObject({
      code: 'config-incomplete',
      subscriptions: [{ outcome: 'failed', problem: { code: 'precondition-failed' } }],
    });
  });

  it('replaces a secret that cannot be opened any more', async () => {
    const { json } = await source.call('GET', '/v1/config', SEALED);
    const locked = { locked: 'It is sealed under a key that HUB_SECRET does not hold.' };
    vi.spyOn(source.subscription('billing'), 'secret').mockResolvedValue(locked);
    const refused = await source.call('GET', '/v1/config', SEALED);
    expect(refused.json).toMatchObject({ code: 'secret-unreadable' });
    expect((await source.call('GET', '/v1/config')).status).toBe(200);
    const answer = await source.call('PUT', '/v1/config', { ...SEALED, body: json });
    expect(outcomes(answer.json.subscriptions)).toEqual({ audit: 'unchanged', billing: 'replaced' });
  });
});
