import { describe, expect, test } from 'vitest';
import { deadLetterId } from '../../src/events/ids.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { DEATHS_TOLD_SINGLY_MAX } from '../../src/subscriptions/limits.ts';
import { MIGRATIONS } from '../../src/subscriptions/migrations.ts';
import type { DeliveryOutcome } from '../../src/subscriptions/protocol-claims.ts';
import { SYSTEM_EVENTS, SYSTEM_TOPIC } from '../../src/system/shapes.ts';
import { NodeStorage } from '../support/node-storage.ts';
import { Hub, type SystemEvent, WEBHOOK } from './harness.ts';

const NO_RETRY = { retry: { scheduleMs: [], jitter: 0 } };

const typesOf = (events: SystemEvent[]) => events.map(({ type }) => type.replace('millrace.', ''));

/** Told, and each of the shape that is written down for its type. */
async function told(hub: Hub, name = 'billing'): Promise<SystemEvent[]> {
  const events = await hub.told(`/subscriptions/${name}`);
  const shapes: Record<string, { safeParse(data: unknown): { success: boolean } }> = SYSTEM_EVENTS;
  for (const { type, data } of events) expect(shapes[type]?.safeParse(data).success, type).toBe(true);
  return events;
}

describe('what becomes of a subscription is told on millrace.system', () => {
  test('its making, changes, pause, resumption and end, in order; what changes nothing is not told', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.subscribe('billing');
    await hub.subscribe('billing', { maxInFlight: 3 });
    for (const act of ['pause', 'pause', 'resume', 'resume', 'remove'] as const) {
      await hub.awaiting<unknown>(hub.subscription('billing')[act]());
    }
    await hub.subscribe('billing');
    await hub.advance(1_000);
    expect(typesOf(await told(hub))).toEqual([
      'subscription.created',
      'subscription.updated',
      'subscription.paused',
      'subscription.resumed',
      'subscription.deleted',
      'subscription.created',
    ]);
  });

  test('no end of a pause where nobody paused it', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { delivery: { ...WEBHOOK, handshake: true } });
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.advance(1_000);
    expect(typesOf(await told(hub))).toEqual(['subscription.created']);
  });

  test('its receiver that fails, is disabled, and is back: once each', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 2, retry: { scheduleMs: [1_000, 1_000], jitter: 0 } });
    await hub.publish('orders', 6);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(20_000);
    await hub.work('billing', (event) => hub.failed(event));
    await hub.advance(1_000);
    expect(typesOf(await told(hub))).toEqual(['subscription.created', 'subscription.failing']);
    await hub.advance(20_000);
    await hub.work('billing', (event) => hub.failed(event, 410));
    await hub.advance(1_000);
    await hub.awaiting(hub.subscription('billing').resume());
    await hub.work('billing');
    await hub.advance(1_000);
    const events = (await told(hub)).filter(({ type }) => type !== 'millrace.delivery.dead');
    expect(typesOf(events.slice(2))).toEqual([
      'subscription.disabled',
      'subscription.resumed',
      'subscription.recovered',
    ]);
    expect(events.at(-1)?.data).toMatchObject({ after: 'disabled', since: events[2]?.time });
  });

  test('that nothing can be delivered, once it has lasted, though it is not the receiver’s doing; and that it can again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    const unresolved = ({ topic, sequence }: { topic: string; sequence: number }): DeliveryOutcome => ({
      kind: 'released',
      topic,
      sequence,
      obstacle: 'The resolver is down.',
    });
    await hub.work('billing', unresolved);
    await hub.advance(50_000);
    expect(typesOf(await told(hub))).toEqual(['subscription.created']);
    for (let turn = 0; turn < 30; turn++) {
      await hub.work('billing', unresolved);
      await hub.advance(10_000);
    }
    const events = await told(hub);
    expect(typesOf(events)).toEqual(['subscription.created', 'subscription.error']);
    expect(events[1]?.data).toEqual({ subscription: 'billing', reason: 'The resolver is down.' });
    await hub.advance(300_000);
    await hub.work('billing');
    await hub.advance(1_000);
    expect((await told(hub)).at(-1)).toMatchObject({
      type: 'millrace.subscription.recovered',
      data: { after: 'error', since: events[1]?.time },
    });
  });

  test('that its secret can not be opened; a receiver that fails after that is told of as well', async () => {
    const hub = new Hub();
    const { hubSecret } = hub;
    await hub.subscribe('billing', { maxInFlight: 1, retry: { scheduleMs: Array(50).fill(1_000), jitter: 0 } });
    await hub.advance(1_000);
    hub.hubSecret = btoa('x'.repeat(32));
    hub.restart('billing');
    await hub.publish('orders', 1);
    await hub.advance(300_000);
    expect((await told(hub)).slice(1)).toMatchObject([
      { type: 'millrace.subscription.error', data: { reason: expect.stringContaining('sealed under') } },
    ]);
    hub.hubSecret = hubSecret;
    hub.restart('billing');
    for (let turn = 0; turn < 10; turn++) {
      await hub.work('billing', (event) => hub.failed(event));
      await hub.advance(10_000);
    }
    await hub.work('billing');
    await hub.advance(1_000);
    expect(typesOf(await told(hub)).slice(2)).toEqual(['subscription.failing', 'subscription.recovered']);
  });

  test('a receiver that comes and goes is told of at most once a minute, and in the end if it stays away', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { maxInFlight: 1, retry: { scheduleMs: Array(50).fill(1_000), jitter: 0 } });
    await hub.publish('orders', 40);
    let attempts = 0;
    for (let turn = 0; turn < 20; turn++) {
      await hub.work('billing', (event) => (attempts++ % 2 === 0 ? hub.failed(event) : hub.delivered(event)));
      await hub.advance(1_000);
    }
    expect(typesOf(await told(hub))).toEqual([
      'subscription.created',
      'subscription.failing',
      'subscription.recovered',
    ]);
    await hub.publish('orders', 40);
    for (let turn = 0; turn < 40; turn++) {
      await hub.work('billing', (event) => hub.failed(event));
      await hub.advance(10_000);
    }
    expect(typesOf(await told(hub)).slice(3)).toEqual(['subscription.failing']);
  });

  test('the end of a replay, with its counts', async () => {
    const hub = new Hub();
    await hub.publish('orders', 5);
    await hub.subscribe('billing', NO_RETRY);
    const replay = (id: string, from: number) =>
      hub.awaiting(
        hub.subscription('billing').startReplay({
          v: 1,
          id,
          topic: 'orders',
          from: { kind: 'sequence', sequence: from },
          to: null,
          filter: { types: [], cel: null },
          rateLimit: null,
        }),
      );
    await replay('rep_done', 3);
    await hub.work('billing', (event) => (event.sequence === 4 ? hub.failed(event) : hub.delivered(event)));
    await replay('rep_empty', 6);
    await replay('rep_cancelled', 1);
    await hub.awaiting(hub.subscription('billing').cancelReplay('rep_cancelled'));
    await hub.awaiting(hub.subscription('billing').cancelReplay('rep_cancelled'));
    await hub.advance(5_000);
    const ends = (await told(hub)).filter(({ type }) => type.startsWith('millrace.replay.'));
    expect(typesOf(ends)).toEqual(['replay.done', 'replay.done', 'replay.cancelled']);
    expect(ends.map(({ data }) => data)).toMatchObject([
      { replay: 'rep_done', from: 3, to: 5, total: 3, delivered: 2, failed: 1, remaining: 0 },
      { replay: 'rep_empty', total: 0 },
      { replay: 'rep_cancelled', total: 5, remaining: 5 },
    ]);
  });

  test('is in order and once, whatever crashes and fails between', async () => {
    const hub = new Hub();
    hub.unreachable.add(SYSTEM_TOPIC);
    await hub.subscribe('billing');
    await hub.awaiting(hub.subscription('billing').pause());
    await hub.awaiting(hub.subscription('billing').resume());
    // The log takes it, its answer is lost, and the object dies; then once more.
    for (let crash = 0; crash < 2; crash++) {
      hub.restart('billing');
      const log = hub.log(SYSTEM_TOPIC);
      hub.standIn = (topic) =>
        new Proxy(topic === SYSTEM_TOPIC ? log : hub.log(topic), {
          get: (target, name) => async (request: unknown) => {
            await Reflect.get(target, name).call(target, request);
            if (name === 'append') throw new Error('Network connection lost.');
          },
        });
      await hub.advance(5_000);
    }
    hub.restart('billing');
    hub.standIn = null;
    hub.unreachable.clear();
    await hub.advance(60_000);
    expect(typesOf(await told(hub))).toEqual(['subscription.created', 'subscription.paused', 'subscription.resumed']);
    expect(hub.rows('billing', 'SELECT * FROM notices')).toEqual([]);
  });

  test('what a state before migration 3 still owed is told', async () => {
    const hub = new Hub();
    const storage = new NodeStorage();
    migrate(storage, MIGRATIONS.slice(0, 2));
    const event = {
      specversion: '1.0',
      id: 'x',
      source: '/subscriptions/billing',
      type: 'millrace.subscription.disabled',
      subject: 'billing',
      time: '2026-01-01T00:00:00.123Z',
      datacontenttype: 'application/json',
      data: { subscription: 'billing', reason: 'The receiver answered 410 Gone.' },
    };
    const made = { id: 'x', source: event.source, key: 'billing', json: JSON.stringify(event) };
    storage.sql.exec('INSERT INTO notices (id, event) VALUES (?, ?)', 'x', JSON.stringify(made));
    hub.adopt('subscription billing', storage);
    await hub.subscribe('billing');
    await hub.advance(1_000);
    expect(await told(hub)).toMatchObject([event, { type: 'millrace.subscription.created' }]);
  });
});

