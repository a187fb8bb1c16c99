import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { urlRules } from '../../src/deliveries/url-rules.ts';
import { sendWebhook, type WebhookPorts } from '../../src/deliveries/webhook.ts';
import { event, SECRET, target } from './consumer-bench.ts';

/** Against real receivers over real sockets, through Node's own fetch. */

/** Of a receiver that keeps to it, and of one that has to run into it. */
const TIMEOUT_MS = 20_000;
const SHORT_TIMEOUT_MS = 300;

const ports: WebhookPorts = {
  fetch: (url, init) => fetch(url, init),
  clock: { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) },
  guard: { check: async (url) => urlRules({ allowHosts: '127.0.0.1', hubHosts: '' }).check(url) },
  version: '9.9.9',
};

interface Receiver {
  url: string;
  requests: { headers: Record<string, string>; body: string }[];
  /** Connections that the hub has closed, or that are closed for another reason. */
  closed: number;
  stop: () => Promise<void>;
}

let running: Receiver[] = [];

afterEach(async () => {
  await Promise.all(running.map((receiver) => receiver.stop()));
  running = [];
});

async function receiver(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Receiver> {
  const server = createServer(async (request, response) => {
    response.on('close', () => {
      state.closed += 1;
    });
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    state.requests.push({ headers, body });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The receiver has no port.');
  const state: Receiver = {
    url: `http://127.0.0.1:${address.port}/hook`,
    requests: [],
    closed: 0,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  running.push(state);
  return state;
}

function send(url: string, timeoutMs = TIMEOUT_MS, clock = ports.clock) {
  return sendWebhook('billing', target({ url, timeoutMs }), event(1), { ...ports, clock });
}

const isClosed = (one: Receiver) => vi.waitFor(() => expect(one.closed).toBe(1), TIMEOUT_MS);

describe('a real receiver', () => {
  it('gets what standardwebhooks verifies', async () => {
    const well = await receiver((_request, response) => response.end('thanks'));
    expect(await send(well.url)).toMatchObject({ kind: 'delivered', status: 200, response: 'thanks' });
    const [request] = well.requests;
    expect(request?.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(new Webhook(SECRET).verify(request?.body ?? '', request?.headers ?? {})).toMatchObject({ id: 'e1' });
  });

  it('that resets the connection is a network failure that says so', async () => {
    const rude = await receiver((request) => request.socket.resetAndDestroy());
    expect(await send(rude.url)).toMatchObject({
      kind: 'failed',
      outcome: 'network',
      status: null,
      error: expect.stringMatching(/ECONNRESET|closed/),
    });
  });

  it('that is not there is a network failure', async () => {
    const gone = await receiver(() => {});
    await gone.stop();
    expect(await send(gone.url)).toMatchObject({ outcome: 'network', error: expect.stringContaining('ECONNREFUSED') });
  });

  it('that never answers costs its timeout, and its connection is closed', async () => {
    const silent = await receiver(() => {});
    expect(await send(silent.url, SHORT_TIMEOUT_MS)).toMatchObject({ kind: 'failed', outcome: 'timeout' });
    await isClosed(silent);
  });

  it('that sends its headers one by one costs its timeout', async () => {
    const slow = await receiver((request) => {
      request.socket.write('HTTP/1.1 200 OK\r\n');
      const drip = setInterval(() => request.socket.write(`x-${Date.now()}: 1\r\n`), 50);
      request.socket.on('close', () => clearInterval(drip));
    });
    expect(await send(slow.url, SHORT_TIMEOUT_MS)).toMatchObject({ kind: 'failed', outcome: 'timeout' });
  });

  it('with an endless body is delivered at once, and its connection is closed', async () => {
    const endless = await receiver((_request, response) => {
      const chunk = 'x'.repeat(65_536);
      const pour = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', pour);
      pour();
    });
    expect(await send(endless.url)).toMatchObject({ kind: 'delivered', status: 200, response: 'x'.repeat(1_024) });
    await isClosed(endless);
  });

  it('whose body drips is delivered at the timeout, and its connection is closed', async () => {
    const dripped = Promise.withResolvers<void>();
    const dripping = await receiver((_request, response) => {
      response.flushHeaders();
      let drops = 0;
      const drip = setInterval(() => {
        response.write('x');
        drops += 1;
        if (drops === 10) dripped.resolve();
      }, 50);
      response.on('close', () => clearInterval(drip));
    });
    // The time is over when so much has come.
    const clock = { ...ports.clock, sleep: () => dripped.promise };
    expect(await send(dripping.url, SHORT_TIMEOUT_MS, clock)).toMatchObject({
      kind: 'delivered',
      status: 200,
      response: expect.stringMatching(/^x+$/),
    });
    await isClosed(dripping);
  });

  it('that redirects is not followed', async () => {
    const elsewhere = await receiver((_request, response) => response.end());
    const redirecting = await receiver((_request, response) =>
      response.writeHead(307, { location: elsewhere.url }).end(),
    );
    expect(await send(redirecting.url)).toMatchObject({ kind: 'failed', status: 307 });
    expect(elsewhere.requests).toEqual([]);
  });

  it('that answers what is not HTTP is a network failure', async () => {
    const babbling = await receiver((request) => request.socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect(await send(babbling.url)).toMatchObject({ kind: 'failed', outcome: 'network' });
  });
});
