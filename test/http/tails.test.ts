import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serve } from '../../src/http/app.ts';
import { tailSocket } from '../../src/http/tail-socket.ts';
import { TAIL_LIFE_MS, TAIL_STALL_MS } from '../../src/tails/limits.ts';
import type { TailSteps } from '../../src/tails/tail.ts';
import { Turns } from '../../src/tails/turns.ts';
import { type FakeSocket, fakeSocketPair } from '../support/fake-sockets.ts';
import { ADMIN_KEY, WholeHub } from './whole-hub.ts';

/** Tails over the interface, a real log and sockets in memory, on a clock that the tests move. */

const authorization = `Bearer ${ADMIN_KEY}`;
let hub: WholeHub;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  hub = new WholeHub();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets time pass, with all that follows from it. */
async function pass(ms: number): Promise<void> {
  for (const end = Date.now() + ms; ; ) {
    for (let times = 0; times < 5; times += 1) await new Promise((resolve) => setImmediate(resolve));
    if (Date.now() >= end) return;
    await vi.advanceTimersByTimeAsync(Math.min(end - Date.now(), 250));
  }
}

async function publish(...types: string[]): Promise<void> {
  const publishing = hub.call('POST', '/v1/topics/orders/events', { body: types.map((type) => ({ type })) });
  await pass(100);
  expect((await publishing).status).toBe(201);
}

interface Block {
  id?: string;
  event?: string;
  data?: string;
  comment?: true;
}

/** A reader of server-sent events that can stop reading. */
class Stream {
  readonly blocks: Block[] = [];
  ended = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  reading = true;

  constructor(response: Response) {
    if (response.body === null) throw new Error('There is no body.');
    this.#reader = response.body.getReader();
    void this.#read();
  }

  async #read(): Promise<void> {
    while (this.reading) {
      const { done, value } = await this.#reader.read();
      if (done) {
        this.ended = true;
        return;
      }
      for (const text of new TextDecoder().decode(value).split('\n\n'))
        if (text !== '') this.blocks.push(blockOf(text));
    }
  }

  goOn(): void {
    this.reading = true;
    void this.#read();
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }

  get sequences(): number[] {
    return this.blocks.flatMap(({ id, event }) =>
      event === undefined || event === 'millrace.closed' ? [] : Number(id),
    );
  }

  get lastWord(): unknown {
    const { event, data } = this.blocks.at(-1) ?? {};
    return event === 'millrace.closed' ? JSON.parse(data ?? '') : null;
  }
}

function blockOf(text: string): Block {
  const block: Block = {};
  for (const line of text.split('\n')) {
    const [name = '', value = ''] = line.split(/: ?(.*)/s);
    if (name === '') block.comment = true;
    if (name === 'id' || name === 'event' || name === 'data') block[name] = value;
  }
  return block;
}

async function request(query = '', headers: Record<string, string> = {}): Promise<Response> {
  const url = `http://hub.test/v1/topics/orders/events${query}`;
  return serve(new Request(url, { headers: { authorization, accept: 'text/event-stream', ...headers } }), hub);
}

