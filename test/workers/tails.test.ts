import { env, SELF } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';

/** Tails in workerd: HTTP, the log's object and its sockets together. */

const PATIENCE_MS = 20_000;
const HUB = 'https://hub.example.com';
const AUTHORIZATION = { authorization: `Bearer ${env.ADMIN_KEY}` };

async function publish(topic: string, ...types: string[]): Promise<void> {
  const response = await SELF.fetch(`${HUB}/v1/topics/${topic}/events`, {
    method: 'POST',
    headers: { ...AUTHORIZATION, 'content-type': 'application/json' },
    body: JSON.stringify(types.map((type) => ({ type }))),
  });
  expect(response.status).toBe(201);
}

/** A reader of server-sent events, who takes what has come up to a text. */
class Stream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = '';

  constructor(response: Response) {
    expect(response.status).toBe(200);
    if (response.body === null) throw new Error('There is no body.');
    this.#reader = response.body.getReader();
  }

  static async open(topic: string, query = '', headers: Record<string, string> = {}): Promise<Stream> {
    const url = `${HUB}/v1/topics/${topic}/events${query}`;
    return new Stream(
      await SELF.fetch(url, { headers: { ...AUTHORIZATION, accept: 'text/event-stream', ...headers } }),
    );
  }

  async until(wanted: string): Promise<string> {
    const end = Date.now() + PATIENCE_MS;
    while (!this.#text.includes(wanted)) {
      const { done, value } = await this.#reader.read();
      if (done || Date.now() > end) throw new Error(`${wanted} did not come, but ${this.#text}`);
      this.#text += new TextDecoder().decode(value);
    }
    const at = this.#text.indexOf(wanted) + wanted.length;
    const before = this.#text.slice(0, at);
    this.#text = this.#text.slice(at);
    return before;
  }

  /** Everything to the end. */
  async rest(): Promise<string> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return this.#text;
      this.#text += new TextDecoder().decode(value);
    }
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function openSocket(
  topic: string,
  query = '',
): Promise<{ socket: WebSocket; frames: string[]; closed: Promise<CloseEvent> }> {
  const response = await SELF.fetch(`${HUB}/v1/topics/${topic}/events${query}`, {
    headers: { ...AUTHORIZATION, upgrade: 'websocket' },
  });
  expect(response.status).toBe(101);
  expect(response.headers.get('x-request-id')).not.toBeNull();
  const socket = response.webSocket;
  if (socket === null) throw new Error('There is no socket.');
  const frames: string[] = [];
  socket.addEventListener('message', ({ data }) => void frames.push(String(data)));
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
  socket.accept();
  return { socket, frames, closed };
}

const numbers = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
describe('tails in workerd', () => {
  it('P2 server-sent events: the range, then what comes', async () => {
    await publish('sse', 'a', 'b');
    const stream = await Stream.open('sse');
    expect(numbers(await stream.until('"sequence":"0000000000000002"'))).toEqual([1, 2]);
    await publish('sse', 'c');
    expect(await stream.until('"sequence":"0000000000000003"')).toContain('event: c\n');
    await stream.close();
  });

  it('P2 many readers of the same: each has all of it', async () => {
    await publish('crowd', 'a');
    const streams = await Promise.all(Array.from({ length: 20 }, () => Stream.open('crowd', '?from=latest')));
    await publish('crowd', 'b', 'c');
    await publish('crowd', 'd');
    const texts = await Promise.all(streams.map((stream) => stream.until('"sequence":"0000000000000004"')));
    expect(texts.map(numbers)).toEqual(streams.map(() => [1, 2, 3, 4]));
    expect(new Set(texts.map((text) => text.slice(text.indexOf('id: 2')))).size).toBe(1);
    await Promise.all(streams.map((stream) => stream.close()));
  });

  it('P2 a WebSocket: the same, one event a frame', async () => {
    await publish('ws', 'a', 'b');
    const { socket, frames, closed } = await openSocket('ws');
    await expect.poll(() => frames.length, { timeout: PATIENCE_MS }).toBe(2);
    await publish('ws', 'c');
    await expect
      .poll(() => frames.map((frame) => JSON.parse(frame).type), { timeout: PATIENCE_MS })
      .toEqual(['a', 'b', 'c']);
    socket.send('ping');
    await expect.poll(() => frames.at(-1), { timeout: PATIENCE_MS }).toBe('pong');
    socket.close(1000, 'enough');
    await closed;
  });
});
