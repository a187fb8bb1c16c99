import { execFile } from 'node:child_process';
import { EventSource } from 'eventsource';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ApiClient, eventually, type Receiver, type TestHub } from '../support/index.ts';
import { type Answers, byTopic, startAnswering } from './support/answering.ts';
import { type Page, type Stranger, startStranger } from './support/stranger.ts';

/** What became of an event, pushed; what was sent; and how a receiver does. */

let hub: TestHub;
let me: Stranger;
let api: ApiClient;
let receiver: Receiver;
let answers: Answers;

beforeAll(async () => {
  ({ hub, me, api } = await startStranger());
  ({ receiver, answers } = await startAnswering(byTopic));
});
beforeEach(() => answers.clear());
afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

interface Row {
  subscription: string;
  status: string;
  attempts: number;
}

interface Attempt {
  attempt: number;
  at: string;
  endedAt: string;
  latencyMs: number;
  request: { url: string; headers: Record<string, string> };
}

const OPEN = ['pending', 'held', 'delivering', 'retrying'];

const streamOf = (topic: string) => `${hub.url}/v1/topics/${topic}/events/1/deliveries`;

/** Attempts enough for whatever has to be seen before one succeeds. */
const RETRY = { schedule: Array(100).fill('300ms'), jitter: 0 };

async function subscribe(name: string, topic: string, delivery: object = {}, retry = RETRY) {
  const answer = await me.put(`/v1/subscriptions/${name}`, {
    topics: [topic],
    retry,
    delivery: { url: receiver.url, timeout: '10s', ...delivery },
  });
  answer.is(201);
}

/** A page that shows a spinner for each subscription until it has a tick, as docs/deliveries.md has it. */
function openPage(topic: string) {
  const shown = new Map<string, string[]>();
  const requests: number[] = [];
  const source = new EventSource(streamOf(topic), {
    fetch: async (url, init) => {
      const headers = { ...init.headers, authorization: `Bearer ${hub.adminKey}` };
      const response = await fetch(url, { ...init, headers });
      requests.push(response.status);
      return response;
    },
  });
  source.addEventListener('delivery', ({ data }) => {
    const { subscription, status }: Row = JSON.parse(data);
    shown.set(subscription, [...(shown.get(subscription) ?? []), status]);
  });
  return { source, shown, requests };
}