async function open(query = '', headers: Record<string, string> = {}): Promise<Stream> {
  const response = await request(query, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  const stream = new Stream(response);
  await pass(10);
  return stream;
}

async function openSocket(query = ''): Promise<FakeSocket> {
  const response = await request(query, { upgrade: 'websocket' });
  expect(response.headers.get('x-status')).toBe('101');
  const socket = hub.sockets.at(-1);
  if (socket === undefined) throw new Error('No socket was opened.');
  await pass(10);
  return socket;
}

const sequencesOf = (socket: FakeSocket) =>
  socket.received.flatMap((text) => (text === 'pong' ? [] : Number(JSON.parse(text).sequence)));

describe('P2 a tail', () => {
  it('is the range, then what comes, in order, and from latest what comes alone', async () => {
    await publish('a', 'b');
    const [all, live] = [await open(), await open('?from=latest')];
    await publish('c');
    await publish('d', 'e');
    expect(all.sequences).toEqual([1, 2, 3, 4, 5]);
    expect(live.sequences).toEqual([3, 4, 5]);
    expect(all.blocks.find(({ id }) => id === '3')).toMatchObject({ event: 'c' });
    expect(JSON.parse(all.blocks.find(({ id }) => id === '3')?.data ?? '')).toMatchObject({
      specversion: '1.0',
      type: 'c',
      topic: 'orders',
      sequence: '0000000000000003',
    });
  });

  it.each([
    ['?after=2', [3, 4, 5, 6]],
    ['?from=4', [4, 5, 6]],
    ['?from=6', [6]],
    ['?type=a', [1, 4]],
    ['?type=a&type=b&after=1', [2, 4, 5]],
    ['?subject=none', []],
    ["?filter=type%20%3D%3D%20'b'", [2, 5]],
    ['?limit=2', [1, 2]],
    ['?limit=4', [1, 2, 3, 4]],
    ['?until=2', [1, 2]],
    ['?until=5&type=c', [3]],
    ['?until=latest', [1, 2, 3]],
  ])('%s', async (query, expected) => {
    await publish('a', 'b', 'c');
    const [stream, socket] = [await open(query), await openSocket(query)];
    await publish('a', 'b', 'c');
    expect(stream.sequences).toEqual(expected);
    expect(sequencesOf(socket)).toEqual(expected);
    const isDone = /until|limit/.test(query);
    expect(stream.ended).toBe(isDone);
    expect(socket.closed?.code ?? null).toBe(isDone ? 1000 : null);
    if (isDone) {
      expect(stream.lastWord).toMatchObject({ code: 'done' });
      expect(JSON.parse(socket.closed?.reason ?? '')).toMatchObject({ code: 'done' });
    }
  });

  it('ends at a time that is to come', async () => {
    await publish('a');
    const until = new Date(Date.now() + 10_000).toISOString();
    const stream = await open(`?until=${until}`);
    await publish('b');
    await pass(9_000);
    expect([stream.sequences, stream.ended]).toEqual([[1, 2], false]);
    await pass(3_000);
    expect([stream.sequences, stream.ended]).toEqual([[1, 2], true]);
  });

  it('begins behind what is there, also where it ends at a time that is to come', async () => {
    await publish('a');
    const until = new Date(Date.now() + 10_000).toISOString();
    const stream = await open(`?from=latest&until=${until}`);
    await publish('b');
    await pass(12_000);
    expect([stream.sequences, stream.ended]).toEqual([[2], true]);
  });

  it('begins at a time that is to come, and leaves out what comes before', async () => {
    const since = new Date(Date.now() + 10_000).toISOString();
    await publish('a');
    const stream = await open(`?since=${since}`);
    await publish('b');
    await pass(11_000);
    await publish('c');
    expect(stream.sequences).toEqual([3]);
  });

  it('goes on behind Last-Event-ID, whatever the query says', async () => {
    await publish('a', 'b', 'c');
    const stream = await open('?from=earliest', { 'last-event-id': '2' });
    await publish('d');
    expect(stream.sequences).toEqual([3, 4]);
  });

  it('from latest says at once where that is: who breaks off before anything came misses nothing', async () => {
    await publish('a', 'b');
    const first = await open('?from=latest');
    expect(first.blocks).toEqual([{ id: '2' }]);
    await first.close();
    await publish('c');
    const second = await open('?from=latest', { 'last-event-id': '2' });
    await publish('d');
    expect([second.blocks[0], second.sequences]).toEqual([{}, [3, 4]]);
    // Any other start is where it was: `earliest` too, where that is another sequence by then.
    for (const query of ['', '?after=2', '?from=1']) expect((await open(query)).blocks[0]).toEqual({});
  });

  it.each(['?type=rare', '?subject=none'])('%s keeps up with the topic, though it is given nothing', async (query) => {
    await publish('a');
    const [stream, socket] = [await open(query), await openSocket(query)];
    for (let events = 2; events <= 20; events += 1) {
      await publish('a');
      await pass(1_000);
    }
    await pass(16_000);
    const { id } = stream.blocks.findLast((block) => block.id !== undefined) ?? {};
    expect(Number(id)).toBeGreaterThan(10);
    await pass(TAIL_LIFE_MS);
    expect([stream.sequences, stream.lastWord]).toEqual([[], { code: 'reconnect', after: Number(id) }]);
    expect([socket.received, socket.closed?.reason]).toEqual([[], JSON.stringify(stream.lastWord)]);
  });

  it('says to an EventSource that comes back to a finished range that there is no more', async () => {
    await publish('a', 'b', 'c');
    const stream = await open('?until=2');
    expect(stream.blocks.at(-1)).toMatchObject({ id: 'done', event: 'millrace.closed' });
    expect((await request('?until=2', { 'last-event-id': 'done' })).status).toBe(204);
    expect((await request('?until=2', { 'last-event-id': '2' })).status).toBe(204);
  });

  it('says so to whoever comes back after the end, not to whoever asks for a range that ends before it begins', async () => {
    await publish('a', 'b');
    await pass(1_000);
    const until = new Date().toISOString();
    await pass(1_000);
    await publish('c');
    const lastWord = { code: 1000, reason: '{"code":"done","after":2}' };
    for (const end of [until, '2', '1', 'earliest']) {
      expect([end, (await request(`?until=${end}`, { 'last-event-id': '2' })).status]).toEqual([end, 204]);
      expect([end, (await request(`?after=2&until=${end}`)).status]).toEqual([end, 204]);
      expect([end, (await openSocket(`?after=2&until=${end}`)).closed]).toEqual([end, lastWord]);
      expect([end, (await request(`?from=3&until=${end}`)).status]).toEqual([end, 400]);
    }
    expect((await open(`?until=${until}`, { 'last-event-id': '1' })).sequences).toEqual([2]);
  });

  it('counts its limit afresh on each connection', async () => {
    await publish('a', 'b', 'c', 'd');
    const stream = await open('?limit=2', { 'last-event-id': '1' });
    expect([stream.sequences, stream.ended]).toEqual([[2, 3], true]);
  });

  it('leaves out what comes before the time that it begins at, after it came back too', async () => {
    const since = new Date(Date.now() + 20_000).toISOString();
    await publish('a');
    const first = await open(`?since=${since}`);
    await pass(16_000);
    await first.close();
    const { id = '' } = first.blocks.findLast(({ comment }) => comment) ?? {};
    expect(id).toBe('1');
    const second = await open(`?since=${since}`, { 'last-event-id': id });
    await publish('b');
    await pass(10_000);
    await publish('c');
    expect([first.sequences, second.sequences]).toEqual([[], [3]]);
  });

  it('says where its reader stood, also before it gave anything', async () => {
    await publish('a', 'b');
    await pass(1_000);
    const since = new Date().toISOString();
    await pass(1_000);
    await publish('c', 'd');
    const starts: [string, number, Record<string, string>?][] = [
      ['', 0],
      ['?from=latest', 4],
      ['?from=2', 1],
      ['?after=3', 3],
      ['?after=9', 9],
      [`?since=${since}`, 2],
      ['?from=latest', 3, { 'last-event-id': '3' }],
    ];
    const unread = await Promise.all(starts.map(([query, , headers]) => request(query, headers)));
    await pass(TAIL_LIFE_MS + 1_000);
    for (const [index, response] of unread.entries()) {
      const stream = new Stream(response);
      await pass(10);
      const [query, after] = starts[index] ?? [];
      expect([query, stream.sequences, stream.lastWord]).toEqual([query, [], { code: 'reconnect', after }]);
    }
  });

  it.each([
    ['', 0, [1, 2, 3]],
    ['?from=latest', 2, [3]],
    ['?from=2', 1, [2, 3]],
    ['?after=9', 9, []],
    ['?since=2020-01-01T00:00:00Z&type=c', 0, [3]],
  ])('P2 begins where it is to while its log runs a version that does not say so: %s', async (query, start, given) => {
    await publish('a', 'b');
    const log = hub.topic('orders');
    const read = log.read.bind(log);
    vi.spyOn(log, 'read').mockImplementation(async (asked) => {
      const result = await read(asked);
      if (result.outcome !== 'page') return result;
      const { from: _, ...page } = result;
      return page;
    });
    const unread = await request(query);
    const socket = await openSocket(query);
    await publish('c');
    expect(sequencesOf(socket)).toEqual(given);
    await pass(TAIL_LIFE_MS + 1_000);
    const stream = new Stream(unread);
    await pass(10);
    expect(stream.lastWord).toEqual({ code: 'reconnect', after: start });
  });

  it('says so over a WebSocket too', async () => {
    const stop = new AbortController();
    const [reader, atHub] = fakeSocketPair();
    const steps = (async function* (): TailSteps {
      await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
      return 'done';
    })();
    const turns = new Turns(steps, stop, () => expect.fail());
    const tailing = tailSocket(atHub, turns, 41, Date.now, stop.signal, () => undefined);
    turns.end('revoked-key');
    await tailing;
    await pass(10);
    expect(reader.closed).toEqual({ code: 4401, reason: '{"code":"revoked-key","after":41}' });
  });

  it('has a comment every 15 s, and says how far a filter has come', async () => {
    await publish('a', 'a', 'a');
    const stream = await open('?type=b');
    await pass(40_000);
    const comments = stream.blocks.filter(({ comment }) => comment);
    expect(comments).toEqual([{ comment: true, id: '3' }, { comment: true }]);
  });

  it('survives the loss of its feed', async () => {
    await publish('a');
    const [stream, filtered] = [await open(), await open('?type=c')];
    hub.feeds.at(0)?.reader.breakOff();
    await publish('b');
    hub.feeds.at(1)?.log.close(4503, 'again');
    await publish('c');
    await pass(1_000);
    await publish('d', 'c');
    expect(stream.sequences).toEqual([1, 2, 3, 4, 5]);
    expect(filtered.sequences).toEqual([3, 5]);
  });

  it('notices a feed that has gone silent', async () => {
    await publish('a');
    const stream = await open();
    // The connection is gone, and nobody has noticed.
    for (const feed of hub.feeds) feed.log.peer = null;
    await publish('b');
    expect(stream.sequences).toEqual([1]);
    await pass(125_000);
    expect(stream.sequences).toEqual([1, 2]);
  });

  it('reads a frame that does not begin where the last one ended from the log', async () => {
    await publish('a');
    const stream = await open();
    await publish('b', 'c');
    hub.feeds.at(0)?.log.send('{"after":99,"through":100,"sequences":[100]}\n{"type":"nonsense"}');
    await pass(1_000);
    await publish('d');
    expect(stream.sequences).toEqual([1, 2, 3, 4]);
    expect(hub.feeds).toHaveLength(2);
  });

  it('ends with its topic', async () => {
    await publish('a');
    const [stream, socket] = [await open(), await openSocket()];
    const removal = hub.call('DELETE', '/v1/topics/orders');
    await pass(1_000);
    expect((await removal).status).toBe(204);
    expect(stream.lastWord).toEqual({ code: 'unknown-topic', after: 1 });
    expect(socket.closed).toEqual({ code: 4404, reason: '{"code":"unknown-topic","after":1}' });
  });

  it('gives up on a log that can not be reached, and says where to go on', async () => {
    await publish('a');
    const stream = await open();
    vi.spyOn(hub, 'feed').mockRejectedValue(new Error('Network connection lost.'));
    hub.feeds.at(0)?.reader.breakOff();
    await pass(60_000);
    expect(stream.lastWord).toEqual({ code: 'unavailable', after: 1 });
  });

  it('lasts an hour', async () => {
    await publish('a');
    const [stream, socket] = [await open(), await openSocket()];
    await pass(TAIL_LIFE_MS + 1_000);
    expect(stream.lastWord).toEqual({ code: 'reconnect', after: 1 });
    expect(socket.closed).toEqual({ code: 4000, reason: '{"code":"reconnect","after":1}' });
  });

  it('gives its feed back when its reader hangs up', async () => {
    await publish('a');
    const stream = await open();
    const socket = await openSocket();
    await stream.close();
    socket.close(1000, '');
    await pass(10);
    expect(hub.feeds.map(({ log }) => log.closed?.code)).toEqual([1000, 1000]);
  });

  it('is written for a second reader to be kept for further ones, and not for one that has it alone', async () => {
    await publish('a');
    const readers = [];
    for (const filter of ['', '', '', '&filter=true']) {
      const { body } = await request(`?from=latest${filter}`);
      if (body === null) throw new Error('There is no body.');
      const reader = body.getReader();
      await reader.read();
      readers.push(reader);
    }
    const reading = Promise.all(readers.map((reader) => reader.read()));
    await publish('b');
    const [first, second, third, alone] = (await reading).map(({ value }) => value);
    expect([second, third, alone]).toEqual([first, first, first]);
    expect([second === first, third === second, alone === third]).toEqual([false, true, false]);
    for (const reader of readers) await reader.cancel();
  });
});

describe('P8 a tail is refused', () => {
  it.each([
    ['?order=desc', 400, 'invalid-range'],
    ['?wait=5s', 400, 'invalid-request'],
    ['?after=1&from=2', 400, 'invalid-range'],
    ['?from=5&until=2', 400, 'invalid-range'],
    ['?from=0', 410, 'sequence-expired'],
    ['?nothing=1', 400, 'invalid-request'],
    ['?filter=((', 400, 'invalid-request'],
  ])('with %s', async (query, status, code) => {
    await publish('a');
    for (const headers of [{}, { upgrade: 'websocket' }]) {
      const answer = await request(query, headers);
      expect([answer.status, await answer.json()]).toMatchObject([status, { code }]);
    }
  });

  it.each(['x', '-1', '1.5', 'settled', '99999999999999999'])('with Last-Event-ID %s', async (id) => {
    await publish('a');
    const answer = await request('', { 'last-event-id': id });
    expect([answer.status, await answer.json()]).toMatchObject([400, { errors: [{ path: 'last-event-id' }] }]);
  });

  it('of a topic that is not there', async () => {
    expect((await request()).status).toBe(404);
    expect((await request('', { upgrade: 'websocket' })).status).toBe(404);
  });

  it('and so is an event of the type that ends one', async () => {
    const body = { type: 'millrace.closed' };
    const publishing = hub.call('POST', '/v1/topics/orders/events', { body });
    await pass(10);
    expect((await publishing).json).toMatchObject({ status: 400, errors: [{ path: 'type' }] });
  });
});

describe('P6 a reader that is too slow', () => {
  /** Some 2 MB. */
  const flood = async () => {
    for (let n = 0; n < 20; n += 1) {
      const body = { type: 'big', data: 'x'.repeat(100_000) };
      const publishing = hub.call('POST', '/v1/topics/orders/events', { body });
      await pass(20);
      await publishing;
    }
  };

  it('only lags while it takes something', async () => {
    await publish('a');
    const stream = await open();
    stream.reading = false;
    await flood();
    await pass(TAIL_STALL_MS - 10_000);
    stream.goOn();
    await pass(1_000);
    expect(stream.sequences).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
    expect(stream.ended).toBe(false);
  });

  it('is closed once it has taken nothing for 30 s, with where to go on', async () => {
    await publish('a');
    const stream = await open();
    stream.reading = false;
    await flood();
    await pass(TAIL_STALL_MS + 1_000);
    stream.goOn();
    await pass(100);
    const taken = stream.sequences.at(-1);
    expect(taken).toBeLessThan(10);
    expect([stream.lastWord, stream.ended]).toEqual([{ code: 'too-slow', after: taken }, true]);
    const again = await open(`?after=${taken}`);
    await pass(1_000);
    expect([...stream.sequences, ...again.sequences]).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
  });

  it('over a WebSocket too, if it acknowledges: what is not taken waits in the log', async () => {
    await publish('a');
    const socket = await openSocket();
    socket.send('0000000000000001');
    await pass(10);
    await flood();
    const sent = sequencesOf(socket).length;
    expect(sent).toBeLessThan(20);
    socket.send(String(sent - 5));
    await pass(1_000);
    expect(sequencesOf(socket).length).toBeGreaterThan(sent);
    await pass(TAIL_STALL_MS + 1_000);
    const after = sequencesOf(socket).at(-1);
    expect(socket.closed).toEqual({ code: 4408, reason: JSON.stringify({ code: 'too-slow', after }) });
  });

  it('over a WebSocket has to have been sent what it acknowledges', async () => {
    await publish('a', 'b');
    const socket = await openSocket('?after=1');
    // Where it begins it has been, and what it acknowledged once it may again.
    for (const text of ['1', '2', '1', '2']) socket.send(text);
    await publish('c');
    expect([sequencesOf(socket), socket.closed]).toEqual([[2, 3], null]);
    socket.send('4');
    await pass(10);
    expect(socket.closed).toEqual({ code: 4400, reason: '{"code":"invalid-acknowledgement","after":3}' });
    const other = await openSocket('?from=latest');
    other.send('9'.repeat(26));
    await pass(10);
    expect(other.closed).toEqual({ code: 4400, reason: '{"code":"invalid-acknowledgement","after":3}' });
  });

  it('over a WebSocket that acknowledges nothing is sent so much and no more', async () => {
    await publish('a');
    const data = 'x'.repeat(1_000_000);
    for (let n = 0; n < 40; n += 1) {
      const publishing = hub.call('POST', '/v1/topics/orders/events', { body: { type: 'big', data } });
      await pass(10);
      await publishing;
    }
    const socket = await openSocket();
    await pass(20_000);
    const after = sequencesOf(socket).at(-1);
    expect(after).toBeGreaterThan(30);
    expect(after).toBeLessThan(40);
    expect(socket.closed).toEqual({ code: 4000, reason: JSON.stringify({ code: 'reconnect', after }) });
  });

  it('says ping when it wants to, and what else it says is ignored', async () => {
    await publish('a');
    const socket = await openSocket();
    for (const text of ['ping', 'hello', '{"type":"order"}', '-1', '']) socket.send(text);
    await pass(10);
    await publish('b');
    expect(socket.received.filter((text) => text === 'pong')).toHaveLength(1);
    expect(sequencesOf(socket)).toEqual([1, 2]);
  });
});

describe('P7 tokens', () => {
  const make = async (body: unknown, key = ADMIN_KEY) => hub.call('POST', '/v1/tokens', { body, key });
  const keyWith = async (name: string, scopes: string[], expiresAt: string | null = null): Promise<string> =>
    (await hub.call('POST', '/v1/keys', { body: { name, scopes, expiresAt } })).json.key;
  const withToken = (query: string) => request(query, { authorization: '' });

  it('read what they say, from the header or the query, and nothing else', async () => {
    await publish('a');
    const { status, json } = await make({ scopes: ['read:orders'], expiresIn: '5m' });
    expect(status).toBe(201);
    expect(Date.parse(json.expiresAt)).toBe(Date.now() + 300_000);
    const { token } = json;
    const stream = new Stream(
      await serve(
        new Request(`http://hub.test/v1/topics/orders/events?token=${token}`, {
          headers: { accept: 'text/event-stream' },
        }),
        hub,
      ),
    );
    await publish('b');
    expect(stream.sequences).toEqual([1, 2]);
    for (const [method, path, expected] of [
      ['GET', '/v1/topics/orders/events', 200],
      ['GET', '/v1/topics/orders/events/1/deliveries', 200],
      ['GET', '/v1/topics/invoices/events', 403],
      ['POST', '/v1/topics/orders/events', 403],
      ['GET', '/v1/keys', 403],
      ['POST', '/v1/tokens', 403],
    ] as const) {
      const body = method === 'POST' ? { type: 'x', scopes: ['read:orders'] } : undefined;
      const sent = path === '/v1/tokens' ? { scopes: ['read:orders'] } : body;
      const answer = await hub.call(method, path, { key: token, ...(sent === undefined ? {} : { body: sent }) });
      expect([path, answer.status]).toEqual([path, expected]);
      const inQuery = await hub.call(method, `${path}?token=${token}`, {
        key: null,
        ...(sent === undefined ? {} : { body: sent }),
      });
      const reads = path.includes('/events') && method === 'GET';
      expect([path, inQuery.status]).toEqual([path, reads ? expected : 401]);
    }
  });

  it.each([
    [{ scopes: [] }, 'scopes'],
    [{ scopes: ['publish:orders'] }, 'scopes[0]'],
    [{ scopes: ['admin'] }, 'scopes[0]'],
    [{ scopes: ['read:or ders'] }, 'scopes[0]'],
    [{ scopes: ['read:orders'], expiresIn: '25h' }, 'expiresIn'],
    [{ scopes: ['read:orders'], expiresIn: '0s' }, 'expiresIn'],
    [{ scopes: ['read:orders'], name: 'x' }, 'name'],
    [{}, 'scopes'],
  ])('are refused: %j', async (body, path) => {
    expect((await make(body)).json).toMatchObject({ status: 400, errors: [{ path }] });
  });

  it('are no wider than the key that makes them', async () => {
    const key = await keyWith('shop', ['read:orders.*', 'publish:>']);
    expect((await make({ scopes: ['read:orders.eu'] }, key)).status).toBe(201);
    expect((await make({ scopes: ['read:orders.*'] }, key)).status).toBe(201);
    for (const scope of ['read:>', 'read:orders', 'read:orders.>', 'read:millrace.system']) {
      expect((await make({ scopes: ['read:orders.eu', scope] }, key)).json).toMatchObject({ code: 'forbidden' });
    }
    const brief = await keyWith('brief', ['read:orders'], new Date(Date.now() + 60_000).toISOString());
    const { json } = await make({ scopes: ['read:orders'], expiresIn: '24h' }, brief);
    expect(Date.parse(json.expiresAt)).toBe(Date.now() + 60_000);
  });

  it('end their streams when they expire', async () => {
    await publish('a');
    const { json } = await make({ scopes: ['read:orders'], expiresIn: '7s' });
    const stream = await open('', { authorization: `Bearer ${json.token}` });
    await pass(6_900);
    expect(stream.ended).toBe(false);
    await pass(200);
    expect([stream.lastWord, stream.ended]).toEqual([{ code: 'expired-key', after: 1 }, true]);
    const answer = await withToken(`?token=${json.token}`);
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'unauthorized' }]);
  });

  it('die with the key that made them, and so do the streams, within 20 s', async () => {
    await publish('a');
    const key = await keyWith('shop', ['read:orders']);
    const { json } = await make({ scopes: ['read:orders'] }, key);
    const streams = [
      await open('', { authorization: `Bearer ${json.token}` }),
      await open('', { authorization: `Bearer ${key}` }),
    ];
    const deletion = hub.call('DELETE', '/v1/keys/shop');
    await pass(10);
    expect((await deletion).status).toBe(204);
    expect((await hub.call('GET', '/v1/topics/orders/events', { key: json.token })).status).toBe(401);
    await pass(20_000);
    for (const stream of streams) expect(stream.lastWord).toEqual({ code: 'revoked-key', after: 1 });
  });

  it('end with their key where an answer takes its time, too', async () => {
    await publish(...Array(600).fill('a'));
    await publish(...Array(600).fill('a'));
    await hub.call('PUT', '/v1/subscriptions/billing', { body: { topics: ['orders'], delivery: { kind: 'pull' } } });
    const key = await keyWith('shop', ['read:orders', 'subscriptions:billing']);
    const poll = hub.call('GET', '/v1/topics/orders/events?after=1200&wait=60s', { key });
    const pull = hub.call('POST', '/v1/subscriptions/billing/pull', { key, body: { wait: '60s' } });
    const lines = await request('', { authorization: `Bearer ${key}`, accept: 'application/x-ndjson' });
    const reader = lines.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    const deletion = hub.call('DELETE', '/v1/keys/shop');
    await pass(10);
    expect((await deletion).status).toBe(204);
    await expect(reader?.read()).rejects.toThrow('deleted');
    await pass(20_000);
    expect((await pull).status).toBe(401);
    await publish('b');
    expect((await poll).status).toBe(401);
  });

  it('made by the admin die with the admin key', async () => {
    const { json } = await make({ scopes: ['read:orders'] });
    hub.adminKey = 'another admin key';
    expect((await hub.call('GET', '/v1/topics/orders/events', { key: json.token })).status).toBe(401);
  });

  it('in the query are not echoed, not logged, and told to no other page', async () => {
    await publish('a');
    const { json } = await make({ scopes: ['read:orders'] });
    hub.logged.length = 0;
    for (const query of [`?token=${json.token}`, `?token=${json.token}x`, `?token=${json.token}&from=nowhere`]) {
      const answer = await request(query, { authorization: '', accept: 'application/json' });
      const bare = await serve(new Request(`http://hub.test/v1/topics/orders/events${query}`), hub);
      expect(bare.headers.get('referrer-policy')).toBe('no-referrer');
      expect(bare.headers.get('cache-control')).toBe('no-store');
      expect((await bare.text()) + (await answer.text())).not.toContain(json.token);
    }
    expect(hub.logged.length).toBeGreaterThan(0);
    expect(JSON.stringify(hub.logged)).not.toContain(json.token);
  });

  it('a key is none', async () => {
    await publish('a');
    const key = await keyWith('shop', ['read:orders']);
    for (const secret of [key, ADMIN_KEY]) {
      const bare = await serve(
        new Request(`http://hub.test/v1/topics/orders/events?token=${encodeURIComponent(secret)}`),
        hub,
      );
      expect([bare.status, await bare.json()]).toMatchObject([
        401,
        { detail: expect.stringContaining('Authorization') },
      ]);
    }
  });
});

