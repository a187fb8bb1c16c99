import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../scripts/hub/eventually.ts';
import { WorkersBench } from './support.ts';

/** Consumer Workers behind the platform's own bindings and queues: `wrangler dev` with two configurations. */

const RETRY = { schedule: ['200ms', '200ms', '200ms'], jitter: 0 };
const WITHIN_MS = 60_000;

let bench: WorkersBench;
let count = 0;
/** A topic and subscription of its own for each test. */
let name: string;

beforeAll(async () => {
  bench = await WorkersBench.start();
});
afterAll(() => bench.stop());
beforeEach(async () => {
  count += 1;
  name = `t${count}`;
  bench.entries.length = 0;
  bench.tell = () => ({ do: 'ack' });
  await bench.api.putTopic(name);
});

const subscribe = (delivery: object, more: object = {}) =>
  bench.api.putSubscription(name, { topics: [name], retry: RETRY, delivery, ...more });

const publish = (events: number, data: unknown = null) =>
  bench.api.publish(
    name,
    Array.from({ length: events }, (_, index) => ({ id: `${name}-${index + 1}`, type: 'order.paid', data })),
  );

/** The sums once nothing is open, which have to be those of the topic. */
async function settledSums(events: number, withinMs = WITHIN_MS) {
  const sums = await eventually(
    `${name} is settled`,
    async () => {
      const now = await bench.api.subscription(name);
      return now.waiting + now.pending === 0 && now.delivered + now.dead === events ? now : null;
    },
    withinMs,
  );
  return { delivered: sums.delivered, dead: sums.dead, failed: sums.failed };
}

const errors = async () => new Set((await bench.api.attempts(name)).map(({ error }) => error));
const letters = async () =>
  (await bench.api.deadLetters({ subscription: name })).map(({ event, reason, attempts }) => [
    event.id,
    reason,
    attempts,
  ]);

describe('a binding', () => {
  it.each([
    ['queue', 'GONE_QUEUE', 'it has: CONFIRMED_QUEUE, TRUSTED_QUEUE.'],
    ['queue', 'CONSUMER', 'it is a service binding'],
    ['queue', 'DELIVERIES', 'it has: CONFIRMED_QUEUE, TRUSTED_QUEUE.'],
    ['queue', 'DB', 'it has: CONFIRMED_QUEUE, TRUSTED_QUEUE.'],
    ['service', 'SUBSCRIPTION', 'it has: CONSUMER, CONSUMER_MUTE, CONSUMER_RAW.'],
    ['service', 'ADMIN_KEY', 'it has: CONSUMER, CONSUMER_MUTE, CONSUMER_RAW.'],
    ['service', 'TRUSTED_QUEUE', 'it is a queue binding'],
  ])('P8 of the kind %s that is not there (%s) is refused by name', async (kind, binding, told) => {
    const reply = await bench.api.request('PUT', `/v1/subscriptions/${name}`, {
      json: { topics: [name], delivery: { kind, binding } },
    });
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text).errors).toEqual([
      { path: 'delivery.binding', message: expect.stringContaining(told) },
    ]);
  });
});

describe.each(['rpc', 'fetch'])('a consumer Worker called by %s', (call) => {
  it('P4 acks, retries and rejects each event by itself', async () => {
    bench.tell = ({ sequence = 0, attempt = 0 }) => {
      if (sequence === 2 && attempt === 1) return { do: 'retry', delay: '1s' };
      return { do: sequence === 3 ? 'reject' : 'ack' };
    };
    await subscribe({ kind: 'service', binding: 'CONSUMER', call });
    await publish(12);
    expect(await settledSums(12)).toEqual({ delivered: 11, dead: 1, failed: 2 });
    await eventually('the dead letter', async () => (await letters()).length === 1, WITHIN_MS);
    expect(await letters()).toEqual([[`${name}-3`, 'rejected', 1]]);
    expect(await errors()).toEqual(new Set([null, 'busy', 'no such customer']));
  });

  it('P8 tells what a consumer without that method lacks', async () => {
    await subscribe({ kind: 'service', binding: 'CONSUMER_MUTE', call });
    await publish(1);
    expect(await settledSums(1)).toEqual({ delivered: 0, dead: 1, failed: 4 });
    const [error] = await errors();
    expect(error).toContain(call === 'rpc' ? 'has no method handle' : 'has no fetch');
  });
});

