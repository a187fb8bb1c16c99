import { beforeEach, describe, expect, it } from 'vitest';
import { MillraceError, type NewEvent, PublishError } from '../../src/client/index.ts';
import { all, type Fate, wired } from './hub-client.ts';

const EVENT: NewEvent = { type: 'order.created', subject: '4711', data: { amount: 120 } };

function many(count: number): NewEvent[] {
  return Array.from({ length: count }, (_, index) => ({ type: 'order.created', data: { index } }));
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ code, status, detail: 'A detail.', title: '', type: '', instance: '' }), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });
}

describe('publishing', () => {
  it('gives one receipt for an event and one for each of several, in order', async () => {
    const { client } = wired();
    const first = await client.publish('orders', EVENT);
    expect(first).toMatchObject({ topic: 'orders', sequence: 1, duplicate: false, source: '/topics/orders' });
    const more = await client.publish('orders', [
      { ...EVENT, id: 'a' },
      { ...EVENT, id: 'b' },
    ]);
    expect(more.map(({ id, sequence }) => [id, sequence])).toEqual([
      ['a', 2],
      ['b', 3],
    ]);
    expect(await client.publish('orders', [])).toEqual([]);
  });

  it('splits what is too much for one request, by count and by size', async () => {
    const { client, served } = wired();
    const receipts = await client.publish('orders', many(2_500));
    expect(receipts.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 1));
    expect(served).toHaveLength(3);
    const large = Array.from({ length: 23 }, () => ({ type: 'large', data: 'é'.repeat(250_000) }));
    expect(await client.publish('large', large)).toHaveLength(23);
    expect(served).toHaveLength(5);
    const ids = receipts.map(({ id }) => id);
    expect(ids).toEqual([...ids].sort());
  });

  it('P3: makes no second event however many answers are lost', async () => {
    const fates: Fate[] = ['lost', 'lost', 'refused', 'served', 'lost', 'served', 'refused', 'lost', 'served'];
    const { client, hub, served } = wired((number) => fates[(number - 1) % fates.length] ?? 'served');
    const receipts = await client.publish('orders', many(2_500));
    expect(served.length).toBeGreaterThan(3);
    expect(receipts.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 1));
    expect((await hub.topic('orders').describe())?.lastSequence).toBe(2_500);
  });

  it('waits as long as Retry-After says, and not for longer than it would wait at all', async () => {
    const fates: Fate[] = [problem(429, 'quota-exceeded', { 'retry-after': '1' }), 'served'];
    const { client } = wired((number) => fates[number - 1] ?? 'served');
    const start = Date.now();
    await client.publish('orders', EVENT);
    expect(Date.now() - start).toBeGreaterThanOrEqual(990);

    const { client: other, served } = wired(() => problem(429, 'quota-exceeded', { 'retry-after': '3600' }));
    const error = await other.publish('orders', EVENT).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'quota-exceeded', status: 429 });
    expect(served).toEqual([]);
  });

  it('gives up at once where another try changes nothing, and says what the hub said', async () => {
    for (const [status, code] of [
      [507, 'topic-full'],
      [403, 'forbidden'],
      [409, 'event-id-conflict'],
    ] as const) {
      let tries = 0;
      const { client } = wired(() => {
        tries += 1;
        return problem(status, code);
      });
      await expect(client.publish('orders', EVENT)).rejects.toMatchObject({ code, status, detail: 'A detail.' });
      expect(tries).toBe(1);
    }
    const { client } = wired();
    const error = await client.publish('orders', { type: '' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MillraceError);
    expect(error).toMatchObject({ code: 'invalid-event', status: 400, errors: [{ path: '[0].type' }] });
  });

  it('P3: says what is not published, which can be published again without a second event', async () => {
    // The second request is served once and its answer lost; then the hub is away.
    const { client, hub } = wired((number) => (number === 1 ? 'served' : number === 2 ? 'lost' : 'refused'), 2);
    const error = await client.publish('orders', many(2_500)).catch((thrown: unknown) => thrown);
    if (!(error instanceof PublishError)) return expect.fail('no PublishError');
    expect(error).toMatchObject({ code: 'network', status: null });
    expect(error.receipts).toHaveLength(1_000);
    expect(error.rest).toHaveLength(1_500);
    const again = await wired(() => 'served', 0, hub).client.publish('orders', error.rest);
    expect(again.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 1_500 }, (_, index) => index + 1_001));
    expect(again.filter(({ duplicate }) => duplicate)).toHaveLength(1_000);
  });

  it('publishes under an expectation, and by an idempotency key', async () => {
    const { client } = wired((number) => (number === 1 ? 'lost' : 'served'));
    // Its first answer is lost: the second try finds its own event, and is told that it won.
    expect(await client.publish('orders', EVENT, { expectedLastSequence: 0 })).toMatchObject({ sequence: 1 });
    await expect(client.publish('orders', EVENT, { expectedLastSequence: 0 })).rejects.toMatchObject({
      code: 'wrong-expected-sequence',
      problem: { lastSequence: 1 },
    });
    const once = await client.publish('orders', EVENT, { idempotencyKey: 'order-4711' });
    expect(await client.publish('orders', EVENT, { idempotencyKey: 'order-4711' })).toEqual(once);
    await expect(client.publish('orders', many(1_001), { idempotencyKey: 'k' })).rejects.toThrow(RangeError);
  });

  it('P3: says how to publish again what was published under a key, or an expectation, and got no answer', async () => {
    for (const options of [{ idempotencyKey: 'order-4711' }, { expectedLastSequence: 0 }]) {
      const { client, hub } = wired(() => 'lost', 0);
      const error = await client.publish('orders', many(3), options).catch((thrown: unknown) => thrown);
      if (!(error instanceof PublishError)) return expect.fail('no PublishError');
      expect(error.again).toEqual(options);
      const again = await wired(() => 'served', 0, hub).client.publish('orders', error.rest, error.again);
      expect(again.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
      expect((await hub.topic('orders').describe())?.lastSequence).toBe(3);
    }
  });

  it('takes bytes and times as a program has them', async () => {
    const { client } = wired();
    const time = new Date('2026-11-23T20:00:00Z');
    await client.publish('files', {
      type: 'file',
      time,
      datacontenttype: 'image/png',
      data: new Uint8Array([1, 2, 255]),
    });
    const [event] = await all(client.read('files'));
    expect(event).toMatchObject({ time: '2026-11-23T20:00:00.000Z', data_base64: 'AQL/' });
  });
});

