import { get, type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type Running, startHub } from '../../../bench/runtime.ts';
import { eventually } from '../support/index.ts';

/** Many readers of one topic, slow ones among them, while its log dies and hibernates. Miniflare, and real connections. */

const TAILS = 1_000;
const SOCKETS = 20;
const EVENTS = 500;
const EVENTS_A_SECOND = 100;

let hub: Running;
const authorization = `Bearer ${ADMIN_KEY}`;

beforeAll(async () => {
  hub = await startHub('src/worker.ts');
});
afterAll(() => hub.stop());

const url = (path: string) => `http://127.0.0.1:${hub.port}${path}`;

/** On a connection of its own: workerd closes idle ones when it likes. */
function send(method: string, path: string, body?: unknown): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization, 'content-type': 'application/json' };
    const sent = request(url(path), { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        response.statusCode !== undefined && response.statusCode < 300 ? resolve(text) : reject(new Error(text)),
      );
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function publish(topic: string, events: object[]): Promise<void> {
  await send('POST', `/v1/topics/${topic}/events`, events);
}

/** A topic with one event that has nothing left to tell anybody: while its alarm runs, an object can't be evicted. */
async function quietTopic(topic: string): Promise<void> {
  await publish(topic, [{ type: 'first' }]);
  await eventually('it was told of', async () => {
    const told = await send('GET', '/v1/topics/millrace.system/events?limit=1000').catch(() => '');
    return told.includes(`"topic":"${topic}"`);
  });
  await hub.evictLog(topic, 'hibernate');
  await send('GET', `/v1/topics/${topic}`);
}

/** What a reader has seen: a sequence after the other, or the first that was not the next. */
class Seen {
  last: number;
  wrong: string | null = null;

  constructor(after: number) {
    this.last = after;
  }

  add(sequence: number): void {
    if (sequence !== this.last + 1) this.wrong ??= `${sequence} after ${this.last}`;
    this.last = sequence;
  }
}

/** A reader of server-sent events, on a connection of its own. */
class StreamReader {
  readonly seen: Seen;
  readonly response: IncomingMessage;
  lastWord: { code: string; after: number } | null = null;
  ended = false;
  #rest = '';

  private constructor(response: IncomingMessage, after: number) {
    this.response = response;
    this.seen = new Seen(after);
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#take(text));
    response.on('close', () => {
      this.ended = true;
    });
  }

  static open(topic: string, query: string, after: number): Promise<StreamReader> {
    return new Promise((resolve, reject) => {
      const headers = { authorization, accept: 'text/event-stream' };
      get(url(`/v1/topics/${topic}/events${query}`), { headers, agent: false }, (response) =>
        response.statusCode === 200
          ? resolve(new StreamReader(response, after))
          : reject(new Error(`The stream was refused with ${response.statusCode}.`)),
      ).on('error', reject);
    });
  }

  close(): void {
    this.response.destroy();
  }

  #take(text: string): void {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith('id: ') && block.includes('\ndata: {"specversion"'))
        this.seen.add(Number.parseInt(block.slice(4), 10));
      const word = /^event: millrace\.closed\ndata: (.*)$/m.exec(block)?.[1];
      if (word !== undefined) this.lastWord = JSON.parse(word);
    }
  }
}

