import { describe, expect, it } from 'vitest';
import { deliverLease } from '../../src/deliveries/consumer.ts';
import { toldRequest } from '../../src/deliveries/told-request.ts';
import { requestOf } from '../../src/subscriptions/sent-requests.ts';
import { settled } from '../support/fake-clock.ts';
import { Bench, event, target } from './consumer-bench.ts';

describe('P7: what is told of a request', () => {
  it('has the names of the subscription’s own headers and of the query, and no values', () => {
    const told = toldRequest(
      'https://hooks.example/in/a?token=hunter2&token=hunter3&b&=hunter4',
      {
        'content-type': 'application/json',
        'user-agent': 'Millrace/9.9.9',
        'webhook-id': 'msg_a',
        'webhook-signature': 'v1,aGk= v1a,aG8=',
        'ce-type': 'order.created',
        'ce-own': 'hunter5',
        traceparent: '00-a-b-01',
        authorization: 'Bearer hunter6',
        'x-made-by-an-expression': 'hunter7',
      },
      ['Authorization', 'CE-Own'],
    );
    expect(told).toEqual({
      url: 'https://hooks.example/in/a?token=…&token=…&…&=…',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Millrace/9.9.9',
        'webhook-id': 'msg_a',
        'webhook-signature': 'v1,… v1a,…',
        'ce-type': 'order.created',
        'ce-own': '…',
        traceparent: '00-a-b-01',
        authorization: '…',
        'x-made-by-an-expression': '…',
      },
    });
    expect(JSON.stringify(told)).not.toContain('hunter');
  });

  it('is no URL where the configured one is none', () => {
    expect(toldRequest('hunter2', {}, [])).toEqual({ url: '…', headers: {} });
  });
});

describe('P8: a settle', () => {
  it('tells what each request of its lease was, and no secret', async () => {
    const to = target({ url: 'https://example.com/hook?key=hunter2', headers: { 'X-Token': 'hunter2' } });
    const traced = JSON.stringify({ traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
    const bench = new Bench([event(1), event(2, { attempt: 3 }), event(3, { json: traced })], to);
    const delivered = deliverLease({ v: 1, subscription: 'billing', lease: 7 }, bench.ports);
    await settled();
    await delivered;
    const [settle] = bench.settles;
    expect(JSON.stringify(settle)).not.toContain('hunter2');
    const { request: shared, outcomes = [] } = settle ?? {};
    if (shared === undefined) throw new Error('Nothing was told.');
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind === 'released' || outcome.kind === 'invalid') throw new Error('It was not sent.');
      const facts = { ...outcome, subscription: 'billing', attempt: index === 1 ? 3 : 1, replay: null };
      const told = requestOf(facts, shared, outcome.request ?? {});
      const { headers = {} } = bench.sent[index]?.init ?? {};
      expect(told).toEqual({
        url: 'https://example.com/hook?key=…',
        headers: { ...headers, 'webhook-signature': 'v1,…', 'x-token': '…' },
      });
    }
    expect(outcomes.map((outcome) => outcome.kind === 'delivered' && outcome.request)).toEqual([
      undefined,
      undefined,
      { headers: { traceparent: expect.any(String) } },
    ]);
  });

  it.each(['look-up-failed', 'name-unknown', 'own-host'] as const)(
    'says of what the guard held back (%s) that nothing was sent',
    async (code) => {
      const bench = new Bench([event(1)]);
      bench.guard = { check: async () => ({ ok: false, code, detail: 'It is not to be had.' }) };
      await deliverLease({ v: 1, subscription: 'billing', lease: 7 }, bench.ports);
      const [outcome] = bench.outcomes;
      expect(outcome?.kind).toBe(code === 'look-up-failed' ? 'released' : 'failed');
      if (outcome?.kind === 'failed') expect(outcome.request).toBeNull();
      expect(bench.settles.map(({ request }) => request)).toEqual([undefined]);
    },
  );

  it('says nothing of requests where it renews', async () => {
    const bench = new Bench([event(1)]);
    bench.receiver = () => new Promise(() => {});
    const delivered = deliverLease({ v: 1, subscription: 'billing', lease: 7 }, bench.ports);
    await bench.clock.advance(16_000);
    await delivered;
    expect(bench.settles[0]).toMatchObject({ outcomes: [] });
    expect(bench.settles[0]).not.toHaveProperty('request');
    expect(bench.settles.at(-1)).toMatchObject({
      outcomes: [{ outcome: 'timeout' }],
      request: { url: 'https://example.com/hook' },
    });
  });
});
