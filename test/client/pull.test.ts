import { describe, expect, it, vi } from 'vitest';
import { type Delivery, Millrace, Reject, Retry, type SubscribeOptions } from '../../src/client/index.ts';
import { parseDuration } from '../../src/events/duration-text.ts';
import { FakePull } from './fake-pull.ts';

/** A worker, and how it is stopped. */
function working(
  hub: FakePull,
  handler: (delivery: Delivery, signal: AbortSignal) => unknown,
  options: SubscribeOptions = {},
) {
  const stop = new AbortController();
  const errors: unknown[] = [];
  const done = hub.client.subscribe('billing', handler, {
    signal: stop.signal,
    onError: (error) => void errors.push(error),
    ...options,
  });
  return { stop: () => stop.abort(), done, errors };
}

const settled = (hub: FakePull, count: number) =>
  vi.waitFor(() => expect(hub.settled.size).toBe(count), { timeout: 5_000, interval: 1 });

/** A gate that handlers wait at until it is opened. */
function gate() {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe('a worker that pulls', () => {
  it('handles every event, no more at a time than it may', async () => {
    const hub = new FakePull();
    hub.add(1, 100);
    let now = 0;
    let most = 0;
    const { stop, done } = working(
      hub,
      async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 1));
        now -= 1;
      },
      { concurrency: 7 },
    );
    await settled(hub, 100);
    stop();
    await done;
    expect(most).toBe(7);
    expect(hub.held).toBe(0);
  });

  it('acknowledges together what is done at the same time', async () => {
    const hub = new FakePull();
    hub.add(1, 200);
    const { stop, done } = working(hub, () => undefined, { concurrency: 50 });
    await settled(hub, 200);
    stop();
    await done;
    expect(hub.calls.ack).toBe(4);
  });

  it('says what a delivery is', async () => {
    const hub = new FakePull();
    hub.add(5, 5);
    const seen: Delivery[] = [];
    const { stop, done } = working(hub, (delivery) => seen.push(delivery));
    await settled(hub, 1);
    stop();
    await done;
    expect(seen).toMatchObject([
      { topic: 'orders', sequence: 5, attempt: 1, replay: null, redriven: false, event: { id: 'e5' } },
    ]);
  });

  it('gives back what its handler throws at: to come again, when it says, or never', async () => {
    const hub = new FakePull();
    hub.add(1, 3);
    const { stop, done, errors } = working(hub, ({ sequence, attempt }) => {
      if (sequence === 1 && attempt < 3) throw new Error('not yet');
      if (sequence === 2 && attempt < 2) throw new Retry('closed on Sundays', '24h');
      if (sequence === 3) throw new Reject('no such customer');
    });
    await settled(hub, 3);
    stop();
    await done;
    expect(hub.settled).toEqual(
      new Map([
        [3, { how: 'reject', attempt: 1 }],
        [2, { how: 'ack', attempt: 2 }],
        [1, { how: 'ack', attempt: 3 }],
      ]),
    );
    expect(hub.nacks).toEqual(
      expect.arrayContaining([
        { sequence: 1, reason: 'not yet' },
        { sequence: 2, reason: 'closed on Sundays', delay: '12h' },
        { sequence: 3, reason: 'no such customer', reject: true },
      ]),
    );
    expect(errors).toHaveLength(4);
    expect(() => new Retry('x', 'soon')).toThrow(TypeError);
    expect(['720m', '43200001ms', '12h'].map((delay) => new Retry('x', delay).delay)).toEqual(['720m', '12h', '12h']);
  });

  it.each([{ message: { code: 7 } }, { message: undefined }, null])(
    'gives back what its handler throws anything at: an error with %j',
    async (fields) => {
      const hub = new FakePull();
      hub.add(1, 2);
      const { stop, done, errors } = working(hub, ({ sequence, attempt }) => {
        if (sequence === 1 && attempt === 1)
          throw fields === null ? Object.create(null) : Object.assign(new Error('x'), fields);
      });
      await settled(hub, 2);
      stop();
      await done;
      expect([hub.settled.get(1), errors.length]).toEqual([{ how: 'ack', attempt: 2 }, 1]);
      expect(hub.nacks).toEqual([{ sequence: 1, reason: expect.any(String) }]);
    },
  );

  it('ends with what onError throws, once what it had is settled', async () => {
    const hub = new FakePull();
    hub.add(1, 1);
    const fatal = new Error('the log is full');
    const { done } = working(
      hub,
      ({ attempt }) => {
        if (attempt === 1) throw new Error('not yet');
      },
      {
        onError: () => {
          throw fatal;
        },
      },
    );
    await expect(done).rejects.toBe(fatal);
    expect(hub.nacks).toEqual([{ sequence: 1, reason: 'not yet' }]);
    await expect(hub.client.subscribe('billing', () => {}, { concurrency: Number.NaN })).rejects.toThrow(TypeError);
  });

  it('extends what takes long, for as long as it takes', async () => {
    const hub = new FakePull();
    hub.deadlineMs = 1_500;
    hub.add(1, 3);
    const { open, opened } = gate();
    const { stop, done, errors } = working(hub, () => opened);
    await vi.waitFor(() => expect(hub.calls.extend).toBeGreaterThan(4), { timeout: 20_000 });
    open();
    await settled(hub, 3);
    stop();
    await done;
    expect([...hub.settled.values()]).toEqual(Array.from({ length: 3 }, () => ({ how: 'ack', attempt: 1 })));
    expect(errors).toEqual([]);
  });

  it.each(['30s', '9h', '12h'])(
    'holds what takes hours for the twelve that the hub allows, a deadline of %s at a time',
    async (deadline) => {
      vi.useFakeTimers();
      try {
        const hub = new FakePull();
        hub.deadlineMs = parseDuration(deadline) ?? 0;
        hub.add(1, 2);
        const { open, opened } = gate();
        const lost: number[] = [];
        const { stop, done, errors } = working(hub, ({ sequence, attempt }, signal) => {
          if (sequence === 1 || attempt > 1) return opened;
          return new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => {
              lost.push(sequence);
              resolve();
            });
          });
        });
        await vi.advanceTimersByTimeAsync(11.9 * 3_600_000);
        open();
        await vi.advanceTimersByTimeAsync(1_000);
        expect([[...hub.settled], lost]).toEqual([[[1, { how: 'ack', attempt: 1 }]], []]);
        // What takes still longer is another's, and its handler is told.
        await vi.advanceTimersByTimeAsync(6 * 3_600_000);
        expect(hub.settled.get(2)).toEqual({ how: 'ack', attempt: 2 });
        expect([lost, errors]).toEqual([[2], []]);
        stop();
        await done;
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it('tells a handler that its event is another worker’s now, and settles it no more', async () => {
    const hub = new FakePull();
    hub.deadlineMs = 600;
    hub.add(1, 1);
    const lost: unknown[] = [];
    const { stop, done, errors } = working(hub, ({ attempt }, signal) => {
      if (attempt > 1) return;
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          lost.push(signal.reason);
          reject(new Error('stopped in the middle'));
        });
        hub.expire(1);
      });
    });
    await settled(hub, 1);
    stop();
    await done;
    expect(lost).toHaveLength(1);
    expect(hub.settled.get(1)).toEqual({ how: 'ack', attempt: 2 });
    expect(hub.nacks).toEqual([]);
    expect(errors).toHaveLength(1);
  });

  it('P5: loses no event and no acknowledgement while calls fail before and after they are served', async () => {
    const hub = new FakePull();
    hub.deadlineMs = 50;
    hub.add(1, 60);
    let calls = 0;
    hub.fault = () => {
      calls += 1;
      if (calls % 5 === 0) throw new TypeError('connection lost');
    };
    const handled = new Map<number, number>();
    const { stop, done } = working(hub, ({ sequence }) => {
      handled.set(sequence, (handled.get(sequence) ?? 0) + 1);
    });
    await settled(hub, 60);
    stop();
    await done;
    expect(handled.size).toBe(60);
  });

  it('stops taking events at once, and finishes those it has', async () => {
    const hub = new FakePull();
    hub.add(1, 20);
    const { open, opened } = gate();
    const { stop, done } = working(hub, () => opened, { concurrency: 4 });
    await vi.waitFor(() => expect(hub.held).toBe(4));
    stop();
    open();
    await done;
    expect(hub.settled.size).toBe(4);
    expect(hub.held).toBe(0);
    // One that waits for an event waits no longer.
    const idle = working(new FakePull(), () => undefined, { wait: '60s' });
    await new Promise((resolve) => setImmediate(resolve));
    idle.stop();
    await idle.done;
  });

  it('ends by a refusal that no other try mends, once what it has is done', async () => {
    const hub = new FakePull();
    hub.add(1, 1);
    const { open, opened } = gate();
    const { done } = working(hub, () => opened);
    await vi.waitFor(() => expect(hub.calls.pull).toBe(2), { interval: 1 });
    hub.refusal = { status: 404, code: 'unknown-subscription', detail: 'It was deleted.' };
    hub.wake();
    await vi.waitFor(() => expect(hub.calls.pull).toBe(3));
    hub.refusal = null;
    open();
    await expect(done).rejects.toMatchObject({ code: 'unknown-subscription' });
    expect(hub.settled.size).toBe(1);

    await expect(hub.client.subscribe('billing', () => undefined, { wait: 'long' })).rejects.toThrow(TypeError);
  });

  it('asks again only after a pause where the hub does not let it wait', async () => {
    vi.useFakeTimers();
    try {
      let pulls = 0;
      const client = new Millrace({
        url: 'http://hub.test',
        fetch: async () => {
          pulls += 1;
          return Response.json({ deliveries: [], ackDeadline: '30s' });
        },
      });
      const stop = new AbortController();
      const done = client.subscribe('billing', () => undefined, { signal: stop.signal });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(pulls).toBeGreaterThan(50);
      expect(pulls).toBeLessThan(150);
      stop.abort();
      await vi.advanceTimersByTimeAsync(1_000);
      await done;
    } finally {
      vi.useRealTimers();
    }
  });

  it('shares a subscription with other workers', async () => {
    const hub = new FakePull();
    const handled: number[] = [];
    const workers = [1, 2, 3].map(() => working(hub, ({ sequence }) => handled.push(sequence), { concurrency: 2 }));
    hub.add(1, 50);
    await settled(hub, 50);
    for (const { stop } of workers) stop();
    await Promise.all(workers.map(({ done }) => done));
    expect(handled.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });
});