describe('a death is told on millrace.system', () => {
  const dead = (events: SystemEvent[]) => events.filter(({ type }) => type === 'millrace.delivery.dead');

  test('with the letter and the event', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', NO_RETRY);
    await hub.publish('orders', 2);
    await hub.work('billing', (event) => (event.sequence === 2 ? hub.failed(event) : hub.delivered(event)));
    await hub.advance(5_000);
    expect(dead(await told(hub)).map(({ data }) => data)).toEqual([
      {
        subscription: 'billing',
        count: 1,
        deadLetter: deadLetterId('billing', 'orders', 2),
        topic: 'orders',
        sequence: 2,
        event: { id: 'e2', source: '/test', type: 'order.created' },
        reason: 'exhausted',
        attempts: 1,
        lastStatus: 500,
        lastError: 'The receiver answered 500.',
      },
    ]);
  });

  test('without the event where its topic can not be asked', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', NO_RETRY);
    await hub.publish('orders', 1);
    const message = hub.take();
    const claimed = await hub.claim(message);
    hub.unreachable.add('orders');
    const outcomes = claimed.events.map((event) => hub.failed(event));
    await hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes });
    await hub.advance(5_000);
    expect(dead(await told(hub))).toMatchObject([{ data: { sequence: 1, event: null } }]);
  });

  test('by itself or counted: thousands make few rows, few events, and the right sum, over crashes', async () => {
    const hub = new Hub();
    const many = 3_000;
    await hub.subscribe('billing', { ...NO_RETRY, maxInFlight: 1_000, delivery: { ...WEBHOOK, timeoutMs: 5_000 } });
    await hub.publish('orders', 1_000);
    hub.unreachable.add(SYSTEM_TOPIC);
    const waiting = () => hub.rows<{ rows: number }>('billing', 'SELECT count(*) AS rows FROM notices')[0]?.rows ?? 0;
    for (let turn = 0; turn < 3; turn++) {
      if (turn > 0) await hub.publish('orders', 1_000);
      // One in ten is taken, so that the receiver does not count as down.
      await hub.work('billing', (event) => (event.sequence % 10 === 0 ? hub.delivered(event) : hub.failed(event)));
      expect(waiting()).toBeLessThanOrEqual(DEATHS_TOLD_SINGLY_MAX + 3);
      await hub.advance(30_000);
      hub.restart('billing');
    }
    hub.unreachable.clear();
    await hub.advance(60_000);
    const events = dead(await told(hub));
    expect(events.length).toBeLessThanOrEqual(DEATHS_TOLD_SINGLY_MAX + 2);
    expect(events.reduce((sum, { data }) => sum + data.count, 0)).toBe(many * 0.9);
    expect(events.at(-1)?.data).toMatchObject({
      subscription: 'billing',
      reasons: { exhausted: events.at(-1)?.data.count },
    });
    expect(waiting()).toBe(0);
  });

  test('what was counted and told while its answer was lost is not counted again', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { ...NO_RETRY, maxInFlight: 100, delivery: { ...WEBHOOK, timeoutMs: 5_000 } });
    const fail = (count: number) =>
      hub
        .publish('orders', count)
        .then(() =>
          hub.work('billing', (event) => (event.sequence % 10 === 0 ? hub.delivered(event) : hub.failed(event))),
        );
    let lost = true;
    hub.standIn = (topic) =>
      new Proxy(hub.log(topic), {
        get: (target, name) => async (request: unknown) => {
          const answer = await Reflect.get(target, name).call(target, request);
          if (lost && topic === SYSTEM_TOPIC) throw new Error('Network connection lost.');
          return answer;
        },
      });
    await fail(100);
    await hub.advance(5_000);
    await fail(100);
    hub.restart('billing');
    lost = false;
    await hub.advance(60_000);
    expect(dead(await told(hub)).reduce((sum, { data }) => sum + data.count, 0)).toBe(180);
  });
});

