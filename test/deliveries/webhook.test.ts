import { Webhook } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';
import { describe, expect, it } from 'vitest';
import { parseRetryAfter } from '../../src/deliveries/answer.ts';
import { headerProblem } from '../../src/deliveries/headers.ts';
import { batchRequest, webhookRequest } from '../../src/deliveries/request.ts';
import { sendTestEvent } from '../../src/deliveries/test-event.ts';
import { urlRules } from '../../src/deliveries/url-rules.ts';
import { sendWebhook, type WebhookPorts } from '../../src/deliveries/webhook.ts';
import type { WebhookFormat } from '../../src/subscriptions/document.ts';
import type { ClaimedEvent, DeliveryOutcome, WebhookTarget } from '../../src/subscriptions/protocol-claims.ts';
import { makeSecret } from '../../src/subscriptions/webhook-keys.ts';
import { bodyText } from '../support/body-text.ts';
import { settled } from '../support/fake-clock.ts';
import { Bench, event, SECRET, target } from './consumer-bench.ts';

const PREVIOUS = makeSecret({ fraction: () => 0.5, bytes: (length) => new Uint8Array(length).fill(9) });

/** What becomes of one event, the clock moved on in small steps until it is known. */
async function outcomeOf(
  bench: Bench,
  to: WebhookTarget = target(),
  ports: WebhookPorts = bench.ports,
): Promise<DeliveryOutcome> {
  let outcome: DeliveryOutcome | null = null;
  const sending = sendWebhook('billing', to, event(1), ports).then((known) => {
    outcome = known;
  });
  await settled();
  while (outcome === null && bench.elapsed < 60_000) await bench.clock.advance(100);
  await sending;
  if (outcome === null) throw new Error('no outcome');
  return outcome;
}

function answering(response: () => Response): Bench {
  const bench = new Bench([]);
  bench.receiver = response;
  return bench;
}

/** A body that gives `chunk` for ever, or gives it once and stalls. */
function body(chunk: string, goOn: boolean, onCancel: () => void = () => {}): ReadableStream<Uint8Array> {
  let given = false;
  return new ReadableStream({
    pull(controller) {
      if (given && !goOn) return new Promise(() => {});
      given = true;
      controller.enqueue(new TextEncoder().encode(chunk));
      return undefined;
    },
    cancel: onCancel,
  });
}

