import { describe, expect, it } from 'vitest';
import { WholeHub } from './whole-hub.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

/** What a request leaves in the log. */
async function lineOf(hub: WholeHub, ...call: Parameters<WholeHub['call']>) {
  hub.logged.length = 0;
  const answer = await hub.call(...call);
  expect(hub.logged.at(-1)?.message).toBe('request');
  return { answer, fields: hub.logged.at(-1)?.fields, all: JSON.stringify(hub.logged) };
}

describe('each request leaves one line in the log', () => {
  it('with its route, status and whose key it came with, and the ids that find it again', async () => {
    const hub = new WholeHub();
    const { answer, fields } = await lineOf(hub, 'POST', '/v1/topics/orders/events', {
      body: { type: 'order.created' },
      headers: { traceparent: TRACEPARENT, 'x-request-id': 'mine-1' },
    });
    expect(answer.headers.get('x-request-id')).toBe('mine-1');
    expect(fields).toEqual({
      method: 'POST',
      route: '/v1/topics/{topic}/events',
      status: 201,
      ms: expect.any(Number),
      key: 'admin',
      requestId: 'mine-1',
      traceId: TRACE_ID,
    });
  });

  it('without a trace id where the trace is none', async () => {
    const { fields } = await lineOf(new WholeHub(), 'GET', '/healthz', { headers: { traceparent: 'x' } });
    expect(fields).toEqual({
      method: 'GET',
      route: '/healthz',
      status: 200,
      ms: expect.any(Number),
      key: null,
      requestId: expect.any(String),
    });
  });

  it('P7 with no secret in it, wherever in the request one was', async () => {
    const hub = new WholeHub();
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const delivery = { url: `https://receiver.example/${secret}`, secret };
    for (const { all, fields } of [
      await lineOf(hub, 'GET', `/v1/topics?token=${secret}`, { key: secret }),
      await lineOf(hub, 'GET', `/v1/nothing/${secret}?q=${secret}`, { headers: { 'x-request-id': `no ${secret}` } }),
      await lineOf(hub, 'PUT', '/v1/subscriptions/billing', { body: { topics: ['orders'], delivery } }),
      await lineOf(hub, 'POST', '/v1/topics/orders/events', { body: { type: 't', data: secret } }),
    ]) {
      expect(all).not.toContain(secret);
      expect(fields?.status).toEqual(expect.any(Number));
    }
  });

  it('P8 and a failure one more, under the same ids', async () => {
    const hub = new WholeHub();
    hub.topic = () => {
      throw new Error('broken');
    };
    const { answer, fields } = await lineOf(hub, 'GET', '/v1/topics/a', { headers: { traceparent: TRACEPARENT } });
    const ids = { requestId: answer.json.requestId, traceId: TRACE_ID };
    expect(fields).toMatchObject({ status: 500, ...ids });
    expect(hub.logged[0]).toMatchObject({
      message: 'A request failed.',
      fields: { route: '/v1/topics/{topic}', ...ids },
    });
  });
});