describe('P8: the deliveries of an event as a stream', () => {
  it('turn a page’s spinners into ticks, and end when all is settled', async () => {
    await subscribe('tick-a', 'tick');
    await subscribe('tick-b', 'tick');
    await me.post('/v1/subscriptions/tick-b/pause').then((answer) => answer.is(200));
    // It fails until the page has seen that.
    answers.set('tick', () => 500);
    await me.publish('tick', { type: 'order.created' });
    const page = openPage('tick');
    answers.set('tick', () => (page.shown.get('tick-a')?.includes('retrying') ? 200 : 500));
    try {
      await eventually('the first has its tick', () => page.shown.get('tick-a')?.at(-1) === 'delivered');
      expect(page.shown.get('tick-b')).toEqual(['pending']);
      const steps = page.shown.get('tick-a') ?? [];
      expect(steps.slice(0, -1).every((status) => OPEN.includes(status))).toBe(true);
      expect(steps).toContain('retrying');
      // It is pushed: nobody asked twice.
      expect(page.requests).toEqual([200]);
      await me.post('/v1/subscriptions/tick-b/resume').then((answer) => answer.is(200));
      await eventually('the second has its tick', () => page.shown.get('tick-b')?.at(-1) === 'delivered');
      // A browser comes back by itself; it is told that there is no more, and stays away.
      await eventually('the page is told', () => page.source.readyState === EventSource.CLOSED);
      expect(page.requests).toEqual([200, 204]);
    } finally {
      page.source.close();
    }
  });

  it('end at once where nothing is open, for curl too', async () => {
    await subscribe('settled-a', 'settled');
    await me.publish('settled', { type: 'order.created' });
    await eventually('it is delivered', async () => (await api.subscription('settled-a')).delivered === 1);
    const text = await new Promise<string>((resolve, reject) => {
      const headers = ['-H', `authorization: Bearer ${hub.adminKey}`, '-H', 'accept: text/event-stream'];
      execFile('curl', ['-sN', '--max-time', '10', ...headers, streamOf('settled')], (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });
    const blocks = text.split('\n\n').filter((block) => block !== '');
    expect(blocks).toEqual([
      'retry: 1000',
      expect.stringMatching(/^event: delivery\ndata: \{"subscription":"settled-a","status":"delivered",/),
      'id: settled',
    ]);
  });

  it('of many whose readers hang up leave the hub as it was', async () => {
    await subscribe('gone-a', 'gone');
    await me.post('/v1/subscriptions/gone-a/pause').then((answer) => answer.is(200));
    await me.publish('gone', { type: 'order.created' });
    const headers = { authorization: `Bearer ${hub.adminKey}`, accept: 'text/event-stream' };
    for (let time = 0; time < 10; time += 1) {
      const abort = new AbortController();
      const response = await fetch(streamOf('gone'), { headers, signal: abort.signal });
      const reader = response.body?.getReader();
      for (let text = ''; !text.includes('"pending"'); ) {
        text += new TextDecoder().decode((await reader?.read())?.value);
      }
      abort.abort();
    }
    await me.post('/v1/subscriptions/gone-a/resume').then((answer) => answer.is(200));
    const last = await fetch(streamOf('gone'), { headers });
    expect(await last.text()).toContain('"status":"delivered"');
  });

  it('begin again after every process was killed: a page shows its tick all the same', async () => {
    await subscribe('killed-a', 'killed');
    answers.set('killed', () => 500);
    await me.publish('killed', { type: 'order.created' });
    const page = openPage('killed');
    try {
      await eventually('it is retrying', () => page.shown.get('killed-a')?.includes('retrying') ?? false);
      await hub.kill9();
      answers.set('killed', () => 200);
      await hub.start();
      await eventually('it has its tick', () => page.shown.get('killed-a')?.at(-1) === 'delivered');
    } finally {
      page.source.close();
    }
  });
});

describe('P8: an attempt', () => {
  it('tells the request as the receiver got it, without secrets, whatever is configured since', async () => {
    await subscribe('sent-a', 'sent', {
      url: `${receiver.url}?token=hunter2`,
      headers: { Authorization: 'Bearer hunter2', 'x-tenant': 'hunter2' },
    });
    answers.set('sent', ({ attempt }) => (attempt === 1 ? 503 : 200));
    await me.publish('sent', { type: 'order.created' });
    await eventually('it is delivered', async () => (await api.subscription('sent-a')).delivered === 1);
    await me.put('/v1/subscriptions/sent-a', { topics: ['sent'], delivery: { url: `${receiver.url}/elsewhere` } });
    const answer = await me.get('/v1/subscriptions/sent-a/attempts?topic=sent&sequence=1');
    expect(answer.text).not.toContain('hunter2');
    const { items } = answer.is<Page<Attempt>>(200);
    expect(items.map(({ attempt }) => attempt)).toEqual([2, 1]);
    for (const { attempt, at, endedAt, latencyMs, request } of items) {
      const arrival = receiver.book.find((one) => one.topic === 'sent' && one.attempt === attempt);
      expect(request.url).toBe(`${receiver.url}?token=…`);
      const { 'webhook-signature': signature, authorization, 'x-tenant': tenant, ...others } = request.headers;
      expect([signature, authorization, tenant]).toEqual(['v1,…', '…', '…']);
      expect(arrival?.headers).toMatchObject(others);
      expect(Object.keys(others)).toEqual(
        expect.arrayContaining(['webhook-id', 'webhook-timestamp', 'content-type', 'user-agent', 'millrace-attempt']),
      );
      expect(Date.parse(endedAt) - Date.parse(at)).toBe(latencyMs);
    }
  });
});

describe('P8: a subscription', () => {
  it('says how it does: lag in events and seconds, percentiles, success rate', async () => {
    await subscribe('stats-a', 'stats');
    answers.set('stats', ({ sequence, attempt }) => (sequence === 1 && attempt === 1 ? 500 : 200));
    await me.publish('stats', [{ type: 'a' }, { type: 'b' }, { type: 'c' }]);
    await eventually('all are delivered', async () => (await api.subscription('stats-a')).delivered === 3);
    const view = (await me.get('/v1/subscriptions/stats-a')).is(200);
    expect(view).toMatchObject({
      lag: 0,
      lagSeconds: 0,
      latency: { p50: expect.any(Number), p99: expect.any(Number) },
      successRate: { hour: 0.75, day: 0.75 },
      attempted: { hour: 4, day: 4 },
    });
    (await me.put('/v1/subscriptions/stats-a', view)).is(200);
    await me.post('/v1/subscriptions/stats-a/pause').then((answer) => answer.is(200));
    const [receipt] = await api.publish('stats', { type: 'd' });
    expect(receipt).toBeDefined();
    await eventually('it lags', async () => {
      const { lag, lagSeconds } = (await me.get('/v1/subscriptions/stats-a')).is<{ lag: number; lagSeconds: number }>(
        200,
      );
      return lag === 1 && lagSeconds > 0;
    });
  });
});
