import { createPublicKey, verify } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { CloudEvent, HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, type TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** Formats, signatures and the handshake, as receivers see them that read and verify with other people's libraries. */

interface Request {
  method: string;
  headers: Record<string, string>;
  body: Buffer;
}

let hub: TestHub;
let me: Stranger;
/** All requests, by path: `/name` is the subscription's. */
const book = new Map<string, Request[]>();
/** Headers of what is answered to OPTIONS. */
let consent: Record<string, string> = {};
/** What POSTs are answered with, by path. */
const statuses = new Map<string, number[]>();

const server = createServer(async (request, response) => {
  const path = request.url ?? '';
  const { method = '' } = request;
  const arrival = { method, headers: flat(request.headers), body: await buffer(request) };
  book.set(path, [...(book.get(path) ?? []), arrival]);
  if (method === 'OPTIONS') response.writeHead(200, consent).end();
  else response.writeHead(statuses.get(path)?.shift() ?? 200).end();
});

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

let receiver = '';

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The receiver has no port.');
  receiver = `http://127.0.0.1:${address.port}`;
});
beforeEach(() => {
  consent = {};
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await hub.stop();
});

async function subscribe(name: string, delivery: object): Promise<{ status: string; secret: string }> {
  const made = await me.put(`/v1/subscriptions/${name}`, {
    topics: [name],
    retry: { schedule: ['100ms', '100ms'], jitter: 0 },
    delivery: { url: `${receiver}/${name}`, ...delivery },
  });
  const { status, delivery: shown } = made.is<{ status: string; delivery: { secret: string } }>(201);
  return { status, secret: shown.secret };
}

const posts = (name: string) => (book.get(`/${name}`) ?? []).filter(({ method }) => method === 'POST');
const asked = (name: string) => (book.get(`/${name}`) ?? []).filter(({ method }) => method === 'OPTIONS');

/** The requests of a subscription, once there are so many. */
const arrived = (name: string, count: number) =>
  eventually(`${name} has ${count} requests`, () => posts(name).length >= count && posts(name));

const EVENT = {
  type: 'order.created',
  id: 'o-1',
  subject: 'Grüße ☃ 100%',
  data: { amount: 5, text: 'é "quoted"' },
  tenant: 'a b',
};

describe('a webhook', () => {
  it('in binary mode is read by the CloudEvents SDK, and verified over its bytes', async () => {
    const { secret } = await subscribe('binary', { format: 'binary' });
    await me.publish('binary', EVENT);
    const [request] = await arrived('binary', 1);
    const { headers, body } = request ?? expect.fail();
    expect(() => new Webhook(secret).verify(body, headers)).not.toThrow();
    expect(() => new Svix(secret).verify(body, headers)).not.toThrow();
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'ce-subject': 'Gr%C3%BC%C3%9Fe%20%E2%98%83%20100%25',
      'ce-tenant': 'a%20b',
      'ce-topic': 'binary',
      'ce-sequence': '0000000000000001',
      'ce-recordedtime': expect.stringMatching(/Z$/),
      'millrace-sequence': '1',
    });
    const event = HTTP.toEvent({ headers, body: body.toString() });
    if (!(event instanceof CloudEvent)) throw new Error('no event');
    expect(event).toMatchObject({ id: 'o-1', type: 'order.created', source: '/topics/binary', data: EVENT.data });
    expect(event.validate()).toBe(true);
  });

  it('in binary mode has bytes as bytes', async () => {
    await subscribe('bytes', { format: 'binary' });
    const bytes = Buffer.from([0, 255, 10, 195, 40]);
    await me.publish('bytes', { type: 'a', datacontenttype: 'image/png', data_base64: bytes.toString('base64') });
    const [request] = await arrived('bytes', 1);
    expect(request?.body).toEqual(bytes);
    expect(request?.headers['content-type']).toBe('image/png');
  });

  it('can be the data alone, or nothing', async () => {
    const { secret } = await subscribe('data', { format: 'data' });
    await me.publish('data', EVENT);
    await me.publish('data', { type: 'nothing' });
    const both = await arrived('data', 2);
    const [first, second] = both.sort(
      (a, b) => Number(a.headers['millrace-sequence']) - Number(b.headers['millrace-sequence']),
    );
    expect(new Webhook(secret).verify(first?.body ?? '', first?.headers ?? {})).toEqual(EVENT.data);
    expect(first?.headers['content-type']).toBe('application/json');
    expect(second?.body).toHaveLength(0);
    expect(second?.headers).not.toHaveProperty('content-type');
    expect(second?.headers['content-length']).toBe('0');
  });
});

