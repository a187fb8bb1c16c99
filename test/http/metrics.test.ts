import { readFileSync } from 'node:fs';
import parse from 'parse-prometheus-text-format';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { serve } from '../../src/http/app.ts';
import { METRICS_OBJECTS_MAX } from '../../src/http/metrics.ts';
import { prometheusText } from '../../src/http/prometheus.ts';
import type { SubscriptionMetrics } from '../../src/subscriptions/protocol-views.ts';
import { LATENCY_BOUNDS_MS } from '../../src/subscriptions/stats.ts';
import { FakeHub } from './fake-hub.ts';
import { WholeHub } from './whole-hub.ts';

const QUIET: SubscriptionMetrics = {
  status: 'active',
  failing: false,
  attempts: { delivered: 0, failed: 0, retried: 0, latencies: {}, latencySumMs: 0 },
  dead: {},
  inFlight: 0,
  retrying: 0,
  behind: [],
  isWhole: true,
  healed: 0,
  alarmFailures: 0,
};

const TOPIC = { published: 10, duplicates: 2, bytes: 4_096, healed: 0, failures: 0 };

/** A hub with these in its catalogue. */
async function hubWith(topics: string[], subscriptions: string[]): Promise<FakeHub> {
  const hub = new FakeHub();
  const catalog = new Catalog(hub.d1);
  for (const topic of topics) await catalog.announceTopic(topic, 1, 1);
  for (const name of subscriptions) {
    await catalog.putSubscription({
      name,
      createdAt: 1,
      version: 1,
      deleted: false,
      patterns: [],
      stalledAt: null,
      sealedUnder: null,
    });
  }
  return hub;
}