function openSocket(topic: string, query: string, token: string, seen: Seen): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${hub.port}/v1/topics/${topic}/events${query}&token=${token}`);
  socket.addEventListener('message', ({ data }) => {
    const { sequence }: { sequence: string } = JSON.parse(String(data));
    seen.add(Number(sequence));
    if (Number(sequence) % 100 === 0) socket.send(sequence);
  });
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => resolve(socket));
    socket.addEventListener('error', () => reject(new Error('The WebSocket was refused.')));
  });
}

async function newToken(topic: string): Promise<string> {
  const { token }: { token: string } = JSON.parse(await send('POST', '/v1/tokens', { scopes: [`read:${topic}`] }));
  return token;
}

describe('tails', () => {
  it(`P2 P6 ${TAILS} on one topic at ${EVENTS_A_SECOND} events/s all see every event in order, whoever is slow`, async () => {
    const topic = 'crowd';
    await publish(topic, [{ type: 'first' }]);
    const readers: StreamReader[] = [];
    while (readers.length < TAILS - SOCKETS) {
      const some = Array.from({ length: 50 }, () => StreamReader.open(topic, '?from=latest', 1));
      readers.push(...(await Promise.all(some)));
    }
    const token = await newToken(topic);
    const seen = Array.from({ length: SOCKETS }, () => new Seen(1));
    const sockets = await Promise.all(seen.map((one) => openSocket(topic, '?from=latest', token, one)));
    // These take nothing until the others are done.
    const slow = readers.slice(0, 5);
    for (const { response } of slow) response.pause();

    const startedAt = Date.now();
    let slowest = 0;
    for (let n = 0; n < EVENTS; n += 1) {
      const due = startedAt + (n * 1_000) / EVENTS_A_SECOND;
      if (due > Date.now()) await new Promise((resolve) => setTimeout(resolve, due - Date.now()));
      const before = Date.now();
      await publish(topic, [{ type: 'tick', data: { n, at: before, text: 'x'.repeat(150) } }]);
      slowest = Math.max(slowest, Date.now() - before);
    }
    const last = EVENTS + 1;
    const all = [...readers.slice(5).map((reader) => reader.seen), ...seen];
    await eventually('all have all', () => all.every((one) => one.last === last), 60_000);
    console.info(
      `${TAILS} tails had ${EVENTS} events ${Date.now() - startedAt} ms after the first; the slowest publish took ${slowest} ms`,
    );
    for (const { response } of slow) response.resume();
    const late = slow.map((reader) => reader.seen);
    await eventually('the slow ones too', () => late.every((one) => one.last === last), 60_000);
    expect([...all, ...late].flatMap(({ wrong }) => wrong ?? [])).toEqual([]);
    for (const reader of readers) reader.close();
    for (const socket of sockets) socket.close();
  });

  it('P2 outlive hibernations of the log, and its death', async () => {
    const topic = 'mortal';
    await quietTopic(topic);
    const readers: StreamReader[] = [];
    while (readers.length < 5) {
      const reader = await StreamReader.open(topic, '', 0);
      await eventually('the reader has the first', () => reader.seen.last === 1);
      readers.push(reader);
    }
    let last = 1;
    const more = async (count: number) => {
      await publish(
        topic,
        Array.from({ length: count }, () => ({ type: 'more' })),
      );
      last += count;
    };
    // Its death last: the local runtime does not let go of an object that several have connected to at once.
    for (const how of ['hibernate', 'hibernate', 'close'] as const) {
      await eventually('all have all', () => readers.every(({ seen }) => seen.last === last));
      await hub.evictLog(topic, how);
      await more(3);
    }
    for (let n = 0; n < 50; n += 1) await more(1);
    await eventually('all have all', () => readers.every(({ seen }) => seen.last === last));
    expect(readers.flatMap(({ seen }) => seen.wrong ?? [])).toEqual([]);
    for (const reader of readers) reader.close();
  });

  it('P6 a reader that takes nothing is closed, with the sequence to go on from, and nothing is lost', async () => {
    const topic = 'stalled';
    const data = 'x'.repeat(500_000);
    const count = 60;
    for (let n = 0; n < count; n += 1) await publish(topic, [{ type: 'big', data }]);
    const reader = await StreamReader.open(topic, '', 0);
    reader.response.pause();
    // Nobody sees from outside when the hub has given up: it has, once nothing more went out for 30 s.
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    reader.response.resume();
    await eventually('the stream is closed', () => reader.ended, 30_000);
    expect(reader.lastWord).toEqual({ code: 'too-slow', after: reader.seen.last });
    expect(reader.seen.last).toBeLessThan(count);
    const again = await StreamReader.open(topic, `?after=${reader.seen.last}`, reader.seen.last);
    await eventually('the rest came', () => again.seen.last === count, 30_000);
    expect([reader.seen.wrong, again.seen.wrong]).toEqual([null, null]);
    again.close();
  });
});