describe('a batch', () => {
  it('is read by the CloudEvents SDK, verified as one, and the same over its attempts', async () => {
    const { secret } = await subscribe('batch', { format: 'batch', maxBatch: 3 });
    // Fewer than each of the two may have.
    statuses.set('/batch', [500, 500]);
    await me.publish(
      'batch',
      Array.from({ length: 6 }, (_, index) => ({ type: 'a', data: { index } })),
    );
    await eventually('all are delivered', async () =>
      (await me.get('/v1/subscriptions/batch')).text.includes('"delivered":6'),
    );
    const byId = new Map<string, string[]>();
    for (const { headers, body } of posts('batch')) {
      expect(headers['content-type']).toBe('application/cloudevents-batch+json');
      expect(() => new Svix(secret).verify(body, headers)).not.toThrow();
      const read: unknown = HTTP.toEvent({ headers, body: body.toString() });
      const events: unknown[] = Array.isArray(read) ? read : [];
      expect(events.length).toBeGreaterThan(0);
      expect(events.length).toBeLessThanOrEqual(3);
      for (const event of events) expect(event instanceof CloudEvent && event.validate()).toBe(true);
      const id = headers['webhook-id'] ?? '';
      byId.set(id, [...(byId.get(id) ?? []), body.toString()]);
    }
    expect([...byId.values()].every((bodies) => new Set(bodies).size === 1)).toBe(true);
    expect([...byId.values()].some((bodies) => bodies.length > 1)).toBe(true);
    const { items } = (await me.get('/v1/topics/batch/events/2/deliveries')).is<{ items: object[] }>(200);
    expect(items).toMatchObject([{ status: 'delivered' }]);
  });
});

describe('an Ed25519 signature', () => {
  it('verifies by the public key, made anew for each attempt; a rotation goes over from the other kind', async () => {
    const { secret } = await subscribe('signed', {});
    const rotate = await me.post('/v1/subscriptions/signed/rotate-secret', { signature: 'v1a', overlap: '1h' });
    const rotated = rotate.is<{ secret: string; publicKey: string }>(200);
    expect(rotated.secret).toMatch(/^whsk_[A-Za-z0-9+/]{86}==$/);
    expect((await me.get('/v1/subscriptions/signed/secret')).is(200)).toMatchObject({
      secret: rotated.secret,
      publicKey: rotated.publicKey,
      previous: { secret },
    });
    statuses.set('/signed', [500]);
    await me.publish('signed', EVENT);
    for (const { headers, body } of await arrived('signed', 2)) {
      const signatures = headers['webhook-signature']?.split(' ') ?? [];
      expect(signatures.map((signature) => signature.split(',')[0])).toEqual(['v1a', 'v1']);
      expect(() => new Webhook(secret).verify(body, headers)).not.toThrow();
      const content = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
      const signature = Buffer.from(signatures[0]?.slice('v1a,'.length) ?? '', 'base64');
      expect(verify(null, content, keyOf(rotated.publicKey), signature)).toBe(true);
    }
  });

  it('is made with a key of one’s own', async () => {
    const pair = 'whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==';
    expect((await subscribe('own', { secret: pair })).secret).toBe(pair);
    expect((await me.get('/v1/subscriptions/own/secret')).is(200)).toEqual({
      secret: pair,
      publicKey: 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=',
    });
    const bad = { topics: ['own'], delivery: { url: receiver, secret: `whsk_${btoa('x'.repeat(64))}` } };
    (await me.put('/v1/subscriptions/bad', bad)).refused(400, 'invalid-request', 'delivery.secret');
  });
});

function keyOf(publicKey: string) {
  const x = Buffer.from(publicKey.slice('whpk_'.length), 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

describe('the handshake', () => {
  const view = async (name: string) =>
    (await me.get(`/v1/subscriptions/${name}`)).is<{ status: string; reason: string | null; waiting: number }>(200);

  it('with a receiver that consents is done when the subscription is made', async () => {
    consent = { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '*', allow: 'POST' };
    expect(await subscribe('consenting', { handshake: true })).toMatchObject({ status: 'active' });
    const [options] = asked('consenting');
    expect(options?.headers).toMatchObject({
      'webhook-request-origin': '127.0.0.1',
      'webhook-request-callback': expect.stringMatching(
        /^http:\/\/127\.0\.0\.1:\d+\/v1\/subscriptions\/consenting\/handshake\/[0-9a-f]{32}$/,
      ),
    });
    await me.publish('consenting', EVENT);
    const [request] = await arrived('consenting', 1);
    expect(request?.headers['webhook-request-origin']).toBe('127.0.0.1');
  });

  it('P4: without consent nothing is sent and everything waits; a call by the receiver starts it', async () => {
    expect(await subscribe('later', { handshake: true })).toMatchObject({ status: 'pending' });
    await me.publish('later', [EVENT, { type: 'b' }]);
    expect(await view('later')).toMatchObject({
      status: 'pending',
      reason: 'The receiver answered 200 without WebHook-Allowed-Origin.',
      waiting: 2,
    });
    const callback = asked('later')[0]?.headers['webhook-request-callback'] ?? '';
    expect((await fetch(callback.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')))).status).toBe(404);
    expect(posts('later')).toEqual([]);
    expect((await fetch(callback, { method: 'POST', body: 'yes' })).status).toBe(200);
    await arrived('later', 2);
    expect(await view('later')).toMatchObject({ status: 'active', reason: null });
    expect((await fetch(callback)).status).toBe(200);
  });

  it('is repeated by itself, and when the subscription is resumed', async () => {
    consent = { 'webhook-allowed-origin': 'other.example' };
    expect(await subscribe('repeated', { handshake: true })).toMatchObject({ status: 'pending' });
    await subscribe('resumed', { handshake: true });
    consent = { 'webhook-allowed-origin': '127.0.0.1' };
    expect((await me.post('/v1/subscriptions/resumed/resume')).is(200)).toMatchObject({ status: 'active' });
    await eventually('the receiver was asked again', async () => (await view('repeated')).status === 'active');
  });
});
