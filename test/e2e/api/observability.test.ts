import { readFileSync } from 'node:fs';
import parse from 'parse-prometheus-text-format';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, eventually, type Receiver, startReceiver, type TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** What the hub tells of itself: system events, alerts, metrics, logs, traces. */

let hub: TestHub;
let me: Stranger;
let receiver: Receiver;
let ops: Receiver;
/** What the receiver answers to deliveries of a topic. */
const answers = new Map<string, Answer>();

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  receiver = await startReceiver({ answer: ({ topic }) => answers.get(topic) ?? 200 });
  ops = await startReceiver();
});
afterAll(() => Promise.all([hub.stop(), receiver.stop(), ops.stop()]));

interface SystemEvent {
  type: string;
  subject: string;
  data: Record<string, unknown>;
}

/** What has come to `ops` about a subscription or topic. */
function told(subject: string): SystemEvent[] {
  return ops.book
    .filter(({ topic }) => topic === 'millrace.system')
    .map(({ body }): SystemEvent => JSON.parse(body))
    .filter((event) => event.subject === subject);
}

async function isTold(subject: string, type: string): Promise<SystemEvent> {
  return eventually(`${type} of ${subject} is told`, () => told(subject).find((event) => event.type === type));
}

const webhook = (topic: string) => ({
  topics: [topic],
  retry: { schedule: [] },
  delivery: { kind: 'webhook', url: receiver.url },
});

describe('the topic millrace.system', () => {
  it('is subscribed to like any other, and tells of what happens', async () => {
    (await me.put('/v1/subscriptions/listener', { topics: ['millrace.system'], delivery: { url: ops.url } })).is(201);
    (await me.put('/v1/subscriptions/told', webhook('obs-told'))).is(201);
    expect((await isTold('told', 'millrace.subscription.created')).data).toEqual({
      subscription: 'told',
      topics: ['obs-told'],
    });
    await me.publish('obs-told', { type: 'a' });
    await isTold('obs-told', 'millrace.topic.created');

    answers.set('obs-told', 500);
    const [dead] = await me.publish('obs-told', { type: 'b', id: 'dead-1', source: '/obs' });
    const death = await isTold('told', 'millrace.delivery.dead');
    expect(death.data).toMatchObject({
      subscription: 'told',
      topic: 'obs-told',
      sequence: dead?.sequence,
      reason: 'exhausted',
      event: { id: 'dead-1', source: '/obs', type: 'b' },
    });
    await eventually('D1 has the letter', async () => {
      const letter = await me.get(`/v1/dead-letters/${death.data.deadLetter}`);
      return letter.status === 200;
    });

    answers.set('obs-told', 410);
    await me.publish('obs-told', { type: 'c' });
    await isTold('told', 'millrace.subscription.disabled');
    answers.set('obs-told', 200);
    (await me.post('/v1/subscriptions/told/resume')).is(200);
    await me.publish('obs-told', { type: 'd' });
    expect((await isTold('told', 'millrace.subscription.recovered')).data).toMatchObject({ after: 'disabled' });

    const made = await me.post('/v1/topics/obs-told/replays', { subscription: 'told', from: 'earliest' });
    const { id } = made.is<{ id: string }>(202);
    expect((await isTold('told', 'millrace.replay.done')).data).toMatchObject({
      replay: id,
      total: 4,
      delivered: 4,
      failed: 0,
    });
    (await me.delete('/v1/subscriptions/told')).isEmpty();
    await isTold('told', 'millrace.subscription.deleted');
    // In order on the topic; deliveries may pass each other.
    const read = await me.get('/v1/topics/millrace.system/events?subject=told');
    const { events } = read.is<{ events: SystemEvent[] }>(200);
    expect(events.map(({ type }) => type.replace('millrace.', ''))).toEqual([
      'subscription.created',
      'delivery.dead',
      'delivery.dead',
      'subscription.disabled',
      'subscription.resumed',
      'subscription.recovered',
      'replay.done',
      'subscription.deleted',
    ]);
  });

  it('makes no events of its own deliveries', async () => {
    const failing = await startReceiver({ answer: () => 500 });
    const config = { topics: ['millrace.system'], retry: { schedule: [] }, delivery: { url: failing.url } };
    (await me.put('/v1/subscriptions/sick-listener', config)).is(201);
    (await me.put('/v1/topics/obs-loop', {})).is(201);
    await isTold('sick-listener', 'millrace.subscription.created');
    await isTold('obs-loop', 'millrace.topic.created');
    await eventually('it died', async () => {
      const { dead } = (await me.get('/v1/subscriptions/sick-listener')).is<{ dead: number }>(200);
      return dead > 0;
    });
    const last = async () =>
      (await me.get('/v1/topics/millrace.system')).is<{ lastSequence: number }>(200).lastSequence;
    const before = await last();
    (await me.put('/v1/topics/obs-loop-2', {})).is(201);
    await eventually('that is told', async () => (await last()) > before);
    expect(await last()).toBe(before + 1);
    expect(told('sick-listener').map(({ type }) => type)).toEqual(['millrace.subscription.created']);
    (await me.delete('/v1/subscriptions/sick-listener')).isEmpty();
    await failing.stop();
  });
});

