import { expect, test, vi } from 'vitest';
import type { DeliveryOutcome } from '../../src/subscriptions/protocol-claims.ts';
import { sized } from '../support/full-size.ts';
import { Hub, WEBHOOK } from './harness.ts';

/**
 * More than wait until their keys are indexed: from there on nothing that is judged depends on how many there are. A million
 * pass as well, in 47 s of processor time.
 */
const BEHIND = sized({ full: 1_000_000, usual: 100_000 });
const TIMEOUT_MS = sized({ full: 1_200_000, usual: 120_000 });

test('P6: events without number behind one failing key cost no row each, slow no other key, and are caught up with', {
  timeout: TIMEOUT_MS,
}, async () => {
  const hub = new Hub();
  const delivery = { ...WEBHOOK, timeoutMs: 1_000 };
  const retry = { scheduleMs: [3_600_000], jitter: 0 };
  await hub.subscribe('billing', { ordering: 'key', maxInFlight: 100, delivery, retry });
  const storage = hub.storage('subscription billing');
  const written = () => storage.sql.exec<{ rows: number }>('SELECT total_changes() AS rows').one().rows;
  const held = () => hub.rows<{ held: number }>('billing', 'SELECT sum(held) AS held FROM lanes')[0]?.held ?? 0;
  let broken = true;
  let others = 0;
  /** Works the queues off. */
  const work = async (turns: number) => {
    for (let turn = 0; turn < turns; turn++) {
      await hub.clock.advance(turn % 4 === 3 ? 120 : 2);
      const message = hub.deliveries.shift() ?? hub.retries.shift();
      if (message === undefined) {
        if (turn % 4 === 3) return;
        continue;
      }
      const claimed = await hub.awaiting(hub.subscription('billing').claim(message.lease));
      if (claimed.outcome !== 'claimed') continue;
      let stopped = false;
      const outcomes = claimed.events.map((event): DeliveryOutcome => {
        if (event.key !== 'hot') {
          others += 1;
          return hub.delivered(event);
        }
        if (stopped) return { kind: 'released', topic: event.topic, sequence: event.sequence };
        stopped = broken;
        return broken ? hub.failed(event) : hub.delivered(event);
      });
      await hub.awaiting(
        hub.subscription('billing').settle({ v: 1, lease: message.lease, token: claimed.token, outcomes }),
      );
    }
  };

  await hub.publishKeys('orders', ['hot']);
  await work(1_000);
  const before = written();
  // One in a hundred has another key.
  const batch = Array.from({ length: 1_000 }, (_, index) => (index % 100 === 99 ? `k${index}` : 'hot'));
  for (let sent = 0; sent < BEHIND; sent += 1_000) {
    await hub.publishKeys('orders', batch);
    await work(100);
  }
  await work(10_000);
  expect(others).toBe(BEHIND / 100);
  expect(held()).toBe(BEHIND - BEHIND / 100);
  expect(hub.rows('billing', 'SELECT key, blocked FROM holds')).toEqual([{ key: 'hot', blocked: 1 }]);
  expect(hub.rows('billing', 'SELECT count(*) AS count FROM exceptions')).toEqual([{ count: 1 }]);
  const eachOther = (written() - before) / others;
  expect(eachOther).toBeLessThan(10);

  // What is read for the next events of the key is as little as at the start.
  const log = hub.log('orders');
  const { sql } = hub.storage('topic orders');
  const statements = vi.spyOn(sql, 'exec');
  for (const from of [2, BEHIND / 2, BEHIND - 200]) {
    const read = { key: 'hot', from, to: BEHIND, types: [] };
    await log.readKeys({ v: 1, reads: [read], limit: 16, total: 16 });
    statements.mockClear();
    const [page] = await log.readKeys({ v: 1, reads: [{ ...read, from: from + 1 }], limit: 16, total: 16 });
    expect(page?.events).toHaveLength(16);
    expect(statements.mock.calls.length).toBeLessThanOrEqual(4);
  }
  statements.mockRestore();

  broken = false;
  await hub.advance(3_600_000);
  const behind = written();
  await work(20_000);
  const after = held();
  expect(after).toBeLessThan(BEHIND - BEHIND / 100);
  const caughtUp = BEHIND - BEHIND / 100 - after;
  expect((written() - behind) / caughtUp).toBeLessThan(1);
});