describe('the request', () => {
  const request = (more: Partial<WebhookTarget> = {}, of: Partial<ClaimedEvent> = {}) =>
    webhookRequest('billing', target(more), event(42, of), 1_767_225_600_999, '9.9.9');

  it('is the event as it is, signed, with what a receiver needs to know', () => {
    const { method, headers, body } = request({}, { attempt: 3, replay: 'replay-1' });
    expect(method).toBe('POST');
    expect(body).toBe(event(42).json);
    expect(headers).toEqual({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'Millrace/9.9.9',
      'webhook-id': expect.stringMatching(/^msg_[a-z2-7]{26}$/),
      'webhook-timestamp': '1767225600',
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
      'millrace-attempt': '3',
      'millrace-topic': 'orders',
      'millrace-sequence': '42',
      'millrace-replay': 'replay-1',
    });
  });

  it('P5: has one webhook-id for an event and subscription, over attempts and replays', () => {
    const id = (subscription: string, of: ClaimedEvent) =>
      webhookRequest(subscription, target(), of, 0, '1').headers['webhook-id'];
    const first = id('billing', event(1));
    expect(id('billing', event(1, { attempt: 9, replay: 'r' }))).toBe(first);
    expect(id('email', event(1))).not.toBe(first);
    expect(id('billing', event(2))).not.toBe(first);
    expect(id('billing', event(1, { topic: 'invoices' }))).not.toBe(first);
  });

  it.each([[[SECRET]], [[SECRET, PREVIOUS]]])('verifies with standardwebhooks under each of its secrets', (secrets) => {
    const request = webhookRequest('billing', target({ secrets }), event(1), Date.now(), '1');
    const { headers } = request;
    const body = bodyText(request.body);
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(secrets.length);
    for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
    expect(() =>
      new Webhook(makeSecret({ fraction: () => 0, bytes: (n) => new Uint8Array(n) })).verify(body, headers),
    ).toThrow();
  });

  it('signs by keys of both kinds while one takes the other’s place', () => {
    const secrets = [makeSecret({ fraction: () => 0.5, bytes: (length) => new Uint8Array(length) }, 'v1a'), SECRET];
    const { headers, body } = webhookRequest('billing', target({ secrets }), event(1), Date.now(), '1');
    expect(headers['webhook-signature']).toMatch(/^v1a,\S{86}== v1,\S{43}=$/);
    expect(new Webhook(SECRET).verify(bodyText(body), headers)).toMatchObject({ id: 'e1' });
    expect(() => new Svix(SECRET).verify(bodyText(body), headers)).not.toThrow();
  });

  it('is signed over the bytes that are sent, whatever the format', () => {
    const json = JSON.stringify({
      ...JSON.parse(event(1).json),
      data_base64: Buffer.from('{"ä":1}').toString('base64'),
    });
    for (const format of ['structured', 'binary', 'data'] as const) {
      const { headers, body } = webhookRequest('billing', target({ format }), event(1, { json }), Date.now(), '1');
      expect(headers).toMatchObject({ 'millrace-sequence': '1', 'webhook-id': expect.stringMatching(/^msg_/) });
      expect(() => new Webhook(SECRET).verify(bodyText(body), headers)).not.toThrow();
    }
  });

  it('of a batch has all its events, one signature, and an id as long as they are the same', () => {
    const to = target({ format: 'batch', maxBatch: 3 });
    const of = (members: [ClaimedEvent, ...ClaimedEvent[]]) => batchRequest('billing', to, members, Date.now(), '1');
    const { headers, body } = of([event(4), event(5, { attempt: 2 }), event(9)]);
    const read: unknown = new Webhook(SECRET).verify(bodyText(body), headers);
    expect(read).toMatchObject([{ id: 'e4' }, { id: 'e5' }, { id: 'e9' }]);
    expect(headers).toMatchObject({
      'content-type': 'application/cloudevents-batch+json',
      'webhook-id': expect.stringMatching(/^msg_[a-z2-7]{26}$/),
      'millrace-attempt': '2',
      'millrace-topic': 'orders',
      'millrace-first-sequence': '4',
      'millrace-last-sequence': '9',
    });
    expect(headers).not.toHaveProperty('millrace-sequence');
    const id = (request: { headers: Record<string, string> }) => request.headers['webhook-id'];
    expect(id(of([event(4, { attempt: 7, replay: 'r' }), event(5), event(9)]))).toBe(headers['webhook-id']);
    expect(id(of([event(4), event(5)]))).not.toBe(headers['webhook-id']);
    expect(id(of([event(4)]))).toBe(id(request({}, { sequence: 4 })));
    expect(webhookRequest('billing', to, event(4), 0, '1').headers['millrace-first-sequence']).toBe('4');
  });

  it('has the attributes in headers in binary mode alone', () => {
    const ceHeaders = (format: WebhookFormat) =>
      Object.keys(request({ format }).headers).filter((name) => name.startsWith('ce-'));
    expect(ceHeaders('binary')).toEqual(['ce-specversion', 'ce-id', 'ce-source', 'ce-type']);
    expect(ceHeaders('structured')).toEqual([]);
    expect(ceHeaders('data')).toEqual([]);
  });

  it('has the configured headers, save those that are the hub’s, the connection’s, or broken', () => {
    const { headers } = request({
      headers: {
        'X-Env': 'prod',
        Authorization: 'Bearer t',
        'Content-Type': 'text/plain',
        'WEBHOOK-ID': 'forged',
        'Ce-Id': 'forged',
        'Millrace-Sequence': '1',
        'user-agent': 'curl',
        Connection: 'close',
        Host: 'inside',
        'x-broken': 'a\r\nx-injected: 1',
        'x bad': '1',
      },
    });
    expect(headers).toMatchObject({ 'x-env': 'prod', authorization: 'Bearer t', 'millrace-sequence': '42' });
    expect(headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(headers['webhook-id']).toMatch(/^msg_/);
    expect(Object.keys(headers).sort()).toEqual([
      'authorization',
      'content-type',
      'millrace-attempt',
      'millrace-sequence',
      'millrace-topic',
      'user-agent',
      'webhook-id',
      'webhook-signature',
      'webhook-timestamp',
      'x-env',
    ]);
  });

  it('carries the event’s traceparent and tracestate on, if they are such', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const of = (value: unknown) => ({
      json: JSON.stringify({ ...JSON.parse(event(42).json), ...{ traceparent: value } }),
    });
    expect(request({}, of(traceparent)).headers.traceparent).toBe(traceparent);
    const traced = { json: JSON.stringify({ ...JSON.parse(event(42).json), traceparent, tracestate: 'a=1,b=2' }) };
    expect(request({}, traced).headers).toMatchObject({ traceparent, tracestate: 'a=1,b=2' });
    expect(request({}, of(traceparent)).headers.tracestate).toBe(undefined);
    const stateless = {
      json: JSON.stringify({ ...JSON.parse(event(42).json), traceparent, tracestate: 'a=1\r\nx: y' }),
    };
    expect(request({}, stateless).headers.tracestate).toBe(undefined);
    expect(request({}, of('00-x\r\ny: z')).headers.traceparent).toBe(undefined);
    expect(request({}, of(7)).headers.traceparent).toBe(undefined);
    expect(request({}, { json: JSON.stringify({ data: { traceparent } }) }).headers.traceparent).toBe(undefined);
  });
});

