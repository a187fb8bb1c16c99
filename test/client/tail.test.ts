import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Millrace } from '../../src/client/index.ts';
import { type ServerSentEvent, serverSentEvents } from '../../src/client/sse.ts';
import { FakeTail } from './fake-tail.ts';
import { all } from './hub-client.ts';

let tail: FakeTail;
let client: Millrace;

beforeEach(async () => {
  tail = await FakeTail.start();
  client = new Millrace({ url: tail.url, key: 'k', retry: { firstMs: 1, maxMs: 5 } });
});
afterEach(() => tail.stop());

/** The sequences of the next `count` events. */
async function take(events: AsyncIterator<{ sequence: string }>, count: number): Promise<number[]> {
  const sequences: number[] = [];
  while (sequences.length < count) {
    const { done, value } = await events.next();
    if (done) break;
    sequences.push(Number(value.sequence));
  }
  return sequences;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const listening = () => vi.waitFor(() => expect(tail.streams).toBe(1), { interval: 1 });

describe('a tail', () => {
  it('gives what is there and then what comes', async () => {
    tail.publish(3);
    const events = client.tail<{ note: string }>('orders', { from: 'earliest', type: ['order.created'] });
    expect(await take(events, 3)).toEqual([1, 2, 3]);
    await listening();
    const next = events.next();
    tail.publish(1);
    expect((await next).value?.data.note).toBe('zoë\n'.repeat(4));
    await events.return();
    await vi.waitFor(() => expect(tail.streams).toBe(0));
    expect(tail.asked).toEqual([{ search: '?type=order.created&from=earliest', lastEventId: null }]);
  });

  it('P2: goes on without a gap or a repetition wherever it was cut off', async () => {
    tail.publish(200);
    let cuts = 0;
    tail.cutAfter = () => (cuts++ < 30 ? cuts % 7 : null);
    const events = client.tail('orders', { after: 0 });
    expect(await take(events, 200)).toEqual(range(1, 200));
    for (let round = 0; round < 5; round += 1) {
      const next = take(events, 3);
      await listening();
      tail.publish(3);
      expect(await next).toEqual(range(201 + 3 * round, 203 + 3 * round));
      tail.end(round % 2 === 0 ? 'cut' : 'end');
    }
    expect(cuts).toBeGreaterThan(30);
    expect(tail.asked.at(-1)).toEqual({ search: '?after=0', lastEventId: '212' });
    await events.return();
  });

  it('P2: begins with what comes, also where it is cut off before anything came', async () => {
    tail.publish(5);
    const events = client.tail('orders');
    const next = events.next();
    await listening();
    tail.end('cut');
    tail.publish(1);
    expect(Number((await next).value?.sequence)).toBe(6);
    expect(tail.asked.map(({ search }) => search)).toEqual(['?after=5', '?after=5']);
    await events.return();
  });

  it('asks for its key at each connection, and again where it gets none for a while', async () => {
    let asked = 0;
    const key = async () => {
      asked += 1;
      if (asked > 1 && asked < 5) throw new TypeError('Failed to fetch');
      return `token ${asked}`;
    };
    const page = new Millrace({ url: tail.url, key, retry: { firstMs: 1, maxMs: 5 } });
    const events = page.tail('orders', { after: 0 });
    tail.publish(1);
    expect(await take(events, 1)).toEqual([1]);
    await listening();
    tail.end('cut');
    tail.publish(1);
    expect(await take(events, 1)).toEqual([2]);
    expect(asked).toBe(5);
    await events.return();
  });

  it('comes back where the hub says, after what a filter left out too', async () => {
    tail.publish(1);
    const events = client.tail('orders', { after: 0 });
    expect(await take(events, 1)).toEqual([1]);
    await listening();
    const next = events.next();
    tail.say(':\nid: 40\n\n');
    tail.end();
    await vi.waitFor(() => expect(tail.asked.at(-1)?.lastEventId).toBe('40'));
    await listening();
    tail.say('event: millrace.closed\ndata: {"code":"too-slow","after":77}\n\n');
    await vi.waitFor(() => expect(tail.asked.at(-1)?.lastEventId).toBe('77'));
    for (const word of ['{"code":"unavailable","after":null}', '{"code":"unavailable"}']) {
      await listening();
      const before = tail.asked.length;
      tail.say(`event: millrace.closed\ndata: ${word}\n\n`);
      await vi.waitFor(() => expect(tail.asked.slice(before)).toMatchObject([{ lastEventId: '77' }]));
    }
    await listening();
    tail.publish(1);
    expect(Number((await next).value?.sequence)).toBe(2);
    await events.return();
  });

  it('ends when it is told to, and by what no other try mends', async () => {
    const stop = new AbortController();
    const ended = all(client.tail('orders', { after: 0, signal: stop.signal }));
    await listening();
    stop.abort();
    expect(await ended).toEqual([]);
    await vi.waitFor(() => expect(tail.streams).toBe(0));
    expect(await all(client.tail('orders', { signal: AbortSignal.abort() }))).toEqual([]);

    tail.publish(2);
    tail.cutAfter = () => 1;
    tail.refuse = (request) => (request === 4 ? { status: 410, code: 'sequence-expired' } : null);
    const events = client.tail('orders', { after: 0 });
    expect(await take(events, 2)).toEqual([1, 2]);
    await expect(events.next()).rejects.toMatchObject({ code: 'sequence-expired', status: 410 });
  });

  it('waits for a hub that is away', async () => {
    tail.publish(1);
    tail.refuse = (request) => (request < 20 ? { status: 503, code: 'unavailable' } : null);
    const events = client.tail('orders', { after: 0 });
    expect(await take(events, 1)).toEqual([1]);
    await events.return();
  });

  it('has one start, and takes no page for a stream', async () => {
    const page = new Response('<html>', { headers: { 'content-type': 'text/html' } });
    const elsewhere = new Millrace({ url: 'http://hub.test', fetch: async () => page });
    await expect(all(elsewhere.tail('orders', { after: 0 }))).rejects.toMatchObject({ code: 'unexpected-answer' });
    await expect(all(elsewhere.tail('orders', { from: 'latest', after: 2 }))).rejects.toThrow(TypeError);
  });

  it('takes a stream that has been silent for 45 s for dead', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let streams = 0;
      const hungUp: boolean[] = [];
      const silent = new Millrace({
        url: 'http://hub.test',
        fetch: async (_url, { signal }) => {
          const number = streams++;
          hungUp[number] = false;
          signal?.addEventListener('abort', () => {
            hungUp[number] = true;
          });
          const body = new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode(':\n\n')) });
          return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
        },
      });
      const stop = new AbortController();
      const ended = all(silent.tail('orders', { after: 0, signal: stop.signal }));
      await vi.advanceTimersByTimeAsync(44_000);
      expect(streams).toBe(1);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(streams).toBe(2);
      expect(hungUp).toEqual([true, false]);
      stop.abort();
      expect(await ended).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('server-sent events', () => {
  const ALL: ServerSentEvent[] = [
    { lastId: '1', event: 'a', data: 'one\ntwo' },
    { lastId: '1', event: '', data: null },
    { lastId: '2', event: 'message', data: ' ünï' },
    { lastId: '', event: 'message', data: '' },
  ];

  it.each(['\n', '\r\n', '\r'])(
    'are the same however they come in pieces, with %j at the end of lines',
    async (end) => {
      const text = [
        'id: 1',
        'event:a',
        'data: one',
        'data:two',
        '',
        ': hello',
        'id:2',
        'data:  ünï',
        'other: x',
        '',
        'id',
        'data',
        '',
        'data: cut',
      ]
        .map((line) => line + end)
        .join('');
      const bytes = new TextEncoder().encode(text);
      for (const size of [1, 2, 3, 7, bytes.length]) {
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.slice(index * size, (index + 1) * size),
        );
        expect(await all(serverSentEvents(streamOf(pieces)))).toEqual(ALL);
      }
    },
  );
});

function streamOf(pieces: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}
