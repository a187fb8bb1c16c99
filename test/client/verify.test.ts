import { Webhook } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';
import { describe, expect, it } from 'vitest';
import { type Delivery, VerificationError, verify, type WebhookRequest } from '../../src/client/index.ts';
import { type Batch, batchRequest, webhookRequest } from '../../src/deliveries/request.ts';
import { sendTestEvent } from '../../src/deliveries/test-event.ts';
import type { ClaimedEvent, WebhookTarget } from '../../src/subscriptions/protocol-claims.ts';
import { makeSecret, publicKeyOf } from '../../src/subscriptions/webhook-keys.ts';
import { Bench, target } from '../deliveries/consumer-bench.ts';

const random = (fill: number) => ({
  fraction: () => 0.5,
  bytes: (length: number) => new Uint8Array(length).fill(fill),
});
const SECRET = makeSecret(random(1));
const OTHER = makeSecret(random(2));
const PRIVATE = makeSecret(random(3), 'v1a');
const PUBLIC = publicKeyOf(PRIVATE) ?? '';

function stored(sequence: number, more: Record<string, unknown> = {}): ClaimedEvent {
  const json = JSON.stringify({
    specversion: '1.0',
    id: `order-${sequence}`,
    source: '/topics/orders',
    type: 'order.created',
    subject: 'Zoë "4711"',
    time: '2026-11-23T20:00:00Z',
    datacontenttype: 'application/json',
    data: { amount: 120, note: 'é' },
    topic: 'orders',
    sequence: String(sequence).padStart(16, '0'),
    recordedtime: '2026-11-23T20:00:01Z',
    ...more,
  });
  return { topic: 'orders', sequence, json, attempt: 3, replay: null, redriven: false, key: null, notBefore: null };
}

function sent(of: ClaimedEvent, to: Partial<WebhookTarget> = {}, at = Date.now()): Request {
  const { url, method, headers, body } = webhookRequest(
    'billing',
    target({ secrets: [SECRET], ...to }),
    of,
    at,
    '9.9.9',
  );
  return new Request(url, { method, headers, body: typeof body === 'string' ? body : Uint8Array.from(body) });
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'taken',
    (error: unknown) => (error instanceof VerificationError ? error.code : error),
  );

