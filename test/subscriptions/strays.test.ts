import { describe, expect, test } from 'vitest';
import type { SubscriptionDocument } from '../../src/subscriptions/document.ts';
import { CLAIM_LIFE_MS } from '../../src/subscriptions/limits.ts';
import { Delivering } from './delivering.ts';
import { booked, Hub, REPLAY, WEBHOOK } from './harness.ts';

/** A request takes so long. */
const TAKES_MS = 2_500;
const ONCE: Partial<SubscriptionDocument> = { retry: { scheduleMs: [], jitter: 0 } };
const ORDERS: [string, Partial<SubscriptionDocument>][] = [
  ['key', { ordering: 'key' }],
  ['topic', { ordering: 'topic' }],
  ['none, one at a time', { ordering: 'none', maxInFlight: 1 }],
];

interface Answered {
  sequence: number;
  attempt: number;
  replay: string | null;
}

/** Three events of one key are delivered; the receiver is slow from then on, and counts what it has at a time. */
class Slow {
  readonly hub = new Hub();
  readonly delivering = new Delivering(this.hub);
  readonly answered: Answered[] = [];
  status = 200;
  most = 0;
  #present = 0;

  static async start(document: Partial<SubscriptionDocument>): Promise<Slow> {
    const slow = new Slow();
    const { hub, delivering } = slow;
    await hub.subscribe('billing', document);
    await slow.publish(3);
    await delivering.run(500);
    expect(await hub.view('billing')).toMatchObject({ delivered: 3 });
    delivering.answer = async ({ sequence, attempt, replay }) => {
      slow.#present += 1;
      slow.most = Math.max(slow.most, slow.#present);
      await hub.clock.sleep(TAKES_MS);
      slow.#present -= 1;
      slow.answered.push({ sequence, attempt, replay });
      return new Response('answer', { status: slow.status });
    };
    return slow;
  }

  publish(count: number): Promise<unknown> {
    return this.hub.publishKeys('orders', Array<string>(count).fill('k'));
  }

  get subscription() {
    return this.hub.subscription('billing');
  }

  async attempts(): Promise<Answered[]> {
    const query = { topic: null, status: null, sequence: null, limit: 1_000, cursor: null };
    const { items } = (await this.subscription.attempts(query)) ?? { items: [] };
    return items.map(({ sequence, attempt, replay }) => ({ sequence, attempt, replay }));
  }

  /** Whatever it answered is an attempt, and it had one at a time; all is settled in the end. */
  async check(): Promise<void> {
    await this.delivering.run(20_000, 50);
    expect(this.most).toBe(1);
    expect(await this.attempts()).toEqual(expect.arrayContaining(this.answered));
    expect(await this.attempts()).toHaveLength(this.answered.length + 3);
    const view = await this.hub.view('billing');
    expect(view).toMatchObject({ pending: 0, waiting: 0 });
    expect(this.hub.rows('billing', 'SELECT * FROM leases')).toEqual([]);
  }
}

describe.each(ORDERS)(
  'P3: what is taken away from whoever may be sending it takes its turn (order by %s)',
  (_, order) => {
    const document = { ...ONCE, ...order };

    test('at the cancelling of a replay', async () => {
      const slow = await Slow.start(document);
      await slow.hub.awaiting(slow.subscription.startReplay({ ...REPLAY, id: 'r1' }));
      await slow.delivering.run(500);
      await slow.hub.awaiting(slow.subscription.cancelReplay('r1'));
      await slow.publish(1);
      await slow.check();
      expect(slow.answered).toEqual([
        { sequence: 1, attempt: 1, replay: 'r1' },
        { sequence: 4, attempt: 1, replay: null },
      ]);
      expect(await slow.subscription.replay('r1')).toMatchObject({ status: 'cancelled', delivered: 0, remaining: 3 });
      expect(await slow.hub.view('billing')).toMatchObject({ delivered: 4 });
    });

    test('at a seek', async () => {
      const slow = await Slow.start(document);
      await slow.publish(1);
      await slow.delivering.run(500);
      await slow.hub.awaiting(slow.subscription.seek({ topic: null, to: { kind: 'sequence', sequence: 2 } }));
      expect(booked(await slow.hub.view('billing'))).toBe(3);
      await slow.check();
      expect(slow.answered.map(({ sequence }) => sequence)).toEqual([4, 2, 3, 4]);
      expect(await slow.hub.view('billing')).toMatchObject({ delivered: 3 });
    });

    test('where its topic is given up and taken up again', async () => {
      const slow = await Slow.start(document);
      await slow.publish(1);
      await slow.delivering.run(500);
      await slow.hub.subscribe('billing', { ...document, topics: ['bills'] });
      await slow.hub.subscribe('billing', { ...document, from: { kind: 'earliest' } });
      await slow.check();
      expect(slow.answered.map(({ sequence }) => sequence)).toEqual([4, 1, 2, 3, 4]);
    });

    test('at the discarding of a letter that is redriven', async () => {
      const slow = await Slow.start(document);
      slow.status = 500;
      await slow.publish(1);
      await slow.delivering.run(4_000, 50);
      const [letter] = await slow.hub.lettersOf('billing');
      slow.status = 200;
      const event = JSON.stringify({ type: 'order.created', subject: 'k' });
      await slow.subscription.redrive({ topic: 'orders', sequence: letter?.sequence ?? 0, event });
      await slow.delivering.run(500);
      await slow.subscription.discard({ topic: 'orders', sequence: letter?.sequence ?? 0 });
      await slow.publish(1);
      await slow.check();
      expect(slow.answered).toEqual([
        { sequence: 4, attempt: 1, replay: null },
        { sequence: 4, attempt: 2, replay: null },
        { sequence: 5, attempt: 1, replay: null },
      ]);
      expect(await slow.hub.view('billing')).toMatchObject({ delivered: 4, discarded: 1 });
    });
  },
);

describe('what is taken away from whoever had it', () => {
  test('and has died is waited for no longer than a claim lives', async () => {
    const hub = new Hub();
    await hub.subscribe('billing', { ordering: 'key' });
    await hub.publishKeys('orders', ['k']);
    await hub.claim(hub.take());
    await hub.awaiting(hub.subscription('billing').seek({ topic: null, to: { kind: 'earliest' } }));
    await hub.advance(CLAIM_LIFE_MS - 1_000);
    expect(hub.deliveries).toEqual([]);
    hub.restart('billing');
    await hub.advance(2_000);
    expect(await hub.work('billing')).toEqual([1]);
    expect(await hub.view('billing')).toMatchObject({ delivered: 1, pending: 0 });
  });

  test('and had not started it waits no longer than until he hears of it', async () => {
    const slow = await Slow.start({ delivery: { ...WEBHOOK, timeoutMs: 30_000 }, maxInFlight: 8 });
    await slow.publish(8);
    await slow.delivering.run(500);
    await slow.hub.awaiting(slow.subscription.seek({ topic: null, to: { kind: 'sequence', sequence: 4 } }));
    await slow.delivering.run(20_000, 50);
    expect(slow.most).toBeLessThanOrEqual(8);
    expect(await slow.hub.view('billing')).toMatchObject({ delivered: 8, pending: 0 });
  });
});