describe('publishing from a source', () => {
  it('gives receipts in order, and sends what there is when the source pauses', async () => {
    const { client, served } = wired();
    let release = (): void => undefined;
    const pause = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* source() {
      yield* many(3);
      await pause;
      yield* many(1_001);
    }
    const receipts = client.publishFrom('orders', source());
    expect((await receipts.next()).value).toMatchObject({ sequence: 1 });
    expect((await receipts.next()).value).toMatchObject({ sequence: 2 });
    expect((await receipts.next()).value).toMatchObject({ sequence: 3 });
    expect(served).toHaveLength(1);
    release();
    const rest = await all(receipts);
    expect(rest.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 1_001 }, (_, index) => index + 4));
    expect(served).toHaveLength(3);
  });

  it('P3: says all that the source had given where a chunk is not published', async () => {
    let given = 0;
    function* source() {
      for (const event of many(2_500)) {
        given += 1;
        yield event;
      }
    }
    const { client } = wired(() => problem(403, 'forbidden'));
    const error = await all(client.publishFrom('orders', source())).catch((thrown: unknown) => thrown);
    if (!(error instanceof PublishError)) return expect.fail('no PublishError');
    expect([given, error.rest.length]).toEqual([1_001, 1_001]);
  });

  it('P3: says what the source was giving while a chunk failed, and publishes what it gave before it failed', async () => {
    let give = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      give = resolve;
    });
    async function* source() {
      yield* many(3);
      await asked;
      yield { type: 'late' };
      yield { type: 'never' };
    }
    const { client, hub } = wired(() => {
      give();
      return problem(403, 'forbidden');
    });
    const error = await all(client.publishFrom('orders', source())).catch((thrown: unknown) => thrown);
    if (!(error instanceof PublishError)) return expect.fail('no PublishError');
    expect(error.rest.map(({ type }) => type)).toEqual([...Array(3).fill('order.created'), 'late']);

    async function* failing() {
      yield* error instanceof PublishError ? error.rest : [];
      throw new Error('The source failed.');
    }
    const { client: other } = wired(() => 'served', 0, hub);
    await expect(all(other.publishFrom('orders', failing()))).rejects.toThrow('The source failed.');
    expect((await hub.topic('orders').describe())?.lastSequence).toBe(4);
  });

  describe('from a source whose end leaves what it was asked for open', () => {
    let ended = 0;
    beforeEach(() => {
      ended = 0;
    });
    /** After `count` events it gives nothing, for ever. */
    function silentAfter(count: number): AsyncIterable<NewEvent> {
      const events = many(count);
      const iterator: AsyncIterator<NewEvent> = {
        next: async () => {
          const value = events.shift();
          return value === undefined ? new Promise(() => undefined) : { done: false, value };
        },
        return: async () => {
          ended += 1;
          return { done: true, value: undefined };
        },
      };
      return { [Symbol.asyncIterator]: () => iterator };
    }

    it('does not wait for it where the receipts are not read on', async () => {
      const { client } = wired();
      for await (const { sequence } of client.publishFrom('ticks', silentAfter(3))) if (sequence === 1) break;
      expect(ended).toBe(1);
    });

    it.each<Fate>(['served', 'refused'])('does not wait for it where it is told to stop: %s', async (fate) => {
      const stop = new AbortController();
      const { client } = wired(() => {
        stop.abort(new Error('enough'));
        return fate;
      });
      const receipts = client.publishFrom('ticks', silentAfter(3), { signal: stop.signal });
      await expect(all(receipts)).rejects.toThrow('enough');
      expect(ended).toBe(1);
    });

    it('ends it once where it is refused', async () => {
      const { client } = wired(() => problem(403, 'forbidden'));
      await expect(all(client.publishFrom('ticks', silentAfter(1_001)))).rejects.toMatchObject({ code: 'forbidden' });
      expect(ended).toBe(1);
    });
  });

  it('closes the source when the receipts are not read on, or what it gives is refused', async () => {
    let closed = 0;
    function* source() {
      try {
        for (;;) yield { type: 'tick' };
      } finally {
        closed += 1;
      }
    }
    const { client } = wired();
    for await (const { sequence } of client.publishFrom('ticks', source())) if (sequence === 10) break;
    expect(closed).toBe(1);
    const { client: refused } = wired(() => problem(403, 'forbidden'));
    await expect(all(refused.publishFrom('ticks', source()))).rejects.toMatchObject({
      code: 'forbidden',
      receipts: [],
    });
    expect(closed).toBe(2);
  });
});
