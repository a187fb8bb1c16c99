import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FOLLOW_CALLS_MAX, FOLLOW_MAX_MS, FOLLOW_ROUND_MS, follow } from '../../src/http/follow.ts';
import type { DeliveryView } from '../../src/subscriptions/protocol-views.ts';

const MINUTE_MS = 60_000;

function delivery(changes: Partial<DeliveryView> = {}): DeliveryView {
  return {
    status: 'pending',
    attempts: 0,
    lastStatus: null,
    lastError: null,
    nextAttemptAt: null,
    settledAt: null,
    deadLetter: null,
    ...changes,
  };
}

const DELIVERED = delivery({ status: 'delivered', attempts: 1, lastStatus: 200 });

interface Call {
  at: number;
  subscription: string;
  waitMs: number;
}

/** Subscriptions whose answers to a long poll a test decides. */
class Subscriptions {
  readonly calls: Call[] = [];
  readonly told: [string, string][] = [];
  readonly stop = new AbortController();
  asking = 0;
  askingMax = 0;
  readonly #startedAt = Date.now();
  /** Null: nothing changes before the time is up. */
  answer: (subscription: string, known: DeliveryView) => Promise<DeliveryView> | DeliveryView | null = () => null;
  ended: boolean | null = null;

  get elapsed(): number {
    return Date.now() - this.#startedAt;
  }

  async follow(views: Record<string, DeliveryView>): Promise<void> {
    this.ended = await follow(new Map(Object.entries(views)), {
      now: () => Date.now(),
      stop: this.stop.signal,
      changed: (subscription, { status }) => this.told.push([subscription, status]),
      ask: async (subscription, known, waitMs) => {
        this.calls.push({ at: this.elapsed, subscription, waitMs });
        this.asking += 1;
        this.askingMax = Math.max(this.askingMax, this.asking);
        try {
          const answer = this.answer(subscription, known);
          if (answer !== null) return await answer;
          if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
          return known;
        } finally {
          this.asking -= 1;
        }
      },
    });
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('P8: following deliveries', () => {
  it('tells of each change until none is open, and asks for nothing that is settled', async () => {
    const subscriptions = new Subscriptions();
    const steps = [delivery({ status: 'delivering' }), delivery({ status: 'retrying', attempts: 1 }), DELIVERED];
    subscriptions.answer = () => steps.shift() ?? null;
    await subscriptions.follow({ billing: delivery(), email: DELIVERED, audit: delivery({ status: 'filtered' }) });
    expect(subscriptions.ended).toBe(true);
    expect(subscriptions.told).toEqual([
      ['billing', 'delivering'],
      ['billing', 'retrying'],
      ['billing', 'delivered'],
    ]);
    expect(subscriptions.calls.map(({ subscription }) => subscription)).toEqual(['billing', 'billing', 'billing']);
    expect(subscriptions.calls[0]?.waitMs).toBe(FOLLOW_ROUND_MS);
  });

  it('is done at once where nothing is open', async () => {
    const subscriptions = new Subscriptions();
    await subscriptions.follow({ billing: DELIVERED });
    expect(subscriptions).toMatchObject({ ended: true, calls: [] });
    await subscriptions.follow({});
    expect(subscriptions).toMatchObject({ ended: true, calls: [] });
  });

  it('has no more than 16 calls under way, and looks at each of many open ones every 20 s', async () => {
    const subscriptions = new Subscriptions();
    const names = Array.from({ length: 100 }, (_, index) => `s${index}`);
    const following = subscriptions.follow(Object.fromEntries(names.map((name) => [name, delivery()])));
    await vi.advanceTimersByTimeAsync(2 * FOLLOW_ROUND_MS);
    expect(subscriptions.askingMax).toBe(16);
    for (const name of names) {
      const [first, second] = subscriptions.calls.filter(({ subscription }) => subscription === name);
      expect((second?.at ?? Number.POSITIVE_INFINITY) - (first?.at ?? 0)).toBeLessThanOrEqual(FOLLOW_ROUND_MS * 1.2);
    }
    subscriptions.answer = () => DELIVERED;
    await vi.advanceTimersByTimeAsync(FOLLOW_ROUND_MS);
    await following;
    expect(subscriptions.ended).toBe(true);
    expect(subscriptions.told).toHaveLength(100);
  });

  it('does not wait in a subscription for a retry that is due late, and looks at it once a minute', async () => {
    const subscriptions = new Subscriptions();
    const nextAttemptAt = Date.now() + 150_000;
    subscriptions.answer = () => (Date.now() >= nextAttemptAt ? DELIVERED : null);
    const following = subscriptions.follow({ billing: delivery({ status: 'retrying', attempts: 1, nextAttemptAt }) });
    await vi.advanceTimersByTimeAsync(150_000);
    await following;
    expect(subscriptions.ended).toBe(true);
    expect(subscriptions.calls.map(({ at, waitMs }) => [at, waitMs])).toEqual([
      [MINUTE_MS, 0],
      [2 * MINUTE_MS, 0],
      [150_000, FOLLOW_ROUND_MS],
    ]);
  });

  it('asks again a second after an answer that failed or came too soon', async () => {
    const subscriptions = new Subscriptions();
    const answers = [Promise.reject(new Error('It was reset.')), delivery(), DELIVERED];
    subscriptions.answer = () => answers.shift() ?? null;
    const following = subscriptions.follow({ billing: delivery() });
    await vi.advanceTimersByTimeAsync(2_000);
    await following;
    expect(subscriptions.ended).toBe(true);
    expect(subscriptions.calls.map(({ at }) => at)).toEqual([0, 1_000, 2_000]);
    expect(subscriptions.told).toEqual([['billing', 'delivered']]);
  });

  it('ends after 15 minutes, or when its calls are used up, and says that not all is settled', async () => {
    const one = new Subscriptions();
    const following = one.follow({ billing: delivery() });
    await vi.advanceTimersByTimeAsync(FOLLOW_MAX_MS + FOLLOW_ROUND_MS);
    await following;
    expect(one.ended).toBe(false);
    expect(one.elapsed).toBeLessThanOrEqual(FOLLOW_MAX_MS + FOLLOW_ROUND_MS);
    expect(one.calls.length).toBeLessThanOrEqual(FOLLOW_MAX_MS / FOLLOW_ROUND_MS + 1);
    const many = new Subscriptions();
    const open = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`s${index}`, delivery()]));
    const all = many.follow(open);
    await vi.advanceTimersByTimeAsync(FOLLOW_MAX_MS);
    await all;
    expect(many.ended).toBe(false);
    expect(many.calls).toHaveLength(FOLLOW_CALLS_MAX);
  });

  it('stops when it is stopped: what waits to ask asks no more, and what is answered is not told', async () => {
    const subscriptions = new Subscriptions();
    const answer = Promise.withResolvers<DeliveryView>();
    subscriptions.answer = () => answer.promise;
    const nextAttemptAt = Date.now() + 30_000;
    const following = subscriptions.follow({
      billing: delivery(),
      email: delivery({ status: 'retrying', attempts: 1, nextAttemptAt }),
    });
    await vi.advanceTimersByTimeAsync(1_000);
    subscriptions.stop.abort();
    answer.resolve(delivery({ status: 'delivering' }));
    await following;
    expect(subscriptions.ended).toBe(false);
    expect(subscriptions.told).toEqual([]);
    expect(subscriptions.calls).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
