import { env, SELF } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';

/** The interface over the real objects, D1 and queues in workerd. */

const PATIENCE_MS = 20_000;
const ADMIN = { authorization: `Bearer ${env.ADMIN_KEY}` };

interface Options {
  key?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

async function call(method: string, path: string, { key, headers, body }: Options = {}) {
  const response = await SELF.fetch(`http://hub.test${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...ADMIN,
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.match(/[/+]json/) ? JSON.parse(text) : null;
  return { status: response.status, headers: response.headers, text, json };
}

describe('publishing and reading (P1, P2, P3)', () => {
  it('takes events in the short form and gives them back as CloudEvents', async () => {
    const published = await call('POST', '/v1/topics/orders/events', {
      body: [
        { type: 'order.created', data: { n: 1 } },
        { type: 'order.paid', subject: 's-1', data: { n: 2 } },
      ],
    });
    expect(published.status).toBe(201);
    expect(published.json.events).toMatchObject([
      { topic: 'orders', source: '/topics/orders', sequence: 1, duplicate: false },
      { topic: 'orders', sequence: 2, duplicate: false },
    ]);
    const page = await call('GET', '/v1/topics/orders/events');
    expect(page.json).toMatchObject({ next: null, lastSequence: 2 });
    expect(page.json.events).toMatchObject([
      { specversion: '1.0', type: 'order.created', sequence: '0000000000000001', topic: 'orders', data: { n: 1 } },
      { type: 'order.paid', subject: 's-1' },
    ]);
    const one = await call('GET', '/v1/topics/orders/events/2');
    expect(one.headers.get('content-type')).toBe('application/cloudevents+json; charset=utf-8');
    expect(one.json).toMatchObject({ type: 'order.paid' });
    expect((await call('GET', '/v1/topics/orders/events/3')).json).toMatchObject({
      code: 'unknown-event',
      status: 404,
    });
  });

  it('answers a repeated event with its first sequence', async () => {
    const event = { specversion: '1.0', id: 'a', source: '/s', type: 't', data: 1 };
    const headers = { 'content-type': 'application/cloudevents+json' };
    const first = await call('POST', '/v1/topics/once/events', { body: event, headers });
    const again = await call('POST', '/v1/topics/once/events', { body: event, headers });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.json.events[0]).toMatchObject({ sequence: 1, duplicate: true });
    const other = await call('POST', '/v1/topics/once/events', { body: { ...event, data: 2 }, headers });
    expect(other).toMatchObject({ status: 409, json: { code: 'event-id-conflict', sequence: 1 } });
  });

  it('remembers the answer of an Idempotency-Key, and finds its own events without the memory', async () => {
    const headers = { 'idempotency-key': 'k-1' };
    const path = '/v1/topics/idempotent/events';
    const first = await call('POST', path, { headers, body: { type: 't', data: 1 } });
    const again = await call('POST', path, { headers, body: { type: 't', data: 1 } });
    expect(again.status).toBe(201);
    expect(again.text).toBe(first.text);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const other = await call('POST', path, { headers, body: { type: 't', data: 2 } });
    expect(other).toMatchObject({ status: 422, json: { code: 'idempotency-key-reused' } });
    await env.DB.exec('DELETE FROM idempotency');
    const forgotten = await call('POST', path, { headers, body: { type: 't', data: 1 } });
    expect(forgotten.status).toBe(200);
    expect(forgotten.json.events[0]).toMatchObject({ sequence: 1, duplicate: true });
  });

  it('runs sixteen requests with one Idempotency-Key once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, () =>
        call('POST', '/v1/topics/race/events', { headers: { 'idempotency-key': 'r' }, body: { type: 't' } }),
      ),
    );
    expect(answers.filter(({ status }) => ![201, 409].includes(status))).toEqual([]);
    expect((await call('GET', '/v1/topics/race/events')).json.lastSequence).toBe(1);
  });

  it('appends only after the expected sequence, but tells a retry that it won', async () => {
    const path = '/v1/topics/expected/events';
    const body = { type: 't', id: 'first', source: '/s' };
    const headers = { 'expected-last-sequence': '0' };
    expect((await call('POST', path, { body, headers })).status).toBe(201);
    expect((await call('POST', path, { body, headers })).status).toBe(200);
    const lost = await call('POST', path, { body: { type: 't', id: 'second' }, headers });
    expect(lost).toMatchObject({ status: 412, json: { code: 'wrong-expected-sequence', lastSequence: 1 } });
  });

  it('streams a whole range as lines', async () => {
    for (let batch = 0; batch < 3; batch += 1) {
      await call('POST', '/v1/topics/lines/events', { body: Array.from({ length: 900 }, () => ({ type: 't' })) });
    }
    const lines = await call('GET', '/v1/topics/lines/events', { headers: { accept: 'application/x-ndjson' } });
    expect(lines.headers.get('content-type')).toBe('application/x-ndjson');
    const sequences = lines.text
      .trim()
      .split('\n')
      .map((line) => Number(JSON.parse(line).sequence));
    expect(sequences).toEqual(Array.from({ length: 2700 }, (_, index) => index + 1));
    const backwards = await call('GET', '/v1/topics/lines/events?order=desc&until=2000', {
      headers: { accept: 'application/x-ndjson' },
    });
    expect(backwards.text.trim().split('\n')).toHaveLength(2000);
  });

  it('waits for the next event', async () => {
    await call('POST', '/v1/topics/poll/events', { body: { type: 't' } });
    const waiting = call('GET', '/v1/topics/poll/events?after=1&wait=20s');
    await scheduler.wait(100);
    await call('POST', '/v1/topics/poll/events', { body: { type: 'late' } });
    expect((await waiting).json).toMatchObject({ events: [{ type: 'late' }], lastSequence: 2 });
  });
});

describe('topics', () => {
  it('are made, replaced under an etag, listed and deleted, and go on counting', async () => {
    const made = await call('PUT', '/v1/topics/t1', { body: { description: 'one' } });
    expect(made.status).toBe(201);
    const etag = made.headers.get('etag') ?? '';
    const got = await call('GET', '/v1/topics/t1');
    expect(got.headers.get('etag')).toBe(etag);
    expect((await call('PUT', '/v1/topics/t1', { body: got.json, headers: { 'if-match': etag } })).status).toBe(200);
    await call('PUT', '/v1/topics/t1', { body: { description: 'two' } });
    expect(await call('PUT', '/v1/topics/t1', { body: {}, headers: { 'if-match': etag } })).toMatchObject({
      status: 412,
      json: { code: 'precondition-failed' },
    });
    await call('POST', '/v1/topics/t1/events', { body: { type: 't' } });
    await expect
      .poll(
        async () => (await call('GET', '/v1/topics?limit=1000')).json.items.map(({ name }: { name: string }) => name),
        { timeout: PATIENCE_MS },
      )
      .toContain('t1');
    expect((await call('DELETE', '/v1/topics/t1')).status).toBe(204);
    expect((await call('GET', '/v1/topics/t1')).json).toMatchObject({ code: 'unknown-topic' });
    const again = await call('POST', '/v1/topics/t1/events', { body: { type: 't' } });
    expect(again.json.events[0].sequence).toBe(2);
  });
});

describe('keys (P7)', () => {
  it('do what their scopes say until they are deleted, at once here', async () => {
    const made = await call('POST', '/v1/keys', { body: { name: 'writer', scopes: ['publish:team.>'] } });
    expect(made.status).toBe(201);
    const { key } = made.json;
    const publish = (topic: string) => call('POST', `/v1/topics/${topic}/events`, { key, body: { type: 't' } });
    expect((await publish('team.a')).json).toMatchObject({ code: 'unknown-topic' });
    await call('PUT', '/v1/topics/team.a', { body: {} });
    expect((await publish('team.a')).status).toBe(201);
    expect(await publish('other')).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    expect(await call('GET', '/v1/topics/team.a/events', { key })).toMatchObject({ status: 403 });
    expect(await call('GET', '/v1/keys', { key })).toMatchObject({ status: 403 });
    expect((await call('POST', '/v1/keys', { body: { name: 'writer', scopes: ['admin'] } })).json.code).toBe(
      'key-exists',
    );
    expect((await call('GET', '/v1/keys')).text).not.toContain(key);
    expect((await call('DELETE', '/v1/keys/writer')).status).toBe(204);
    expect(await publish('team.a')).toMatchObject({ status: 401, json: { code: 'unauthorized' } });
    const audit = await call('GET', '/v1/audit');
    expect(audit.json.items).toContainEqual(
      expect.objectContaining({ key: 'admin', action: 'key.delete', target: 'writer' }),
    );
  });
});

describe('a database that is not migrated', () => {
  it('is named, where it is needed', async () => {
    await env.DB.exec('ALTER TABLE keys RENAME TO keys_away');
    expect(await call('GET', '/v1/keys')).toMatchObject({ status: 503, json: { code: 'not-migrated' } });
    await env.DB.exec('ALTER TABLE keys_away RENAME TO keys');
  });
});