/** With the scope `metrics` unless told. */
async function scrape(hub: FakeHub, key: string | null = hub.keyWith('metrics')) {
  const headers = new Headers(key === null ? {} : { authorization: `Bearer ${key}` });
  const response = await serve(new Request('https://hub.example.com/metrics', { headers }), hub.hub);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The samples of a metric, as somebody else's parser reads them: `value` by its labels. */
function read(text: string, name: string): Record<string, number> {
  const metric = parse(text).find((family) => family.name === name);
  return Object.fromEntries(
    (metric?.metrics ?? []).map(({ labels = {}, value }) => [Object.values(labels).join(' '), Number(value)]),
  );
}

describe('GET /metrics', () => {
  it('needs the scope metrics', async () => {
    const hub = await hubWith([], []);
    expect((await scrape(hub, null)).status).toBe(401);
    expect((await scrape(hub, hub.keyWith('read:>'))).status).toBe(403);
    expect((await scrape(hub)).status).toBe(200);
  });

  it('is text that others parse: every family once, with help and type', async () => {
    const hub = await hubWith(['orders'], ['billing']);
    hub.topic('orders').metrics.mockResolvedValue(TOPIC);
    hub.subscription('billing').metrics.mockResolvedValue({ ...QUIET, dead: { gone: 1, exhausted: 2 } });
    const answer = await scrape(hub);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parse(answer.text);
    expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
    const page = readFileSync('docs/observability.md', 'utf8');
    for (const { name, help, type } of families) {
      expect(page).toContain(`| \`${name}\` |`);
      expect(name).toMatch(/^millrace_[a-z_]+$/);
      expect(help, name).toMatch(/\.$/);
      expect(type === 'COUNTER', name).toBe(name.endsWith('_total'));
    }
    expect(read(answer.text, 'millrace_events_published_total')).toEqual({ orders: 10 });
    expect(read(answer.text, 'millrace_duplicates_total')).toEqual({ orders: 2 });
    expect(read(answer.text, 'millrace_dead_total')).toEqual({
      'billing exhausted': 2,
      'billing gone': 1,
      'billing rejected': 0,
      'billing expired': 0,
      'billing invalid': 0,
      'billing consumer': 0,
    });
    expect(read(answer.text, 'millrace_subscription_status')).toEqual({ 'billing active': 1 });
    expect(read(answer.text, 'millrace_metrics_truncated')).toEqual({ topic: 0, subscription: 0 });
  });

  it('has a histogram whose buckets grow to the count', async () => {
    const hub = await hubWith([], ['billing']);
    const of = (ms: number) => LATENCY_BOUNDS_MS.findIndex((bound) => ms <= bound);
    const latencies = { [of(3)]: 4, [of(50)]: 3, [of(700)]: 2, [LATENCY_BOUNDS_MS.length]: 1 };
    hub.subscription('billing').metrics.mockResolvedValue({
      ...QUIET,
      attempts: { ...QUIET.attempts, latencies, latencySumMs: 33_500 },
    });
    const { text } = await scrape(hub);
    const [sample] = parse(text).find(({ type }) => type === 'HISTOGRAM')?.metrics ?? [];
    expect(text).toContain('\nmillrace_attempt_duration_seconds_count{subscription="billing"} 10\n');
    expect(text).toContain('\nmillrace_attempt_duration_seconds_sum{subscription="billing"} 33.5\n');
    const buckets = Object.entries(sample?.buckets ?? {}).map(([le, count]) => [Number(le), Number(count)]);
    const sorted = buckets.sort(([a = 0], [b = 0]) => a - b).map(([, count]) => count);
    expect(sorted).toEqual([4, 4, 4, 7, 7, 7, 7, 9, 9, 9, 9, 9, 10]);
    expect(sample?.buckets).toMatchObject({ '0.005': '4', '0.05': '7', '1': '9', '+Inf': '10' });
  });

  it('has the lag of a subscription, unless it is not known', async () => {
    const hub = await hubWith(['orders', 'invoices'], ['a', 'b', 'c', 'd']);
    hub.topic('orders').metrics.mockResolvedValue(TOPIC);
    hub.topic('invoices').metrics.mockRejectedValue(new Error('Network connection lost.'));
    const behind = (...lanes: [topic: string, cursor: number][]) => ({
      ...QUIET,
      behind: lanes.map(([topic, cursor]) => ({ topic, cursor })),
    });
    hub.subscription('a').metrics.mockResolvedValue(behind(['orders', 4]));
    hub.subscription('b').metrics.mockResolvedValue(behind());
    hub.subscription('c').metrics.mockResolvedValue(behind(['orders', 4], ['invoices', 0]));
    hub.subscription('d').metrics.mockResolvedValue({ ...behind(['orders', 4]), isWhole: false });
    const { text } = await scrape(hub);
    expect(read(text, 'millrace_lag')).toEqual({ a: 6, b: 0 });
    expect(read(text, 'millrace_metrics_unanswered')).toEqual({ topic: 1, subscription: 0 });
  });

  it('asks so many and no more, and says that there are more', async () => {
    const names = Array.from({ length: METRICS_OBJECTS_MAX + 1 }, (_, index) => `t${String(index).padStart(4, '0')}`);
    const hub = await hubWith(names, names.slice(1));
    for (const name of names) {
      hub.topic(name).metrics.mockResolvedValue(TOPIC);
      hub.subscription(name).metrics.mockResolvedValue(QUIET);
    }
    const { text } = await scrape(hub);
    expect(Object.keys(read(text, 'millrace_events_published_total'))).toHaveLength(METRICS_OBJECTS_MAX);
    expect(hub.topic(names.at(-1) ?? '').metrics).not.toHaveBeenCalled();
    expect(read(text, 'millrace_metrics_truncated')).toEqual({ topic: 1, subscription: 0 });
  });

  it('leaves out what is not there any more', async () => {
    const hub = await hubWith(['orders'], ['billing']);
    const answer = await scrape(hub);
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('orders');
    expect(answer.text).not.toContain('millrace_lag');
  });

  it('comes from the real objects', async () => {
    const hub = new WholeHub();
    const send = (id: string) => hub.call('POST', '/v1/topics/orders/events', { body: { type: 't', id } });
    await send('1');
    await send('1');
    await hub.call('PUT', '/v1/subscriptions/billing', {
      body: { topics: ['orders'], delivery: { url: 'https://a.example/' } },
    });
    await new Catalog(hub.db).announceTopic('orders', 1, 1);
    const { text } = await hub.call('GET', '/metrics');
    expect(read(text, 'millrace_events_published_total').orders).toBe(1);
    expect(read(text, 'millrace_duplicates_total').orders).toBe(1);
    expect(read(text, 'millrace_lag')).toEqual({ billing: 0 });
    expect(read(text, 'millrace_delivered_total')).toEqual({ billing: 0 });
  });
});

describe('the text format', () => {
  it('escapes what could end a label or a line', () => {
    const text = prometheusText([
      { name: 'a', help: 'One\\two\nthree.', type: 'gauge', samples: [{ labels: { b: 'c"d\\e\nf' }, value: 1 }] },
    ]);
    expect(text).toBe('# HELP a One\\\\two\\nthree.\n# TYPE a gauge\na{b="c\\"d\\\\e\\nf"} 1\n');
    expect(parse(text)[0]?.metrics[0]?.labels).toEqual({ b: 'c"d\\e\nf' });
  });
});