describe('P7 pages of other origins', () => {
  const ask = (method: string, headers: Record<string, string>) =>
    serve(new Request('http://hub.test/v1/topics', { method, headers }), hub);
  const PREFLIGHT = {
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'authorization,content-type',
  };

  it('are none unless they are named', async () => {
    for (const origins of ['', 'https://other.example']) {
      hub.corsOrigins = origins;
      const answer = await ask('OPTIONS', { origin: 'https://shop.example', ...PREFLIGHT });
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      expect(answer.headers.get('access-control-allow-headers')).toBeNull();
    }
  });

  it.each([
    ['https://shop.example', 'https://shop.example'],
    ['https://a.example, https://shop.example', 'https://shop.example'],
    ['*', '*'],
  ])('may ask and read if CORS_ORIGINS is %s, never with cookies', async (origins, allowed) => {
    hub.corsOrigins = origins;
    const origin = 'https://shop.example';
    const preflight = await ask('OPTIONS', { origin, ...PREFLIGHT });
    expect(preflight.status).toBe(204);
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': allowed,
      'access-control-allow-methods': expect.stringContaining('PUT'),
      'access-control-allow-headers': 'authorization,content-type',
      'access-control-max-age': expect.any(String),
    });
    for (const headers of [{ origin }, { origin, authorization }]) {
      const answer = await ask('GET', headers);
      expect(answer.status).toBe('authorization' in headers ? 200 : 401);
      expect(answer.headers.get('access-control-allow-origin')).toBe(allowed);
      expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
      expect(answer.headers.get('vary')).toContain('origin');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });
});