describe('there are no loops', () => {
  test('a delivery of a system event that dies is not told', async () => {
    const hub = new Hub();
    await hub.subscribe('ops', { ...NO_RETRY, topics: [SYSTEM_TOPIC], from: { kind: 'earliest' } });
    await hub.subscribe('billing');
    for (let turn = 0; turn < 20; turn++) {
      await hub.advance(10_000);
      await hub.work('ops', (event) => hub.failed(event));
    }
    expect((await hub.view('ops')).dead).toBe(2);
    expect(typesOf(await told(hub, 'ops'))).toEqual(['subscription.created']);
    expect(typesOf(await told(hub))).toEqual(['subscription.created']);
  });

  test('a receiver of system events that comes and goes is not told of, and hears nothing of itself', async () => {
    const hub = new Hub();
    await hub.subscribe('ops', {
      topics: [SYSTEM_TOPIC],
      from: { kind: 'earliest' },
      maxInFlight: 1,
      retry: { scheduleMs: Array(50).fill(1_000), jitter: 0 },
    });
    let attempts = 0;
    for (let turn = 0; turn < 100; turn++) {
      await hub.work('ops', (event) => (attempts++ % 2 === 0 ? hub.failed(event) : hub.delivered(event)));
      await hub.advance(5_000);
    }
    expect(typesOf(await told(hub, 'ops'))).toEqual(['subscription.created']);
    expect(await hub.view('ops')).toMatchObject({ delivered: 1, pending: 0, lag: 0 });
  });

  test('its disabling is told once, to the others; itself hears of it when it is resumed', async () => {
    const hub = new Hub();
    for (const name of ['ops', 'others']) {
      await hub.subscribe(name, { topics: [SYSTEM_TOPIC], from: { kind: 'earliest' } });
    }
    await hub.advance(1_000);
    await hub.work('ops', (event) =>
      // Messages of both are worked on: only one receiver is gone.
      hub.failed(event, 410),
    );
    await hub.advance(60_000);
    expect(typesOf(await told(hub, 'ops'))).toEqual(['subscription.created', 'subscription.disabled']);
    await hub.awaiting(hub.subscription('ops').resume());
    await hub.work('ops');
    await hub.work('others');
    await hub.advance(60_000);
    expect(typesOf(await told(hub, 'ops'))).toEqual([
      'subscription.created',
      'subscription.disabled',
      'subscription.resumed',
    ]);
  });

  test('of the topic millrace.system itself nothing is told', async () => {
    const hub = new Hub();
    await hub.subscribe('billing');
    await hub.publish('orders', 1);
    await hub.advance(5_000);
    expect(typesOf(await hub.told('/topics/orders'))).toEqual(['topic.created']);
    expect(await hub.told(`/topics/${SYSTEM_TOPIC}`)).toEqual([]);
  });
});