describe('a configured header', () => {
  it.each([
    ['X-Env', 'prod', true],
    ['authorization', 'Bearer a.b-c=', true],
    ['x-empty', '', true],
    ['Webhook-Signature', 'v1,x', false],
    ['millrace-anything', 'x', false],
    ['cf-connecting-ip', '1.2.3.4', false],
    ['Transfer-Encoding', 'chunked', false],
    ['content-length', '1', false],
    ['host', 'x', false],
    ['', 'x', false],
    ['a b', 'x', false],
    ['a:b', 'x', false],
    ['x-a', 'a\nb', false],
    ['x-a', 'ä', false],
    ['x-a', '\u0000', false],
  ])('%j: %j may be set: %s', (name, value, may) => {
    expect(headerProblem(name, value) === null).toBe(may);
  });

  it('is refused without repeating its value', () => {
    expect(headerProblem('x-token', 'hunter2\n')).not.toContain('hunter2');
  });
});

describe('an answer', () => {
  it.each([200, 201, 202, 204, 299])('%i is delivered', async (status) => {
    const bench = answering(() => new Response(status === 204 ? null : 'thanks', { status }));
    expect(await outcomeOf(bench)).toEqual({
      kind: 'delivered',
      topic: 'orders',
      sequence: 1,
      at: bench.startedAt,
      latencyMs: 0,
      status,
      response: status === 204 ? '' : 'thanks',
    });
  });

  it.each([300, 304, 400, 401, 404, 410, 415, 418, 429, 500, 502, 503, 599])('%i is a failure', async (status) => {
    const bench = answering(() => new Response(status === 304 ? null : 'no', { status }));
    const outcome = await outcomeOf(bench);
    expect(outcome).toMatchObject({ kind: 'failed', outcome: 'failed', status, retryAfterMs: null });
    expect(outcome).toHaveProperty('error', expect.stringContaining(String(status)));
  });

  it('that redirects is a failure that says so, and is not followed', async () => {
    const bench = answering(() => new Response('', { status: 302, headers: { location: 'https://example.com/new' } }));
    const outcome = await outcomeOf(bench);
    expect(outcome).toMatchObject({
      outcome: 'failed',
      status: 302,
      error: expect.stringContaining('https://example.com/new'),
    });
    expect(bench.sent).toHaveLength(1);
    expect(bench.sent[0]?.init.redirect).toBe('manual');
  });

  it.each([429, 503])('%i with Retry-After says how long to wait', async (status) => {
    const bench = answering(() => new Response('', { status, headers: { 'retry-after': '120' } }));
    expect(await outcomeOf(bench)).toMatchObject({ status, retryAfterMs: 120_000 });
  });

  it('429 with a date says how long to wait from now', async () => {
    const bench = new Bench([]);
    const date = new Date(bench.clock.now() + 90_000).toUTCString();
    bench.receiver = () => new Response('', { status: 429, headers: { 'retry-after': date } });
    expect(await outcomeOf(bench)).toMatchObject({ retryAfterMs: 90_000 });
  });

  it('500 with Retry-After goes by the schedule', async () => {
    const bench = answering(() => new Response('', { status: 500, headers: { 'retry-after': '120' } }));
    expect(await outcomeOf(bench)).toMatchObject({ retryAfterMs: null });
  });

  it('that comes in time counts by when its headers came', async () => {
    const bench = new Bench([]);
    bench.receiver = bench.after(14_900);
    expect(await outcomeOf(bench)).toMatchObject({ kind: 'delivered', latencyMs: 14_900 });
  });

  it('that comes after the timeout is a timeout, and its body is let go', async () => {
    const bench = new Bench([]);
    let cancelled = false;
    let aborted = false;
    bench.receiver = async ({ init }) => {
      init.signal.addEventListener('abort', () => {
        aborted = true;
      });
      await bench.clock.sleep(16_000);
      return new Response(
        body('x', false, () => {
          cancelled = true;
        }),
      );
    };
    expect(await outcomeOf(bench)).toMatchObject({
      kind: 'failed',
      outcome: 'timeout',
      status: null,
      latencyMs: 15_000,
    });
    expect(aborted).toBe(true);
    await bench.clock.advance(2_000);
    expect(cancelled).toBe(true);
  });

  it('whose body is endless is cut at a KiB and cancelled', async () => {
    let cancelled = false;
    const bench = answering(
      () =>
        new Response(
          body('ä'.repeat(300), true, () => {
            cancelled = true;
          }),
        ),
    );
    const outcome = await outcomeOf(bench);
    expect(outcome).toMatchObject({ kind: 'delivered', latencyMs: 0 });
    expect(outcome).toHaveProperty('response', 'ä'.repeat(512));
    expect(cancelled).toBe(true);
  });

  it.each([
    [200, 'delivered'],
    [500, 'failed'],
  ])('%i whose body stalls is %s, with what came of it until the timeout', async (status, kind) => {
    const bench = answering(() => new Response(body('so far', false), { status }));
    expect(await outcomeOf(bench)).toMatchObject({ kind, status, response: 'so far', latencyMs: 0 });
    expect(bench.elapsed).toBe(15_000);
  });

  it('of a known length is read no further than that', async () => {
    const bench = answering(() => new Response(body('done', false), { headers: { 'content-length': '4' } }));
    expect(await outcomeOf(bench)).toHaveProperty('response', 'done');
    expect(bench.elapsed).toBe(0);
  });

  it('whose length says that there is nothing is not read', async () => {
    const bench = answering(() => new Response(body('', false), { headers: { 'content-length': '0' } }));
    expect(await outcomeOf(bench)).toMatchObject({ kind: 'delivered', response: '' });
    expect(bench.elapsed).toBe(0);
  });

  it('that is encoded has another length than its header says', async () => {
    const headers = { 'content-length': '4', 'content-encoding': 'gzip' };
    const bench = answering(() => new Response('decoded', { headers }));
    expect(await outcomeOf(bench)).toHaveProperty('response', 'decoded');
  });

  it('200 whose body breaks off is delivered', async () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error('reset')) });
    expect(await outcomeOf(answering(() => new Response(broken)))).toMatchObject({ kind: 'delivered', response: '' });
  });

  it('that is no text is kept as well as it can be', async () => {
    const bench = answering(() => new Response(Uint8Array.of(0x61, 0xff, 0xfe, 0x62)));
    expect(await outcomeOf(bench)).toMatchObject({ response: 'a\ufffd\ufffdb' });
  });

  it('with a character cut in two by the limit leaves it out', async () => {
    const bench = answering(() => new Response(`a${'ä'.repeat(600)}`));
    expect(await outcomeOf(bench)).toHaveProperty('response', `a${'ä'.repeat(511)}`);
  });
});

