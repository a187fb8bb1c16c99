import { env, SELF } from 'cloudflare:test';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

/** Holds in workerd's own SQLite: one key fails, the others run on, and what waited comes in order. */

const PATIENCE_MS = 20_000;
const KEYS = 5;
const EVENTS = 100;

let broken = true;
let taken: { key: string; sequence: number }[] = [];

beforeEach(() => {
  broken = true;
  taken = [];
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const { subject }: { subject: string } = await request.json();
    if (broken && subject === 'k0') return new Response(null, { status: 500 });
    taken.push({ key: subject, sequence: Number(request.headers.get('millrace-sequence')) });
    return new Response(null, { status: 204 });
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

async function call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await SELF.fetch(`https://hub.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(response.ok).toBe(true);
  return response.json();
}

async function until(what: string, asked: Record<string, unknown>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const view = await call('GET', '/v1/subscriptions/in-order');
    if (Object.entries(asked).every(([field, value]) => view[field] === value)) return;
    if (Date.now() > end) throw new Error(`Not within ${PATIENCE_MS} ms: ${what}, but ${JSON.stringify(view)}`);
    await scheduler.wait(25);
  }
}

it('P2 P6: a failing key holds only itself, and is caught up with in order', async () => {
  const document = {
    topics: ['in-order'],
    ordering: 'key',
    retry: { schedule: Array.from({ length: 100 }, () => '500ms'), jitter: 0 },
    delivery: { url: 'http://localhost:9999/hook' },
  };
  await call('PUT', '/v1/subscriptions/in-order', document);
  const events = Array.from({ length: EVENTS }, (_, index) => ({ type: 't', subject: `k${index % KEYS}` }));
  await call('POST', '/v1/topics/in-order/events', events);
  const each = EVENTS / KEYS;
  await until('the others are delivered', { delivered: EVENTS - each, held: each - 1 });
  broken = false;
  await until('all are delivered', { delivered: EVENTS, held: 0, pending: 0, lag: 0 });
  for (const [key, own] of Map.groupBy(taken, (one) => one.key)) {
    const sequences = own.map(({ sequence }) => sequence);
    expect(sequences, key).toEqual(sequences.toSorted((a, b) => a - b));
    expect(sequences, key).toHaveLength(each);
  }
});
