import { env, runDurableObjectAlarm, runInDurableObject, SELF } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { subscriptionName } from '../../src/object-names.ts';
import type { LeaseMessage } from '../../src/subscriptions/protocol-claims.ts';

/** D1 that fails or hangs, a queue that loses, repeats and delays, a consumer that dies: in workerd, where their bindings can be got at. */

const PATIENCE_MS = 20_000;
/** A claim whose consumer died is taken back after 15 s; the tests don't wait for it. */
const CLAIMS_MAX = 3;

type Answer = Record<string, unknown>;

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer }> {
  const response = await SELF.fetch(`https://hub.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
}

async function eventually<T>(what: string, ask: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`Not within ${PATIENCE_MS} ms: ${what}`);
    await scheduler.wait(25);
  }
}

const settled = (name: string, wanted: Answer) =>
  eventually(`${name} is ${JSON.stringify(wanted)}`, async () => {
    const { body } = await call('GET', `/v1/subscriptions/${name}`);
    return Object.entries(wanted).every(([field, value]) => body[field] === value) && body;
  });

const rows = (body: Answer): Answer[] => (Array.isArray(body.items) ? body.items : []);

/** What the receiver got, by topic and sequence, and with what it answers. */
let received: string[] = [];
let answer = 200;

beforeEach(() => {
  received = [];
  answer = 200;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const { headers } = new Request(input, init);
    received.push(`${headers.get('millrace-topic')} ${headers.get('millrace-sequence')}`);
    return new Response('thanks', { status: answer });
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function subscribe(name: string, topics: string[] = [name]) {
  const document = { topics, retry: { schedule: [], jitter: 0 }, delivery: { url: 'http://localhost:9999/hook' } };
  expect((await call('PUT', `/v1/subscriptions/${name}`, document)).status).toBe(201);
}

async function publish(topic: string, count = 1) {
  const events = Array.from({ length: count }, (_, number) => ({ type: 'order.created', data: { number } }));
  expect((await call('POST', `/v1/topics/${topic}/events`, events)).status).toBe(201);
}

/** The subscription's object, and its alarm made due now. */
const objectOf = (name: string) => env.SUBSCRIPTION.getByName(subscriptionName(name));

async function leasesFallDue(name: string): Promise<void> {
  await runInDurableObject(objectOf(name), (_object, { storage }) => {
    storage.sql.exec('UPDATE leases SET due = 0');
  });
  await runDurableObjectAlarm(objectOf(name));
}

describe('D1 is unavailable', () => {
  const database = Object.getPrototypeOf(env.DB);

  function fail() {
    const down = () => {
      throw new Error('D1_ERROR: Network connection lost.');
    };
    vi.spyOn(database, 'prepare').mockImplementation(down);
    vi.spyOn(database, 'batch').mockImplementation(down);
  }

  it('P1 P4: publishing and delivering go on; dead letters and the catalogue catch up when it is back', async () => {
    await subscribe('d1-down', ['d1-down', 'd1-shop.*']);
    fail();
    await publish('d1-down', 2);
    await publish('d1-shop.new');
    await settled('d1-down', { delivered: 2 });
    answer = 500;
    await publish('d1-down');
    await settled('d1-down', { delivered: 2, dead: 1 });
    const read = await call('GET', '/v1/topics/d1-shop.new/events');
    expect(read).toMatchObject({ status: 200, body: { lastSequence: 1 } });
    expect((await call('GET', '/v1/dead-letters')).status).toBe(503);
    expect(received).toEqual(['d1-down 1', 'd1-down 2', 'd1-down 3']);

    answer = 200;
    vi.mocked(database.prepare).mockRestore();
    vi.mocked(database.batch).mockRestore();
    const letters = await eventually('the letter is in D1', async () => {
      const found = rows((await call('GET', '/v1/dead-letters?subscription=d1-down')).body);
      return found.length > 0 && found;
    });
    expect(letters).toMatchObject([
      { topic: 'd1-down', sequence: 3, reason: 'exhausted', event: { data: { number: 0 } } },
    ]);
    await eventually('the catalogue has the topic', async () =>
      rows((await call('GET', '/v1/topics?limit=1000')).body).some(({ name }) => name === 'd1-shop.new'),
    );
    // The pattern finds what appeared meanwhile, from its first event.
    await settled('d1-down', { delivered: 3, dead: 1, lag: 0 });
    expect(received.at(-1)).toBe('d1-shop.new 1');
  });

  it('P1: a publish does not wait for one that hangs', async () => {
    await subscribe('d1-hangs');
    const never = new Promise<never>(() => undefined);
    const statement = {
      bind: () => statement,
      first: () => never,
      all: () => never,
      run: () => never,
      raw: () => never,
    };
    vi.spyOn(database, 'prepare').mockReturnValue(statement);
    vi.spyOn(database, 'batch').mockReturnValue(never);
    const start = Date.now();
    await publish('d1-hangs');
    expect(Date.now() - start).toBeLessThan(5_000);
    await eventually('it is delivered', async () => received.includes('d1-hangs 1'));
  });
});

describe('a queue message', () => {
  const queue: { send: (message: LeaseMessage) => Promise<unknown> } = Object.getPrototypeOf(env.DELIVERIES);

  /** Everything that is sent from now on stays here. */
  function intercept(): LeaseMessage[] {
    const sent: LeaseMessage[] = [];
    vi.spyOn(queue, 'send').mockImplementation(async (message) => {
      sent.push(message);
    });
    return sent;
  }

  it('P4: that is lost is sent again', async () => {
    await subscribe('queue-lost');
    const lost = intercept();
    await publish('queue-lost', 3);
    await eventually('it is sent', async () => lost.length > 0);
    expect(await call('GET', '/v1/subscriptions/queue-lost')).toMatchObject({ body: { pending: 3, delivered: 0 } });
    vi.mocked(queue.send).mockRestore();
    await leasesFallDue('queue-lost');
    await settled('queue-lost', { delivered: 3, pending: 0 });
    expect(received).toHaveLength(3);
  });

  it('P5: that comes several times delivers once', async () => {
    await subscribe('queue-twice');
    const sent = intercept();
    await publish('queue-twice', 3);
    const message = await eventually('it is sent', async () => sent[0]);
    vi.mocked(queue.send).mockRestore();
    await Promise.all([1, 2, 3].map(() => env.DELIVERIES.send(message)));
    await settled('queue-twice', { delivered: 3, pending: 0 });
    await env.DELIVERIES.send(message);
    await publish('queue-twice');
    await settled('queue-twice', { delivered: 4, pending: 0 });
    expect(received.toSorted()).toEqual([1, 2, 3, 4].map((sequence) => `queue-twice ${sequence}`));
  });

  it('P5: that comes late finds nothing to do', async () => {
    await subscribe('queue-late');
    const late = intercept();
    await publish('queue-late', 2);
    const message = await eventually('it is sent', async () => late[0]);
    vi.mocked(queue.send).mockRestore();
    await leasesFallDue('queue-late');
    await settled('queue-late', { delivered: 2, pending: 0 });
    expect(await objectOf('queue-late').claim(message.lease)).toEqual({ outcome: 'void' });
    await env.DELIVERIES.send(message);
    await publish('queue-late');
    await settled('queue-late', { delivered: 3, pending: 0 });
    expect(received).toHaveLength(3);
  });

  it('P4: that names nothing, or makes no sense, does no harm', async () => {
    await subscribe('queue-odd');
    const odd: unknown[] = [
      null,
      'lease',
      {},
      { v: 2, subscription: 'queue-odd', lease: 1 },
      { v: 1, subscription: 'nobody', lease: 1 },
    ];
    const anything: { send(message: unknown): Promise<unknown> } = env.DELIVERIES;
    for (const message of odd) await anything.send(message);
    await publish('queue-odd');
    await settled('queue-odd', { delivered: 1 });
  });
});

describe('a consumer that dies', () => {
  it('P4 P6: three times over one event makes it a dead letter, and takes no other event with it', async () => {
    await subscribe('deadly');
    const queue: { send: (message: LeaseMessage) => Promise<unknown> } = Object.getPrototypeOf(env.DELIVERIES);
    const sent: LeaseMessage[] = [];
    vi.spyOn(queue, 'send').mockImplementation(async (message) => {
      sent.push(message);
    });
    await publish('deadly', 2);
    /** The next lease is claimed; for a 2 alone somebody else is found who lives. */
    const claimNext = async () => {
      const message = await eventually('a lease is sent', async () => sent.shift());
      const claim = await objectOf('deadly').claim(message.lease);
      if (claim.outcome !== 'claimed') throw new Error('The lease can not be claimed.');
      const [first] = claim.events;
      if (claim.events.length === 1 && first?.sequence === 2) {
        const { topic, sequence } = first;
        const delivered = {
          kind: 'delivered' as const,
          topic,
          sequence,
          at: 1,
          latencyMs: 1,
          status: 200,
          response: '',
        };
        const request = { v: 1 as const, lease: message.lease, token: claim.token, outcomes: [delivered] };
        expect(await objectOf('deadly').settle(request)).toMatchObject({ outcome: 'settled' });
      }
      return claim.events.map(({ sequence }) => sequence);
    };
    for (let death = 0; death < CLAIMS_MAX; death += 1) {
      expect(await claimNext()).toEqual([1, 2]);
      await leasesFallDue('deadly');
    }
    // From here on they go out singly.
    expect([await claimNext(), await claimNext()].flat().toSorted()).toEqual([1, 2]);
    await leasesFallDue('deadly');
    for (let death = 1; death < CLAIMS_MAX; death += 1) {
      expect(await claimNext()).toEqual([1]);
      await leasesFallDue('deadly');
    }
    await settled('deadly', { delivered: 1, dead: 1, pending: 0, lag: 0 });
    const letters = await eventually('the letter is in D1', async () => {
      const found = rows((await call('GET', '/v1/dead-letters?subscription=deadly')).body);
      return found.length > 0 && found;
    });
    expect(letters).toMatchObject([{ sequence: 1, reason: 'consumer', attempts: 0, event: { data: { number: 0 } } }]);
    expect(sent).toEqual([]);
  });
});
