import { describe, expect, it, vi } from 'vitest';
import { type ConsumerContext, type ConsumerOptions, consumer, Reject, Retry } from '../../src/client/worker.ts';
import { ANSWER_TIMEOUT_MS, type HubAccess } from '../../src/client/worker-hub.ts';
import type { HandedEvent, QueuedEvent } from '../../src/events/handed.ts';
import { DELIVERIES_PATH } from '../../src/events/handing-limits.ts';
import { hubBy, message, storedEvent } from './consumer-bench.ts';

const CONTEXT: ConsumerContext = { waitUntil: () => {}, props: { millrace: true } };

function handedEvent(sequence: number): HandedEvent {
  const about = { v: 1 as const, subscription: 'billing', topic: 'orders', attempt: 1, replay: null, redriven: false };
  return { ...about, sequence, event: storedEvent(sequence) };
}

function queued(sequence: number, more: Partial<QueuedEvent> = {}): QueuedEvent {
  return { ...handedEvent(sequence), sentAt: 1, ...more };
}

function made(
  handle: ConsumerOptions<unknown, unknown>['handle'],
  more: Partial<ConsumerOptions<unknown, unknown>> = {},
) {
  return consumer<unknown>({ handle, ...more });
}

describe('handle, called by the hub', () => {
  it('answers for each event what its handler did', async () => {
    const { handle } = made(({ sequence }) => {
      if (sequence === 2) throw new Retry('busy', '30s');
      if (sequence === 3) throw new Reject('no such customer');
      if (sequence === 4) throw new Error('a bug');
      return 'what a handler returns is its own affair';
    });
    expect(await handle([1, 2, 3, 4].map(handedEvent), {}, CONTEXT)).toEqual([
      { result: 'ack' },
      { result: 'retry', reason: 'busy', delay: '30s' },
      { result: 'reject', reason: 'no such customer' },
      { result: 'retry', reason: 'a bug' },
    ]);
  });

  it.each([{ message: { code: 7 } }, { message: undefined }, null])(
    'takes whatever is thrown, and goes on with the other events: an error with %j',
    async (fields) => {
      const { handle } = made(({ sequence }) => {
        if (sequence === 2) throw fields === null ? Object.create(null) : Object.assign(new Error('x'), fields);
      });
      const results = await handle([1, 2, 3].map(handedEvent), {}, CONTEXT);
      expect(results).toMatchObject([
        { result: 'ack' },
        { result: 'retry', reason: expect.any(String) },
        { result: 'ack' },
      ]);
    },
  );

  it('hands over the event, where it is from and which attempt it is', async () => {
    const seen: unknown[] = [];
    const { handle } = made((delivery, env) => seen.push([delivery, env]));
    await handle([{ ...handedEvent(7), attempt: 3, replay: 'r1', redriven: true }], 'the env', CONTEXT);
    const delivery = { event: storedEvent(7), topic: 'orders', sequence: 7, attempt: 3, replay: 'r1', redriven: true };
    expect(seen).toEqual([[delivery, 'the env']]);
  });

  it.each([Number.NaN, 0, -1, 1.5, Number.POSITIVE_INFINITY])('takes no concurrency of %d', (concurrency) => {
    expect(() => made(() => {}, { concurrency })).toThrow('concurrency must be a whole number, at least 1');
  });

  it('deals with one event after the other, or with as many at a time as it is told', async () => {
    const most = async (concurrency?: number) => {
      let now = 0;
      let max = 0;
      const options = concurrency === undefined ? {} : { concurrency };
      const { handle } = made(async () => {
        now += 1;
        max = Math.max(max, now);
        await new Promise((resolve) => setImmediate(resolve));
        now -= 1;
      }, options);
      await handle([1, 2, 3, 4, 5].map(handedEvent), {}, CONTEXT);
      return max;
    };
    expect(await most()).toBe(1);
    expect(await most(3)).toBe(3);
  });
});

describe('fetch', () => {
  const post = (body: unknown) =>
    new Request(`https://consumer${DELIVERIES_PATH}`, { method: 'POST', body: JSON.stringify(body) });

  it('takes deliveries as `handle` does', async () => {
    const response = await made(() => {}).fetch(post([handedEvent(1)]), {}, CONTEXT);
    expect(await response.json()).toEqual([{ result: 'ack' }]);
  });

  it.each([undefined, {}, { millrace: 'true' }, null])(
    'P7 takes none from a caller with the props %j',
    async (props) => {
      const handle = vi.fn();
      const response = await made(handle).fetch(post([handedEvent(1)]), {}, { waitUntil: () => {}, props });
      expect(response.status).toBe(403);
      expect(handle).not.toHaveBeenCalled();
    },
  );

  it('leaves all other requests to the Worker', async () => {
    const request = () => new Request('https://consumer/invoices');
    expect((await made(() => {}).fetch(request(), {}, CONTEXT)).status).toBe(404);
    const own = made(() => {}, { fetch: () => new Response('its own') });
    expect(await (await own.fetch(request(), {}, CONTEXT)).text()).toBe('its own');
  });
});