describe('a consumer Worker that misbehaves', () => {
  const ack = { result: 'ack' };

  it.each([
    ['throws', { do: 'throw' }, 'The consumer threw RangeError: a bug'],
    ['returns null', { do: 'return', value: null }, 'Answered null to 2 events'],
    ['returns rubbish', { do: 'return', value: { ok: true } }, 'Answered something else (object) to 2 events'],
    ['returns too few results', { do: 'return', value: [ack] }, 'Answered 1 results to 2 events'],
    [
      'returns what is no result',
      { do: 'return', value: [{ result: 'yes' }, { result: 'yes' }] },
      'Its result is none',
    ],
  ] as const)('P4 %s: its events are tried again, and taken once it is mended', async (_, told, error) => {
    let isMended = false;
    bench.tell = ({ sequences = [] }) => {
      const answer = isMended ? { do: 'return' as const, value: sequences.map(() => ack) } : { ...told };
      isMended = true;
      return answer;
    };
    await subscribe({ kind: 'service', binding: 'CONSUMER_RAW' });
    await publish(2);
    expect(await settledSums(2)).toEqual({ delivered: 2, dead: 0, failed: 2 });
    expect([...(await errors())].some((text) => text?.includes(error))).toBe(true);
  });

  it('P6 hangs: the call is given up after its timeout, and no other subscription waits', async () => {
    bench.tell = ({ sequences }) => (sequences === undefined ? { do: 'ack' } : { do: 'hang' });
    const retry = { schedule: ['200ms'], jitter: 0 };
    await subscribe({ kind: 'service', binding: 'CONSUMER_RAW', timeout: '12s' }, { retry });
    await bench.api.putSubscription(`${name}-other`, {
      topics: [name],
      delivery: { kind: 'service', binding: 'CONSUMER' },
    });
    await publish(1);
    const other = () => bench.api.subscription(`${name}-other`);
    await eventually('the other has it', async () => (await other()).delivered === 1, 11_000);
    expect((await bench.api.subscription(name)).failed).toBe(0);
    await settledSums(1);
    expect(await errors()).toEqual(new Set(['No answer within 12000 ms.']));
  });
});

describe('a consumer Worker that is redeployed in the middle', () => {
  it('P4 P5 brings nothing of what it was at to an end: all of it comes to the new one, by call and by queue', async () => {
    const kinds = {
      called: { kind: 'service', binding: 'CONSUMER', timeout: '5s' },
      confirmed: { kind: 'queue', binding: 'CONFIRMED_QUEUE', confirm: true, ackDeadline: '5s' },
    };
    const topic = name;
    const retry = { schedule: Array(20).fill('500ms'), jitter: 0 };
    for (const [kind, delivery] of Object.entries(kinds)) {
      await bench.api.putSubscription(`${topic}-${kind}`, { topics: [topic], retry, delivery });
    }
    let current = '1';
    bench.tell = ({ deployment }) => ({ do: current !== '1' && deployment === current ? 'ack' : 'hang' });
    await publish(20);
    const cameBy = (queue: string | undefined) => bench.entries.filter((entry) => entry.queue === queue);
    const isAtBoth = () => [undefined, 'confirmed'].every((queue) => cameBy(queue).length > 0);
    await eventually('it is at events of both', isAtBoth, WITHIN_MS);
    current = bench.redeploy();
    for (const kind of Object.keys(kinds)) {
      name = `${topic}-${kind}`;
      expect(await settledSums(20)).toMatchObject({ delivered: 20, dead: 0 });
    }
    for (const queue of [undefined, 'confirmed']) {
      const taken = cameBy(queue).filter(({ deployment }) => deployment === current);
      expect(new Set(taken.map(({ sequence }) => sequence)).size).toBe(20);
    }
  });
});

