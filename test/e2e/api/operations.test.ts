import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { all, type Stranger, startStranger } from './support/stranger.ts';

/** What an operator does: takes the configuration to another hub, and gives a producer a quota. */

const SUBSCRIPTIONS = 40;
const PASSPHRASE = { 'millrace-secrets-passphrase': 'correct horse battery staple' };

interface Config {
  version: 1;
  topics: { name: string }[];
  subscriptions: { name: string; paused: boolean }[];
  secrets: object | null;
}

let source: { hub: TestHub; me: Stranger };
let target: { hub: TestHub; me: Stranger };
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  source = await startStranger();
  target = await startStranger();
});
afterAll(async () => {
  await receiver.stop();
  await source.hub.stop();
  await target.hub.stop();
});

const configOf = async ({ me }: { me: Stranger }, headers: Record<string, string> = {}) =>
  (await me.get('/v1/config', { headers })).is<Config>(200);

describe('GET and PUT /v1/config', () => {
  it('P4 P7: takes everything to a hub with other secrets of its own, though that is killed in the middle', async () => {
    const headers = { authorization: 'Bearer s3cr3t' };
    await source.me.put('/v1/topics/orders', { description: 'Orders', deduplicationWindow: '7d' });
    for (let index = 0; index < SUBSCRIPTIONS; index += 1) {
      const document = { topics: ['orders', 'shop.*'], from: 'earliest', delivery: { url: receiver.url, headers } };
      (await source.me.put(`/v1/subscriptions/s${index}`, document)).is(201);
    }
    await source.me.post('/v1/subscriptions/s1/pause');
    await eventually('the topic is in the export', async () => (await configOf(source)).topics.length === 1);
    const open = await configOf(source);
    expect(JSON.stringify(open)).not.toMatch(/whsec_|s3cr3t/);
    const sealed = await configOf(source, PASSPHRASE);
    expect({ ...sealed, secrets: null }).toEqual(open);
    expect(JSON.stringify(sealed)).not.toMatch(/whsec_|s3cr3t/);

    const first = target.me.put('/v1/config', sealed, PASSPHRASE).catch(() => null);
    await eventually('the first is there', async () => (await all(target.me, '/v1/subscriptions')).length > 0);
    await target.hub.kill9();
    await first;
    await target.hub.start();
    const again = (await target.me.put('/v1/config', sealed, PASSPHRASE)).is<{ subscriptions: { outcome: string }[] }>(
      200,
    );
    expect(again.subscriptions.map(({ outcome }) => outcome)).not.toContain('failed');
    await eventually('the topic is in the export', async () => (await configOf(target)).topics.length === 1);
    expect(await configOf(target)).toEqual(open);

    const secretAt = async ({ me }: { me: Stranger }) =>
      (await me.get('/v1/subscriptions/s0/secret')).is<{ secret: string }>(200).secret;
    receiver.secret = await secretAt(source);
    expect(await secretAt(target)).toBe(receiver.secret);
    (await target.me.post('/v1/subscriptions/s0/test')).is(200);
    expect(receiver.book.at(-1)).toMatchObject({ verified: true, headers: expect.objectContaining(headers) });
  });

  it('P8: names all that is wrong and changes nothing', async () => {
    const before = await configOf(target);
    const wrong = { ...before, subscriptions: [...before.subscriptions, { name: 'bad', topics: ['a..b'] }] };
    const path = `subscriptions[${SUBSCRIPTIONS}].topics[0]`;
    (await target.me.put('/v1/config', wrong)).refused(400, 'invalid-request', path);
    expect(await configOf(target)).toEqual(before);
  });
});

describe('a quota', () => {
  it('P8: lets a key publish so much, and says when more', async () => {
    const key = { name: 'daily', scopes: ['publish:orders'], quota: { perDay: 5 } };
    const made = (await source.me.post('/v1/keys', key)).is<{ key: string; quota: object }>(201);
    expect(made.quota).toEqual({ perDay: 5 });
    const writer = source.me.with(made.key);
    await writer.publish('orders', [{ type: 'a' }, { type: 'b' }, { type: 'c' }]);
    const answer = await writer.post('/v1/topics/orders/events', [{ type: 'a' }, { type: 'b' }, { type: 'c' }]);
    expect(answer.refused(429, 'quota-exceeded')).toMatchObject({ quota: { perDay: 5 }, remaining: 2 });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    await writer.publish('orders', [{ type: 'd' }, { type: 'e' }]);
    await source.me.publish('orders', { type: 'others-go-on' });
  });
});