describe('queue', () => {
  it('acknowledges what was taken and lets the rest come again, each by itself', async () => {
    const messages = [1, 2, 3].map((sequence) => message(queued(sequence)));
    const { queue } = made(({ sequence }) => {
      if (sequence === 2) throw new Retry('busy', '90s');
      if (sequence === 3) throw new Error('a bug');
    });
    await queue({ messages }, {}, CONTEXT);
    expect(messages.map(({ did }) => did)).toEqual(['ack', 'retry after 90 s', 'retry']);
  });

  it('keeps a delay within what any way can do', async () => {
    const [one] = [message(queued(1))];
    const { queue } = made(() => {
      throw new Retry('come back tomorrow', '24h');
    });
    await queue({ messages: [one] }, {}, CONTEXT);
    expect(one.did).toBe('retry after 43200 s');
  });

  it.each([null, 'x', {}, { v: 2, subscription: 's', topic: 't', sequence: 1 }, { v: 1, topic: 't', sequence: 1 }])(
    'gives a message that is no event back to its queue: %j',
    async (body) => {
      const handle = vi.fn();
      const foreign = message(body);
      await made(handle).queue({ messages: [foreign] }, {}, CONTEXT);
      expect(foreign.did).toBe('retry');
      expect(handle).not.toHaveBeenCalled();
    },
  );

  it('reads an event that was too large for a message from the hub', async () => {
    const { event: _, ...check } = queued(9);
    const seen: unknown[] = [];
    const hub = hubBy(() => Response.json(storedEvent(9)));
    const one = message(check);
    await made(({ event }) => seen.push(event), { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    expect(seen).toEqual([storedEvent(9)]);
    expect(hub.asked).toEqual([{ method: 'GET', path: '/v1/topics/orders/events/9', key: 'Bearer k', body: null }]);
    expect(one.did).toBe('ack');
  });

  it.each([
    ['gone for good', 410, { code: 'sequence-expired', detail: 'The first sequence of orders is 10.' }, true],
    ['unknown', 404, { code: 'unknown-event', detail: 'The topic orders has no event 9.' }, true],
    ['not what answers there', 404, 'Not found.', false],
  ])('rejects a claim check only if the hub says that its event is no more: %s', async (_, status, body, rejected) => {
    const { event: _event, ...check } = queued(9, { ackId: 'a9' });
    const one = message(check);
    const handle = vi.fn();
    const hub = hubBy(({ method }) =>
      method === 'GET' ? Response.json(body, { status }) : Response.json({ results: [{ ackId: 'a9', ok: true }] }),
    );
    await made(handle, { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    const { reject = false } = JSON.parse(hub.asked.at(-1)?.body ?? '');
    expect([reject, one.did]).toEqual([rejected, 'ack']);
    expect(handle).not.toHaveBeenCalled();
  });

  it('asks its hub for nothing but what a message names', async () => {
    const { event: _, ...check } = queued(9);
    const hub = hubBy(() => Response.json(storedEvent(9)));
    const one = message({ ...check, topic: '../keys?x=' });
    await made(() => {}, { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    expect(hub.asked.map(({ path }) => path)).toEqual(['/v1/topics/..%2Fkeys%3Fx%3D/events/9']);
  });

  it('gives a claim check back while the hub is not to be had', async () => {
    const { event: _, ...check } = queued(9);
    const one = message(check);
    const hub = hubBy(() => new Response('down', { status: 503 }));
    await made(() => {}, { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    expect(one.did).toBe('retry');
    expect(hub.asked).toHaveLength(3);
  });

  it('does not wait for long for a hub that gives no answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { event: _, ...check } = queued(9);
      const one = message(check);
      let asked = 0;
      const hub = (): HubAccess => ({
        url: 'https://hub',
        key: 'k',
        fetch: (_url, { signal }) => {
          asked += 1;
          return new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
        },
      });
      const done = made(() => {}, { hub }).queue({ messages: [one] }, {}, CONTEXT);
      await vi.advanceTimersByTimeAsync(3 * ANSWER_TIMEOUT_MS + 1_000);
      expect([asked, one.did]).toEqual([3, 'retry']);
      await done;
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('queue, confirming', () => {
  const sent = (sequence: number) => message(queued(sequence, { ackId: `a${sequence}` }));
  const settles = () =>
    hubBy(({ body }) => Response.json({ results: idsIn(body).map((ackId) => ({ ackId, ok: true })) }));
  const idsIn = (body: string | null): string[] => JSON.parse(body ?? '{}').ackIds;

  /** A hub whose first answer comes when it is let. */
  const slowly = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let answers = 0;
    const hub = hubBy(async ({ body }) => {
      answers += 1;
      if (answers === 1) await promise;
      return Response.json({ results: idsIn(body).map((ackId) => ({ ackId, ok: true })) });
    });
    return { ...hub, answer: resolve };
  };
  const acksOf = (hub: ReturnType<typeof hubBy>) => hub.asked.map(({ body }) => idsIn(body));

  it('settles with the hub by ack ids, those of one outcome together, and is done with the messages', async () => {
    const hub = slowly();
    const messages = [1, 2, 3, 4, 5, 6].map(sent);
    const { queue } = made(
      ({ sequence }) => {
        if (sequence === 6) hub.answer();
        if (sequence === 3) throw new Retry('busy', '30s');
        if (sequence === 4) throw new Reject('no such customer');
        if (sequence === 5) throw new Error('a bug');
      },
      { hub: hub.access },
    );
    await queue({ messages }, {}, CONTEXT);
    expect(hub.asked.map(({ path, body }) => [path, JSON.parse(body ?? '')])).toEqual([
      ['/v1/subscriptions/billing/ack', { ackIds: ['a1'] }],
      ['/v1/subscriptions/billing/ack', { ackIds: ['a2', 'a6'] }],
      ['/v1/subscriptions/billing/nack', { ackIds: ['a3'], reason: 'busy', delay: '30s' }],
      ['/v1/subscriptions/billing/nack', { ackIds: ['a4'], reason: 'no such customer', reject: true }],
      ['/v1/subscriptions/billing/nack', { ackIds: ['a5'], reason: 'a bug' }],
    ]);
    expect(messages.map(({ did }) => did)).toEqual(Array(6).fill('ack'));
  });

  it('makes no more requests than one call of a Worker may, however differently events end', async () => {
    const hub = settles();
    const messages = Array.from({ length: 100 }, (_, index) => sent(index + 1));
    const { queue } = made(
      async ({ sequence }) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (sequence % 5 > 0) throw new Retry(`reason ${sequence % 5}`);
      },
      { hub: hub.access },
    );
    await queue({ messages }, {}, CONTEXT);
    expect(hub.asked.length).toBeGreaterThan(5);
    expect(hub.asked.length).toBeLessThanOrEqual(12 + 5);
    expect(acksOf(hub).flat().sort()).toEqual(messages.map((_, index) => `a${index + 1}`).sort());
    expect(messages.every(({ did }) => did === 'ack')).toBe(true);
  });

  it('confirms an event once it is done, whatever is still to be done of its batch', async () => {
    const hub = settles();
    const messages = [1, 2, 3].map(sent);
    const { queue } = made(
      async ({ sequence }) => {
        // Which never comes where a batch is confirmed as a whole.
        await vi.waitFor(() =>
          expect(messages.map(({ did }) => did)).toEqual([1, 2, 3].map((at) => (at < sequence ? 'ack' : 'nothing'))),
        );
      },
      { hub: hub.access },
    );
    await queue({ messages }, {}, CONTEXT);
    expect(acksOf(hub)).toEqual([['a1'], ['a2'], ['a3']]);
  });

  it('asks once at a time: what is done meanwhile goes together, and no message is done before the hub has said so', async () => {
    const hub = slowly();
    const messages = [1, 2, 3, 4].map(sent);
    const seen: unknown[] = [];
    const { queue } = made(
      ({ sequence }) => {
        seen.push([sequence, ...messages.map(({ did }) => did)]);
        if (sequence === 4) hub.answer();
      },
      { hub: hub.access, concurrency: 2 },
    );
    await queue({ messages }, {}, CONTEXT);
    expect(seen.at(-1)).toEqual([4, 'nothing', 'nothing', 'nothing', 'nothing']);
    expect(acksOf(hub).flat().toSorted()).toEqual(['a1', 'a2', 'a3', 'a4']);
    expect(hub.asked).toHaveLength(2);
  });

  it('goes on with a batch of which the hub could not be told in the middle', async () => {
    const failed = Promise.withResolvers<void>();
    const hub = hubBy(({ body }) => {
      if (idsIn(body).includes('a1')) return new Response(null, { status: 403 });
      return Response.json({ results: idsIn(body).map((ackId) => ({ ackId, ok: true })) });
    });
    const messages = [1, 2, 3].map(sent);
    const [first = expect.fail()] = messages;
    const retry = first.retry.bind(first);
    first.retry = (options) => {
      retry(options);
      failed.resolve();
    };
    const { queue } = made(({ sequence }) => (sequence === 2 ? failed.promise : undefined), { hub: hub.access });
    await queue({ messages }, {}, CONTEXT);
    expect(messages.map(({ did }) => did)).toEqual(['retry after 5 s', 'ack', 'ack']);
  });

  it('confirms a large batch in as few calls as a Worker may make, however long each event takes', async () => {
    const hub = settles();
    const messages = Array.from({ length: 100 }, (_, index) => sent(index + 1));
    const { queue } = made(() => new Promise((resolve) => setImmediate(resolve)), { hub: hub.access });
    await queue({ messages }, {}, CONTEXT);
    expect(new Set(messages.map(({ did }) => did))).toEqual(new Set(['ack']));
    expect(acksOf(hub).flat()).toEqual(messages.map((_, index) => `a${index + 1}`));
    expect(hub.asked.length).toBeLessThanOrEqual(12);
  });

  it('confirms one subscription while another can not be told', async () => {
    const other = Promise.withResolvers<void>();
    const hub = hubBy(async ({ path, body }) => {
      if (path.includes('billing')) await other.promise;
      else other.resolve();
      return Response.json({ results: idsIn(body).map((ackId) => ({ ackId, ok: true })) });
    });
    const messages = [sent(1), message(queued(2, { ackId: 'a2', subscription: 'mail' }))];
    await made(() => {}, { hub: hub.access }).queue({ messages }, {}, CONTEXT);
    expect(messages.map(({ did }) => did)).toEqual(['ack', 'ack']);
  });

  it('asks the hub nothing of a test event, which has no ack id: the queue alone is told', async () => {
    const hub = settles();
    const test = { ...queued(1_790_000_000_000), topic: 'millrace.test' };
    const messages = [sent(1), message(test), message({ ...test, sequence: 1_790_000_000_001 })];
    const { queue } = made(
      ({ sequence }) => {
        if (sequence === 1_790_000_000_001) throw new Reject('not of orders');
      },
      { hub: hub.access },
    );
    await queue({ messages }, {}, CONTEXT);
    expect(hub.asked.map(({ body }) => idsIn(body))).toEqual([['a1']]);
    expect(messages.map(({ did }) => did)).toEqual(['ack', 'ack', 'retry']);
  });

  it('is done with a message that the hub hears of too late: its event is leased again', async () => {
    const hub = hubBy(() => Response.json({ results: [{ ackId: 'a1', ok: false, code: 'stale-ack-id' }] }));
    const one = sent(1);
    await made(() => {}, { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    expect(one.did).toBe('ack');
  });

  it.each([
    [404, 'unknown-subscription'],
    [409, 'wrong-delivery-kind'],
  ])('is done with a message that nobody waits for any more: %i %s', async (status, code) => {
    const problem = { type: 'x', title: 'x', status, detail: 'x', instance: '/', code, requestId: 'r' };
    const hub = hubBy(() => Response.json(problem, { status }));
    const one = sent(1);
    await made(() => {}, { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    expect(one.did).toBe('ack');
    expect(hub.asked).toHaveLength(1);
  });

  it.each([
    ['answers 503', () => new Response(null, { status: 503 }), 3],
    ['answers 403', () => new Response(null, { status: 403 }), 1],
    ['is not to be reached', () => Promise.reject(new Error('Network connection lost.')), 3],
  ])('lets a message come again when the hub %s', async (_, answer, times) => {
    const hub = hubBy(answer);
    const one = sent(1);
    await made(() => {}, { hub: hub.access }).queue({ messages: [one] }, {}, CONTEXT);
    expect(one.did).toBe('retry after 5 s');
    expect(hub.asked).toHaveLength(times);
  });

  it('lets a message come again where nobody has said where the hub is', async () => {
    const one = sent(1);
    await made(() => {}).queue({ messages: [one] }, {}, CONTEXT);
    expect(one.did).toBe('retry after 5 s');
  });
});
