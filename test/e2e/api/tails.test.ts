import { readFile } from 'node:fs/promises';
import { EventSource } from 'eventsource';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startHub, type TestHub } from '../support/index.ts';

/** Tails as a page in a browser has them: an EventSource and a WebSocket with a token, on a real `wrangler dev`. */

const ORIGIN = 'https://shop.example';
let hub: TestHub;

beforeAll(async () => {
  hub = await startHub({ vars: { CORS_ORIGINS: ORIGIN } });
});
afterAll(() => hub.stop());

async function tokenFor(scope: string, expiresIn = '1h'): Promise<string> {
  const answer = await hub.api.request('POST', '/v1/tokens', { json: { scopes: [scope], expiresIn } });
  expect(answer.status).toBe(201);
  const { token }: { token: string } = JSON.parse(answer.text);
  return token;
}

interface Told {
  sequences: number[];
  lastWords: { code: string; after: number }[];
  /** Statuses of the answers. */
  answers: number[];
}

/** A page that listens to these types. */
function openPage(topic: string, query: string, types: string[]): { source: EventSource; told: Told } {
  const told: Told = { sequences: [], lastWords: [], answers: [] };
  const source = new EventSource(`${hub.url}/v1/topics/${topic}/events${query}`, {
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      told.answers.push(response.status);
      return response;
    },
  });
  for (const type of types) {
    source.addEventListener(type, ({ data, lastEventId }) => {
      const { sequence }: { sequence: string } = JSON.parse(data);
      expect(Number(sequence)).toBe(Number(lastEventId));
      told.sequences.push(Number(sequence));
    });
  }
  source.addEventListener('millrace.closed', ({ data }) => told.lastWords.push(JSON.parse(data)));
  return { source, told };
}