describe('PUT /v1/alerts/{name}', () => {
  it('has the hub call when something is wrong, and not for the rest', async () => {
    const pager = await startReceiver();
    const made = (await me.put('/v1/alerts/pager', { url: pager.url })).is<{ delivery: { secret: string } }>(201);
    pager.secret = made.delivery.secret;
    (await me.put('/v1/subscriptions/alarming', webhook('obs-alarming'))).is(201);
    answers.set('obs-alarming', 410);
    await me.publish('obs-alarming', { type: 'a' });
    await eventually('the pager rings', () => pager.taken('millrace.system').length === 2);
    expect(pager.book.map(({ body }) => JSON.parse(body).type).sort()).toEqual([
      'millrace.delivery.dead',
      'millrace.subscription.disabled',
    ]);
    expect(pager.book.every(({ verified }) => verified)).toBe(true);
    (await me.put('/v1/alerts/alarming', { url: pager.url })).refused(409, 'subscription-exists');
    await pager.stop();
  });
});

describe('GET /metrics', () => {
  it('counts what was published, delivered, retried and given up', async () => {
    const config = { ...webhook('obs-counted'), retry: { schedule: ['100ms'], jitter: 0 } };
    (await me.put('/v1/subscriptions/counted', config)).is(201);
    await me.publish('obs-counted', [{ type: 'a', id: 'one' }, { type: 'a' }]);
    await me.publish('obs-counted', { type: 'a', id: 'one' });
    await eventually('both are delivered', () => receiver.taken('obs-counted').length === 2);
    answers.set('obs-counted', 500);
    await me.publish('obs-counted', { type: 'a' });
    await eventually('the third is dead', async () => {
      const { dead } = (await me.get('/v1/subscriptions/counted')).is<{ dead: number }>(200);
      return dead === 1;
    });
    const answer = await eventually('the topic is in the catalogue', async () => {
      const scraped = await me.get('/metrics');
      return scraped.text.includes('topic="obs-counted"') ? scraped : null;
    });
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const value = (name: string, label: string) =>
      parse(answer.text)
        .find((family) => family.name === name)
        ?.metrics.find(({ labels = {} }) => Object.values(labels).includes(label))?.value;
    expect(value('millrace_events_published_total', 'obs-counted')).toBe('3');
    expect(value('millrace_duplicates_total', 'obs-counted')).toBe('1');
    expect(value('millrace_delivered_total', 'counted')).toBe('2');
    expect(value('millrace_failed_total', 'counted')).toBe('2');
    expect(value('millrace_retried_total', 'counted')).toBe('1');
    expect(value('millrace_dead_total', 'counted')).toBe('1');
    expect(value('millrace_lag', 'counted')).toBe('0');
    expect(answer.text).toContain('millrace_attempt_duration_seconds_count{subscription="counted"} 4\n');
  });

  it('P7 needs its scope', async () => {
    (await me.with(null).get('/metrics')).refused(401, 'unauthorized');
    const { key } = (await me.post('/v1/keys', { name: 'no-metrics', scopes: ['read:>'] })).is<{ key: string }>(201);
    (await me.with(key).get('/metrics')).refused(403, 'forbidden');
  });
});

describe('a trace', () => {
  it('P8 goes from the request of the producer to the webhook, and stands in the log of what failed', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const trace = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: 'vendor=1,other=2' };
    (await me.put('/v1/subscriptions/traced', webhook('obs-traced'))).is(201);
    answers.set('obs-traced', 500);
    await me.publish('obs-traced', { type: 'a' }, trace);
    const arrival = await eventually('it came', () => receiver.book.find(({ topic }) => topic === 'obs-traced'));
    expect(arrival.headers).toMatchObject(trace);
    const line = await eventually('the consumer has said so', () =>
      readFileSync(hub.logFile, 'utf8')
        .split('\n')
        .find((each) => each.includes(`"traceId":"${traceId}"`)),
    );
    expect(JSON.parse(line.slice(line.indexOf('{'), line.lastIndexOf('}') + 1))).toMatchObject({
      level: 'warn',
      message: 'Deliveries failed.',
      subscription: 'traced',
      topic: 'obs-traced',
      status: 500,
    });
  });
});