describe('verifying a webhook of the hub', () => {
  it.each(['structured', 'binary'] as const)('reads the event of the format %s', async (format) => {
    const webhook = await verify<{ amount: number }>(sent(stored(42), { format }), SECRET);
    expect(webhook).toMatchObject({ format, topic: 'orders', attempt: 3, replay: null, redriven: false });
    expect(webhook.id).toMatch(/^msg_/);
    expect(Math.abs(webhook.at.getTime() - Date.now())).toBeLessThan(60_000);
    const [delivery] = webhook.deliveries;
    expect(delivery).toEqual({
      event: JSON.parse(stored(42).json),
      topic: 'orders',
      sequence: 42,
      attempt: 3,
      replay: null,
      redriven: false,
    } satisfies Delivery);
    expect(delivery?.event.data.amount).toBe(120);
  });

  it('P7: takes it for no other format than is expected, whatever its headers say', async () => {
    const request = sent(stored(42), { format: 'structured' });
    const headers = new Headers(request.headers);
    headers.set('content-type', 'application/json');
    for (const [name, value] of Object.entries({ specversion: '1.0', id: 'x', source: '/x', type: 'account.refund' }))
      headers.set(`ce-${name}`, value);
    headers.set('ce-topic', 'payments');
    headers.set('ce-sequence', '9999');
    const changed = new Request(request, { headers });
    expect(await code(verify(changed, SECRET, { format: 'structured' }))).toBe('invalid-body');
    for (const format of ['structured', 'binary', 'batch', 'data'] as const)
      expect(await verify(sent(stored(42), { format }), SECRET, { format })).toMatchObject({ format });
  });

  it('reads text, bytes and nothing in binary mode, as they are in JSON', async () => {
    for (const [event, expected] of [
      [stored(1, { datacontenttype: 'text/plain', data: 'héllo' }), { data: 'héllo' }],
      [stored(1, { datacontenttype: 'image/png', data: undefined, data_base64: 'AQL/' }), { data_base64: 'AQL/' }],
      [stored(1, { datacontenttype: undefined, data: undefined }), {}],
    ] as const) {
      const { deliveries } = await verify(sent(event, { format: 'binary' }), SECRET);
      const { data, data_base64 } = deliveries[0]?.event ?? {};
      expect({ ...(data !== undefined && { data }), ...(data_base64 !== undefined && { data_base64 }) }).toEqual(
        expected,
      );
    }
  });

  it('reads the data alone, whose event is not sent', async () => {
    const webhook = await verify<{ amount: number }>(sent(stored(42), { format: 'data' }), SECRET);
    if (webhook.format !== 'data') return expect.fail('another format');
    expect(webhook).toMatchObject({ topic: 'orders', sequence: 42, deliveries: [] });
    expect(webhook.data.amount).toBe(120);
    const bytes = sent(stored(1, { datacontenttype: 'image/png', data: undefined, data_base64: 'AQL/' }), {
      format: 'data',
    });
    expect(await verify(bytes, SECRET)).toMatchObject({ data: new Uint8Array([1, 2, 255]) });
  });

  it.each(['application/cloudevents+json', 'application/cloudevents-batch+json'])(
    'P7 is not taken in by data that is an event itself: %s',
    async (datacontenttype) => {
      const inner = { specversion: '1.0', topic: 'payments', sequence: '0000000000000001', type: 'paid' };
      const data = datacontenttype.includes('batch') ? [inner] : inner;
      const outer = stored(42, { datacontenttype, data });
      const [delivery] = (await verify(sent(outer, { format: 'binary' }), SECRET)).deliveries;
      expect(delivery).toMatchObject({ topic: 'orders', sequence: 42, event: JSON.parse(outer.json) });
      const alone = await verify(sent(outer, { format: 'data' }), SECRET);
      expect(alone).toMatchObject({ format: 'data', deliveries: [], topic: 'orders', sequence: 42, data });
    },
  );

  it('reads a batch', async () => {
    const events: Batch = [stored(1), stored(2), { ...stored(3), attempt: 4 }];
    const { url, headers, body } = batchRequest(
      'billing',
      target({ secrets: [SECRET], format: 'batch' }),
      events.map((event) => ({ ...event, replay: 'rpl_1' })) as unknown as Batch,
      Date.now(),
      '9.9.9',
    );
    const webhook = await verify(new Request(url, { method: 'POST', headers, body: String(body) }), SECRET);
    expect(webhook.format).toBe('batch');
    expect(webhook.deliveries.map(({ sequence, attempt, replay }) => [sequence, attempt, replay])).toEqual([
      [1, 4, 'rpl_1'],
      [2, 4, 'rpl_1'],
      [3, 4, 'rpl_1'],
    ]);
  });

  it('says of which replay it is, and that a person sent it again', async () => {
    const webhook = await verify(sent({ ...stored(1), replay: 'rpl_1', redriven: true }), SECRET);
    expect(webhook.deliveries[0]).toMatchObject({ replay: 'rpl_1', redriven: true });
  });

  it.each(['structured', 'binary', 'batch', 'data'] as const)('takes a test of the format %s', async (format) => {
    const bench = new Bench([]);
    const requests: Request[] = [];
    const fetch = async (url: string, init: RequestInit) => {
      requests.push(new Request(url, { method: 'POST', headers: init.headers ?? {}, body: init.body ?? null }));
      return new Response();
    };
    const ports = {
      ...bench.ports,
      fetch,
      clock: { now: () => Date.now(), sleep: (ms: number) => bench.clock.sleep(ms) },
    };
    await sendTestEvent('billing', target({ secrets: [SECRET], format }), ports);
    expect(await verify(requests[0] ?? new Request('http://none'), SECRET)).toMatchObject({ topic: 'millrace.test' });
  });

  it('takes both keys while they are being rotated, of either kind', async () => {
    const both = { secrets: [PRIVATE, SECRET] };
    for (const keys of [SECRET, PUBLIC, PRIVATE, [OTHER, SECRET], [OTHER, PUBLIC]]) {
      expect(await code(verify(sent(stored(1), both), keys))).toBe('taken');
    }
    expect(await code(verify(sent(stored(1), both), OTHER))).toBe('no-matching-signature');
    expect(await code(verify(sent(stored(1), { secrets: [PRIVATE] }), [SECRET]))).toBe('no-matching-signature');
  });

  it('takes headers and a body as node:http has them', async () => {
    const request = sent(stored(1));
    const headers: Record<string, string> = Object.fromEntries(request.headers);
    const body = await request.text();
    expect(await code(verify({ headers, body }, SECRET))).toBe('taken');
    // As node:http2 has them.
    expect(await code(verify({ headers: { ':method': 'POST', ':path': '/', ...headers }, body }, SECRET))).toBe(
      'taken',
    );
    expect(
      await code(verify({ headers: { ...headers, other: ['a', 'b'] }, body: new TextEncoder().encode(body) }, SECRET)),
    ).toBe('taken');
  });
});