describe('a consumer Worker behind its own queue', () => {
  it('P4 gets every event, and one too large for a message whole', async () => {
    await subscribe({ kind: 'queue', binding: 'TRUSTED_QUEUE' });
    await publish(60);
    await bench.api.publish(name, { id: 'large', type: 'order.paid', data: 'x'.repeat(600_000) });
    await settledSums(61);
    const own = () => bench.entries.filter(({ topic }) => topic === name);
    await eventually('all are there', () => new Set(own().map(({ id }) => id)).size === 61, WITHIN_MS);
    expect(own().find(({ id }) => id === 'large')?.size).toBeGreaterThan(600_000);
  });

  it('P4 P7 gives up on an event: that is a dead letter, and can be redriven; what it only says so of is none', async () => {
    let isBroken = true;
    bench.tell = ({ sequence }) => {
      if (sequence === 1) return { do: 'forge' };
      return { do: isBroken && sequence === 2 ? 'throw' : 'ack' };
    };
    await subscribe({ kind: 'queue', binding: 'TRUSTED_QUEUE' });
    await publish(3);
    await eventually('the dead letter', async () => (await letters()).length === 1, WITHIN_MS);
    expect(await letters()).toEqual([[`${name}-2`, 'consumer', 1]]);
    expect(await settledSums(3)).toMatchObject({ delivered: 2, dead: 1 });
    isBroken = false;
    const [letter = expect.fail()] = await bench.api.deadLetters({ subscription: name });
    await bench.api.redrive(letter.id);
    await eventually(
      'it is taken',
      () => bench.entries.some(({ redriven, sequence }) => redriven && sequence === 2),
      WITHIN_MS,
    );
    expect(await settledSums(3)).toMatchObject({ delivered: 3, dead: 0 });
  });

  it('P4 confirms: nothing is delivered before it says so', async () => {
    bench.tell = ({ sequence = 0, attempt = 0 }) => {
      if (sequence === 1) return { do: 'reject' };
      return { do: sequence === 2 && attempt < 3 ? 'throw' : 'ack' };
    };
    await subscribe({ kind: 'queue', binding: 'CONFIRMED_QUEUE', confirm: true });
    await publish(5);
    await bench.api.publish(name, { id: 'large', type: 'order.paid', data: 'x'.repeat(600_000) });
    expect(await settledSums(6)).toEqual({ delivered: 5, dead: 1, failed: 3 });
    await eventually('the dead letter', async () => (await letters()).length === 1, WITHIN_MS);
    expect(await letters()).toEqual([[`${name}-1`, 'rejected', 1]]);
  });

  it('P4 confirms an event while it is at the next of the same batch', async () => {
    const first = Promise.withResolvers<void>();
    // Of another topic is what tests before have left in the queue.
    bench.tell = async ({ topic, sequence = 0 }) => {
      if (topic === name && sequence > 1) await first.promise;
      return { do: 'ack' };
    };
    await subscribe({ kind: 'queue', binding: 'CONFIRMED_QUEUE', confirm: true, ackDeadline: '12h' });
    await publish(3);
    try {
      const view = () => bench.api.subscription(name);
      await eventually('the first is delivered', async () => (await view()).delivered === 1, WITHIN_MS);
    } finally {
      first.resolve();
    }
    expect(await settledSums(3)).toEqual({ delivered: 3, dead: 0, failed: 0 });
  });

  it('P2 confirms in order by key', async () => {
    await subscribe({ kind: 'queue', binding: 'CONFIRMED_QUEUE', confirm: true }, { ordering: 'key' });
    const events = Array.from({ length: 20 }, (_, index) => ({ type: 'step', subject: `k${index % 4}` }));
    await bench.api.publish(name, events);
    bench.tell = ({ sequence = 0, attempt }) => ({ do: sequence % 7 === 0 && attempt === 1 ? 'throw' : 'ack' });
    await settledSums(20);
    for (const key of [0, 1, 2, 3]) {
      const own = bench.entries.map(({ sequence = 0 }) => sequence).filter((sequence) => (sequence - 1) % 4 === key);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });

  // The last one: it leaves second attempts in the queue.
  it('P4 may be slower than its deadline: all is delivered that it has dealt with, and nothing dies', async () => {
    // Nothing is tried a third time within the test, and of the second it says nothing: what is delivered was confirmed late.
    const retry = { schedule: ['200ms', '12h'], jitter: 0 };
    const events = 8;
    const isLate = Promise.withResolvers<void>();
    const isSettled = Promise.withResolvers<void>();
    bench.tell = async ({ attempt }) => {
      await (attempt === 1 ? isLate : isSettled).promise;
      return { do: 'ack' };
    };
    await subscribe({ kind: 'queue', binding: 'CONFIRMED_QUEUE', confirm: true, ackDeadline: '1s' }, { retry });
    await publish(events);
    try {
      const areGivenOutAgain = async () => {
        const { failed, inFlight } = await bench.api.subscription(name);
        return failed >= 2 * events || (failed === events && inFlight === events);
      };
      await eventually('all are given out again', areGivenOutAgain, WITHIN_MS);
      isLate.resolve();
      expect(await settledSums(events)).toMatchObject({ delivered: events, dead: 0 });
    } finally {
      isLate.resolve();
      isSettled.resolve();
    }
    expect(await letters()).toEqual([]);
  });
});

describe('a test event', () => {
  const post = async (action: 'test' | 'preview', json?: object) => {
    const body = json === undefined ? {} : { json };
    const reply = await bench.api.request('POST', `/v1/subscriptions/${name}/${action}`, body);
    expect(reply.status).toBe(200);
    return JSON.parse(reply.text);
  };
  const tests = () => bench.entries.filter(({ topic }) => topic === 'millrace.test');
  const sums = async () => {
    const { delivered, failed, dead, pending, waiting } = await bench.api.subscription(name);
    return [delivered, failed, dead, pending, waiting];
  };

  it.each(['rpc', 'fetch'])('calls a consumer Worker by %s, and says what came of it', async (call) => {
    await subscribe({ kind: 'service', binding: 'CONSUMER', call });
    const status = call === 'rpc' ? null : 200;
    expect(await post('test')).toMatchObject({ ok: true, status, error: null, request: null });
    bench.tell = () => ({ do: 'reject' });
    expect(await post('test')).toMatchObject({ ok: false, status, error: 'no such customer', request: null });
    bench.tell = () => ({ do: 'throw' });
    expect(await post('test')).toMatchObject({ ok: false, status, error: 'a bug', request: null });
    expect(tests()).toHaveLength(3);
    expect(await sums()).toEqual([0, 0, 0, 0, 0]);
    expect(await bench.api.attempts(name)).toEqual([]);
  });

  it('says that a consumer Worker throws, hangs or lacks the method', async () => {
    await subscribe({ kind: 'service', binding: 'CONSUMER_RAW', timeout: '500ms' });
    bench.tell = () => ({ do: 'throw' });
    expect(await post('test')).toMatchObject({ ok: false, error: 'The consumer threw RangeError: a bug' });
    bench.tell = () => ({ do: 'hang' });
    expect(await post('test')).toMatchObject({ ok: false, error: 'No answer within 500 ms.' });
    await subscribe({ kind: 'service', binding: 'CONSUMER_MUTE' });
    expect(await post('test')).toMatchObject({ ok: false, error: expect.stringContaining('has no method handle') });
  });

  it.each([
    ['TRUSTED_QUEUE', false],
    ['CONFIRMED_QUEUE', true],
  ])('comes by %s, confirmed by nobody', async (binding, confirm) => {
    await subscribe({ kind: 'queue', binding, confirm });
    expect(await post('test')).toMatchObject({ ok: true, status: null, error: null, request: null });
    await eventually('it is there', () => tests().length === 1, WITHIN_MS);
    await publish(1);
    expect(await settledSums(1)).toEqual({ delivered: 1, dead: 0, failed: 0 });
  });

  it('P4 that a queue gives up on is no dead letter', async () => {
    bench.tell = ({ topic, sequence }) => ({ do: topic === 'millrace.test' || sequence === 1 ? 'reject' : 'ack' });
    await subscribe({ kind: 'queue', binding: 'TRUSTED_QUEUE' });
    expect(await post('test')).toMatchObject({ ok: true });
    await eventually('it came again', () => tests().length === 2, WITHIN_MS);
    await publish(2);
    await eventually('the dead letter', async () => (await letters()).length === 1, WITHIN_MS);
    expect(await letters()).toEqual([[`${name}-1`, 'consumer', 1]]);
    expect(await settledSums(2)).toEqual({ delivered: 1, dead: 1, failed: 0 });
  });

  it('of one that is not sent: a preview shows what the consumer would be handed', async () => {
    await subscribe({ kind: 'service', binding: 'CONSUMER' }, { transform: '{ "is": type }' });
    await publish(1);
    await settledSums(1);
    const before = bench.entries.length;
    expect(await post('preview', { topic: name, sequence: 1 })).toMatchObject({
      matches: true,
      error: null,
      request: null,
      delivery: { v: 1, subscription: name, sequence: 1, event: { id: `${name}-1`, data: { is: 'order.paid' } } },
    });
    expect(bench.entries).toHaveLength(before);
  });
});