function openSocket(topic: string, query: string) {
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/v1/topics/${topic}/events${query}`);
  const sequences: number[] = [];
  const closes: { code: number; reason: string }[] = [];
  socket.addEventListener('message', ({ data }) => {
    if (data !== 'pong') sequences.push(Number(JSON.parse(String(data)).sequence));
  });
  socket.addEventListener('close', ({ code, reason }) => closes.push({ code, reason }));
  return { socket, sequences, closes };
}

const publish = (topic: string, ...types: string[]) =>
  hub.api.publish(
    topic,
    types.map((type) => ({ type })),
  );
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe('P2 tails', () => {
  it('an EventSource with a token gets the range and what comes, and what was missed while the hub was dead', async () => {
    await publish('paid', 'order.created', 'order.paid');
    const { source, told } = openPage('paid', `?token=${await tokenFor('read:paid')}`, ['order.created', 'order.paid']);
    await eventually('the range', () => told.sequences.length === 2);
    await publish('paid', 'order.paid');
    await eventually('what came', () => told.sequences.length === 3);
    await hub.kill9();
    await hub.start();
    await publish('paid', 'order.created', 'order.paid');
    await eventually('what was missed', () => told.sequences.length === 5);
    await publish('paid', 'order.paid');
    await eventually('what comes again', () => told.sequences.length === 6);
    expect(told.sequences).toEqual(upTo(6));
    source.close();
  });

  it('a WebSocket gets the same, and goes on with after= where it was when the hub died', async () => {
    await publish('live', 'a', 'b');
    const token = await tokenFor('read:live');
    const first = openSocket('live', `?token=${token}`);
    await eventually('the range', () => first.sequences.length === 2);
    await publish('live', 'c');
    await eventually('what came', () => first.sequences.length === 3);
    await hub.kill9();
    await eventually('the end', () => first.closes.length === 1);
    await hub.start();
    await publish('live', 'd');
    const second = openSocket('live', `?token=${token}&after=${first.sequences.at(-1)}`);
    await publish('live', 'e');
    await eventually('the rest', () => second.sequences.length === 2);
    expect([...first.sequences, ...second.sequences]).toEqual(upTo(5));
    second.socket.close();
  });

  it('a range that ends does so for good', async () => {
    await publish('ends', 'a', 'b', 'c');
    const token = await tokenFor('read:ends');
    const { source, told } = openPage('ends', `?until=2&token=${token}`, ['a', 'b', 'c']);
    await eventually('the EventSource stays away', () => source.readyState === EventSource.CLOSED);
    expect(told).toEqual({ sequences: [1, 2], lastWords: [{ code: 'done', after: 2 }], answers: [200, 204] });
    const { sequences, closes } = openSocket('ends', `?until=2&token=${token}`);
    await eventually('the WebSocket is closed', () => closes.length === 1);
    expect([sequences, closes]).toEqual([[1, 2], [{ code: 1000, reason: '{"code":"done","after":2}' }]]);
  });

  it('a topic that is deleted ends its tails', async () => {
    await publish('gone', 'a');
    const token = await tokenFor('read:gone');
    const { source, told } = openPage('gone', `?token=${token}`, ['a']);
    const { closes, sequences } = openSocket('gone', `?token=${token}`);
    await eventually('both are there', () => told.sequences.length === 1 && sequences.length === 1);
    expect((await hub.api.request('DELETE', '/v1/topics/gone')).status).toBe(204);
    await eventually('both have ended', () => told.lastWords.length === 1 && closes.length === 1);
    expect(told.lastWords).toEqual([{ code: 'unknown-topic', after: 1 }]);
    expect(closes).toEqual([{ code: 4404, reason: '{"code":"unknown-topic","after":1}' }]);
    await eventually('the EventSource stays away', () => source.readyState === EventSource.CLOSED);
  });
});

describe('the WebSocket of docs/tails.md', () => {
  it.each([
    { events: 300, characters: 30_000 },
    { events: 2_000, characters: 10 },
  ])('keeps its window open: $events events of $characters characters', async ({ events, characters }) => {
    const topic = `window-${events}`;
    const data = 'x'.repeat(characters);
    for (let sent = 0; sent < events; sent += 50) {
      await hub.api.publish(
        topic,
        Array.from({ length: Math.min(50, events - sent) }, () => ({ type: 'a', data })),
      );
    }
    const page = await readFile(new URL('../../../docs/tails.md', import.meta.url), 'utf8');
    const code = /```js\n(const socket = .*?)```/s.exec(page)?.[1] ?? '';
    const here = code
      .replace('wss://hub.example.com', hub.url.replace('http', 'ws'))
      .replace(/orders|after=41/g, (text) => (text === 'orders' ? topic : 'after=0'));
    const handled: number[] = [];
    const ends: string[] = [];
    const open = new Function('token', 'handle', 'resume', `${here}; return socket;`);
    const socket: WebSocket = open(
      await tokenFor(`read:${topic}`),
      ({ sequence }: { sequence: string }) => handled.push(Number(sequence)),
      (_: number, reason: string) => ends.push(reason),
    );
    await eventually('all of it', () => handled.length === events);
    expect([handled, ends]).toEqual([upTo(events), []]);
    socket.close();
  });
});

describe('P7 tokens', () => {
  it('that expire in the middle of a stream end it, and open none any more', async () => {
    await publish('brief', 'a');
    const token = await tokenFor('read:brief', '15s');
    const { source, told } = openPage('brief', `?token=${token}`, ['a']);
    const { closes } = openSocket('brief', `?token=${token}`);
    await eventually('both have ended', () => told.lastWords.length === 1 && closes.length === 1);
    expect(told.lastWords).toEqual([{ code: 'expired-key', after: 1 }]);
    expect(closes).toEqual([{ code: 4401, reason: '{"code":"expired-key","after":1}' }]);
    await eventually('the EventSource stays away', () => source.readyState === EventSource.CLOSED);
    expect(told.answers.at(-1)).toBe(401);
  });

  it('reach what a page of a named origin may ask', async () => {
    await publish('cors', 'a');
    const url = `${hub.url}/v1/topics/cors/events?token=${await tokenFor('read:cors')}`;
    const answer = await fetch(url, { headers: { origin: ORIGIN } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    const other = await fetch(url, { headers: { origin: 'https://other.example' } });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });
});