describe('no answer', () => {
  it('is told in the platform’s words, with their cause', async () => {
    const bench = new Bench([]);
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    bench.receiver = () => Promise.reject(new TypeError('fetch failed', { cause: reset }));
    expect(await outcomeOf(bench)).toMatchObject({
      kind: 'failed',
      outcome: 'network',
      status: null,
      error: 'fetch failed: read ECONNRESET (ECONNRESET)',
    });
  });

  it('because a name does not resolve, which Workers call an internal error, is told so', async () => {
    const bench = new Bench([]);
    bench.receiver = () => Promise.reject(new Error('internal error; reference = nkmumn5r5op2gs8k168eb0s5'));
    expect(await outcomeOf(bench)).toMatchObject({ error: expect.stringContaining('does its name exist?') });
  });

  it('never tells a secret', async () => {
    const bench = new Bench([]);
    const to = target({ url: 'https://example.com/hook?key=hunter2', headers: { authorization: 'Bearer hunter3' } });
    bench.receiver = ({ url, init }) => Promise.reject(new Error(`${url} ${init.headers.authorization} ${SECRET}`));
    const outcome = await outcomeOf(bench, to);
    expect(JSON.stringify(outcome)).not.toMatch(/hunter|MfKQ9/);
  });

  it('of a URL that is not allowed any more is a failure, and nothing is sent', async () => {
    const bench = new Bench([]);
    const guard = { check: async (url: string) => urlRules({ allowHosts: '', hubHosts: '' }).check(url) };
    const outcome = await outcomeOf(bench, target({ url: 'https://10.0.0.1/' }), { ...bench.ports, guard });
    expect(outcome).toMatchObject({ kind: 'failed', status: null, error: expect.stringContaining('10.0.0.1') });
    expect(bench.sent).toEqual([]);
  });

  it('with a secret that is none is a failure, not a crash', async () => {
    const outcome = await outcomeOf(new Bench([]), target({ secrets: ['whsec_hunter2'] }));
    expect(outcome).toMatchObject({ kind: 'failed', error: expect.stringContaining('signed') });
    expect(JSON.stringify(outcome)).not.toContain('hunter2');
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');

  it.each([
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['86400', 86_400_000],
    ['999999999999999999999', 86_400_000],
    ['Mon, 23 Nov 2026 12:01:00 GMT', 60_000],
    ['Monday, 23-Nov-26 12:01:00 GMT', 60_000],
    ['Mon Nov 23 12:01:00 2026', 60_000],
    ['Sun, 01 Nov 2026 12:01:00 GMT', 0],
    ['Mon, 23 Nov 2099 12:01:00 GMT', 86_400_000],
    [null, null],
    ['', null],
    ['soon', null],
    ['-1', null],
    ['1.5', null],
    ['1e3', null],
    ['2026-11-23T12:01:00Z', null],
    ['Mon, 99 Foo 2026 12:01:00 GMT', null],
    ['120, 7', null],
  ])('%j → %s', (value, wait) => {
    expect(parseRetryAfter(value, now)).toBe(wait);
  });
});

describe('a redirect', () => {
  it.each([
    ['https://www.example.com/hooks/s3cret-path/?token=s3cret', 'https://www.example.com…/'],
    ['/hooks/s3cret-path?token=s3cret&again=1', '…'],
    ['https://elsewhere.example/login', 'https://elsewhere.example/login'],
  ])('to %s is told of without what the URL holds beyond its host', async (location, told) => {
    const bench = answering(() => new Response(null, { status: 301, headers: { location } }));
    const to = target({ url: 'https://example.com/hooks/s3cret-path?token=s3cret' });
    const outcome = await sendWebhook('billing', to, event(1), bench.ports);
    expect(outcome).toMatchObject({ kind: 'failed', error: expect.stringContaining(`Answered 301 to ${told}:`) });
    expect(JSON.stringify(outcome)).not.toMatch(/s3cret"|s3cret-path:|token=s3cret/);
  });
});

describe('a test event', () => {
  it('is a signed millrace.test, and is told with its request, as attempts tell of theirs', async () => {
    const bench = answering(() => new Response('hello', { status: 201 }));
    const to = target({
      url: 'https://example.com/hook?token=hunter2',
      headers: { 'X-Env': 'hunter2', Authorization: 'Bearer hunter2' },
      transform: { data: null, headers: '{ "x-made": "hunter2" }', path: null },
    });
    const result = await sendTestEvent('billing', to, bench.ports);
    expect(result).toMatchObject({ ok: true, status: 201, latencyMs: 0, body: 'hello', error: null });
    expect(result.request?.url).toBe('https://example.com/hook?token=…');
    expect(result.request?.headers).toMatchObject({ 'x-env': '…', authorization: '…', 'x-made': '…' });
    expect(result.request?.headers['webhook-signature']).toBe('v1,…');
    expect(result.request?.headers['webhook-id']).toMatch(/^msg_/);
    expect(bench.sent[0]?.init.headers).toMatchObject({ 'x-env': 'hunter2', 'x-made': 'hunter2' });
    expect(JSON.stringify(result)).not.toMatch(/hunter2|MfKQ9/);
    expect(JSON.parse(bodyText(bench.sent[0]?.init.body))).toMatchObject({
      specversion: '1.0',
      type: 'millrace.test',
      source: '/subscriptions/billing',
      time: '2026-01-01T00:00:00.000Z',
      topic: 'millrace.test',
      sequence: '0001767225600000',
      recordedtime: '2026-01-01T00:00:00.000Z',
    });
  });

  it('that fails says why', async () => {
    const bench = answering(() => new Response('no', { status: 500 }));
    expect(await sendTestEvent('billing', target(), bench.ports)).toMatchObject({
      ok: false,
      status: 500,
      body: 'no',
      error: 'Answered 500.',
    });
  });

  it('has another webhook-id each time', async () => {
    const bench = new Bench([]);
    await sendTestEvent('billing', target(), bench.ports);
    await bench.clock.advance(1);
    await sendTestEvent('billing', target(), bench.ports);
    expect(new Set(bench.sent.map(({ init }) => init.headers['webhook-id'])).size).toBe(2);
  });
});