describe('P7: refusing', () => {
  const changed = async (
    change: (headers: Headers) => void,
    body?: string,
    options = {},
    keys: string | string[] = SECRET,
  ) => {
    const request = sent(stored(1));
    const headers = new Headers(request.headers);
    change(headers);
    return code(verify({ headers, body: body ?? (await request.text()) }, keys, options));
  };

  it('what was changed, or signed by another', async () => {
    expect(await changed(() => undefined)).toBe('taken');
    expect(await changed(() => undefined, `${stored(1).json} `)).toBe('no-matching-signature');
    for (const header of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
      expect(await changed((headers) => headers.delete(header)), header).toBe('missing-header');
    }
    expect(await changed((headers) => headers.set('webhook-id', 'msg_x'))).toBe('no-matching-signature');
    expect(await changed((headers) => headers.set('webhook-timestamp', 'now'))).toBe('missing-header');
    for (const signature of ['v1,', 'v1', 'v2,AAAA', 'v1,%%%', 'v1a,AAAA', `${'v1,AAAA '.repeat(8)}`]) {
      expect(await changed((headers) => headers.set('webhook-signature', signature)), signature).toBe(
        'no-matching-signature',
      );
    }
  });

  it('what is older than the tolerance, or of a clock that is ahead', async () => {
    for (const offset of [-301_000, 301_000]) {
      expect(await code(verify(sent(stored(1), {}, Date.now() + offset), SECRET))).toBe('timestamp-out-of-range');
    }
    expect(await code(verify(sent(stored(1), {}, Date.now() - 250_000), SECRET))).toBe('taken');
    expect(await code(verify(sent(stored(1), {}, Date.now() - 250_000), SECRET, { toleranceSeconds: 60 }))).toBe(
      'timestamp-out-of-range',
    );
  });

  it('nothing by a tolerance that is none', async () => {
    const old = sent(stored(1), {}, Date.now() - 30 * 86_400_000);
    for (const toleranceSeconds of [Number.NaN, -1])
      await expect(verify(old.clone(), SECRET, { toleranceSeconds })).rejects.toThrow(TypeError);
  });

  it('keys that are none', async () => {
    for (const key of ['', 'secret', 'whsec_', 'whsec_%%', 'whpk_AAAA', 'whsk_AAAA', ...SECRET.split('_')]) {
      expect(await code(verify(sent(stored(1)), key)), key).toBe('invalid-key');
    }
    const unset = undefined as unknown as string;
    expect(await code(verify(sent(stored(1)), unset))).toBe('invalid-key');
    expect(await code(verify(sent(stored(1)), [unset, SECRET]))).toBe('invalid-key');
    expect(await code(verify(sent(stored(1)), []))).toBe('no-matching-signature');
  });

  it('what is signed and is no event', async () => {
    const at = new Date();
    for (const body of ['{', '[]', 'null', '{"specversion":"1.0"}']) {
      const signature = new Webhook(SECRET).sign('msg_1', at, body);
      const request: WebhookRequest = {
        headers: {
          'content-type': 'application/cloudevents+json',
          'webhook-id': 'msg_1',
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': signature,
        },
        body,
      };
      expect(await code(verify(request, SECRET)), body).toBe('invalid-body');
    }
  });
});

describe('signatures of others', () => {
  it.each([
    ['standardwebhooks', new Webhook(SECRET)],
    ['svix', new Svix(SECRET)],
  ] as const)('verifies what %s signs', async (_, signer) => {
    const at = new Date();
    const body = stored(7).json;
    const headers = {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signer.sign('msg_1', at, body),
    };
    expect((await verify({ headers, body }, SECRET)).deliveries[0]).toMatchObject({
      topic: 'orders',
      sequence: 7,
      attempt: 1,
    });
  });
});
