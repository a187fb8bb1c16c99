import { env, SELF } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { subscriptionName } from '../../src/object-names.ts';
import { SubscriptionObject } from '../../src/worker.ts';

/** The deliveries of an event as a stream in workerd: HTTP, objects and queues together; only the receiver is faked. */

const PATIENCE_MS = 20_000;
const EVENT = JSON.stringify({ type: 'order.created' });

let answer = 200;

beforeEach(() => {
  answer = 200;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('thanks', { status: answer }));
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const response = await SELF.fetch(`https://hub.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(response.status).toBeLessThan(300);
  return response;
}

/** A paused subscription to a topic of its name, and an event in it. */
async function waiting(name: string): Promise<void> {
  const retry = { schedule: ['10s'], jitter: 0 };
  await call('PUT', `/v1/subscriptions/${name}`, { topics: [name], retry, delivery: { url: 'http://localhost:9/' } });
  await call('POST', `/v1/subscriptions/${name}/pause`);
  await call('POST', `/v1/topics/${name}/events`, { type: 'order.created' });
}

const streamOf = (topic: string) =>
  SELF.fetch(`https://hub.example.com/v1/topics/${topic}/events/1/deliveries`, {
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, accept: 'text/event-stream' },
  });

/** Reads until a text has come. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array> | undefined, wanted: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (let text = ''; !text.includes(wanted); ) {
    const part = await reader?.read();
    if (part?.value === undefined || Date.now() > end) throw new Error(`${wanted} did not come, but ${text}`);
    text += new TextDecoder().decode(part.value);
  }
}

describe('P8: the deliveries of an event as a stream, in workerd', () => {
  it('bring each change as it comes, and end when none is open', async () => {
    await waiting('stream-a');
    const reader = (await streamOf('stream-a')).body?.getReader();
    await readUntil(reader, '"status":"pending"');
    await call('POST', '/v1/subscriptions/stream-a/resume');
    await readUntil(reader, '"status":"delivered"');
    await readUntil(reader, 'id: settled');
    expect(await reader?.read()).toMatchObject({ done: true });
  });

  it('ask nothing more of a subscription once the reader has hung up', async () => {
    const asked = vi.spyOn(SubscriptionObject.prototype, 'deliveryOtherThan');
    answer = 500;
    await waiting('stream-b');
    const reader = (await streamOf('stream-b')).body?.getReader();
    await readUntil(reader, '"status":"pending"');
    await vi.waitUntil(() => asked.mock.calls.length === 1, { timeout: PATIENCE_MS });
    await reader?.cancel();
    await call('POST', '/v1/subscriptions/stream-b/resume');
    // Another that waits there is told of every change; when it knows of the last, so would the stream.
    const subscription = env.SUBSCRIPTION.getByName(subscriptionName('stream-b'));
    const request = { v: 1, topic: 'stream-b', sequence: 1, json: EVENT } as const;
    let known = await subscription.delivery('stream-b', 1, EVENT);
    while (known.status !== 'retrying') {
      known = await subscription.deliveryOtherThan({ ...request, known, waitMs: 1_000 });
    }
    await subscription.deliveryOtherThan({ ...request, known, waitMs: 200 });
    const byStream = asked.mock.calls.filter(([{ waitMs }]) => waitMs > 1_000);
    expect(
      byStream.map(
        ([
          {
            known: { status },
          },
        ]) => status,
      ),
    ).toEqual(['pending']);
  });
});
