import { describe, expect, test } from 'vitest';
import { migrate } from '../../src/storage/migrate.ts';
import { MIGRATIONS } from '../../src/subscriptions/migrations.ts';
import { NodeStorage } from '../support/node-storage.ts';
import { booked, DOCUMENT, Hub, WEBHOOK } from './harness.ts';

/** Rows as the code of the first migration wrote them: a lane with a retry due, a lease out, and a letter in D1. */
const FIRST_ROWS = `
  INSERT INTO subscription (id, document, incarnation, version, target_version, paused, created_at, updated_at, mirror_version, mirror_dirty)
    VALUES (0, '${JSON.stringify({
      topics: ['orders', 'invoices.*'],
      from: { kind: 'latest' },
      filter: { types: [] },
      maxInFlight: 64,
      retry: { scheduleMs: [1_000], jitter: 0 },
      delivery: { kind: 'webhook', url: WEBHOOK.url, timeoutMs: 15_000, headers: {}, secret: null },
    })}', 1, 1, 1, 0, 1000, 1000, 1, 0);
  INSERT INTO lanes (id, topic, status, attachment, exact, origin, start, next, types, in_flight, retrying, dead, delivered, created_at)
    VALUES (1, 'orders', 'active', 'attachment', 1, 0, 1, 5, '[]', 1, 1, 1, 1, 1000);
  INSERT INTO leases (id, lane, retry, sequences, count, due) VALUES (7, 1, 0, '[4]', 1, 1000);
  INSERT INTO exceptions (lane, sequence, attempts, tries, due) VALUES (1, 3, 1, 1, 1000);
  INSERT INTO letters (topic, sequence, lane, state, reason, attempts, died_at, version, dirty)
    VALUES ('orders', 2, 1, 'open', 'exhausted', 2, 1000, 5, 0);
  INSERT INTO attempts (id, topic, first, last, at, total, body) VALUES (9, 'orders', 1, 1, 1767225600000, 20,
    '[{"sequence":1,"attempt":1,"at":1767225600000,"status":200,"outcome":"delivered","latencyMs":3,"response":"","error":null}]');
`;

/** A storage as a hub left it whose code knew the first `count` migrations only. */
function stateOf(count: number): NodeStorage {
  const storage = new NodeStorage();
  migrate(storage, MIGRATIONS.slice(0, count));
  storage.sql.exec(FIRST_ROWS);
  storage.sql.exec(
    count >= 3
      ? `INSERT INTO history (topic, sequence, filter) VALUES ('orders', 1, '${JSON.stringify(DOCUMENT.filter)}')`
      : "INSERT INTO history (topic, sequence, types) VALUES ('orders', 1, '[]')",
  );
  if (count >= 3) storage.sql.exec('UPDATE subscription SET document = ?', JSON.stringify(DOCUMENT));
  if (count >= 2) storage.sql.exec('UPDATE subscription SET letter_version = 5');
  return storage;
}

function schemaOf(storage: NodeStorage): string {
  return storage.sql
    .exec<{ sql: string }>('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name')
    .toArray()
    .map(({ sql }) => `${sql};\n`)
    .join('\n');
}

describe('the schema of a subscription', () => {
  test.each(MIGRATIONS.map((migration, index) => [index + 1, migration.name] as const))(
    'a state written after migration %i (%s) opens with the newest code, and goes on',
    async (count) => {
      const hub = new Hub();
      await hub.publish('orders', 4);
      await hub.awaiting(
        hub.log('orders').attach({
          v: 1,
          subscription: 'billing',
          attachment: 'attachment',
          exact: true,
          from: { kind: 'earliest' },
        }),
      );
      hub.adopt('subscription billing', stateOf(count));
      const view = await hub.view('billing');
      expect(view).toMatchObject({ delivered: 1, dead: 1, inFlight: 1, retrying: 1 });
      expect(booked(view)).toBe(4);
      expect(hub.rows('billing', 'SELECT filter FROM history')).toEqual([{ filter: '{"types":[],"cel":null}' }]);
      await hub.subscription('billing').alarm();
      await hub.advance(10_000);
      expect((await hub.work('billing')).sort()).toEqual([3, 4]);
      await hub.subscription('billing').redrive({ topic: 'orders', sequence: 2, event: '{"type":"order.created"}' });
      expect(await hub.work('billing')).toEqual([2]);
      expect(await hub.view('billing')).toMatchObject({ delivered: 4, dead: 0, pending: 0 });
      const query = { topic: null, status: null, sequence: 1, limit: 10, cursor: null };
      const attempts = await hub.subscription('billing').attempts(query);
      expect(attempts?.items).toMatchObject([{ sequence: 1, status: 200, request: null }]);
      const [row] = hub.rows<{ letter_version: number }>('billing', 'SELECT letter_version FROM subscription');
      expect(row?.letter_version).toBeGreaterThan(5);
    },
  );

  test('is the same, step by step or at once, and as it is written down', async () => {
    const atOnce = new NodeStorage();
    migrate(atOnce, MIGRATIONS);
    const steps = new NodeStorage();
    for (let count = 1; count <= MIGRATIONS.length; count++) migrate(steps, MIGRATIONS.slice(0, count));
    expect(schemaOf(steps)).toBe(schemaOf(atOnce));
    await expect(schemaOf(atOnce)).toMatchFileSnapshot('schema.sql');
  });

  test('that is newer than the code is refused', () => {
    const storage = new NodeStorage();
    migrate(storage, [...MIGRATIONS, { name: 'of tomorrow', sql: 'CREATE TABLE tomorrow (id INTEGER)' }]);
    const hub = new Hub();
    hub.adopt('subscription billing', storage);
    expect(() => hub.subscription('billing')).toThrow(/deploy the newer code again/);
  });

  test('answers what every transaction asks by an index', () => {
    const storage = new NodeStorage();
    migrate(storage, MIGRATIONS);
    const plan = (query: string, ...values: (string | number)[]) =>
      storage.sql
        .exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...values)
        .toArray()
        .map((row) => row.detail)
        .join('; ');
    const unparked = "parked IS NULL AND status IN ('active', 'attaching')";
    const queries: [string, ...(string | number)[]][] = [
      [`SELECT 1 FROM lanes WHERE ${unparked} AND status = 'active' AND (until IS NULL OR next <= until) LIMIT 1`],
      [
        `SELECT * FROM lanes WHERE ${unparked} AND status = 'active' AND replay IS NULL AND id > ? ORDER BY id LIMIT 50`,
        0,
      ],
      ["SELECT * FROM lanes WHERE topic = ? AND replay IS NULL AND status IN ('attaching', 'active')", 'orders'],
      [
        "SELECT * FROM lanes WHERE topic = ? AND replay IS NULL AND status <> 'uncounted' ORDER BY id DESC LIMIT 1",
        'orders',
      ],
      ["SELECT * FROM lanes WHERE status = 'attaching' AND id > ? ORDER BY id LIMIT 1", 0],
      ['SELECT coalesce(sum(retrying), 0) FROM lanes WHERE retrying > 0'],
      ['SELECT * FROM lanes WHERE mirrored = 0 LIMIT 1'],
      ['SELECT lane, due FROM exceptions WHERE lease IS NULL AND behind = 0 ORDER BY due LIMIT 1'],
      ['SELECT sequence FROM exceptions WHERE lane = ? AND key = ? AND redriven = 0 ORDER BY sequence LIMIT 1', 1, 'k'],
      ['UPDATE exceptions SET due = ? WHERE lease IS NULL AND behind IN (0, 1) AND due > ?', 1, 1],
      ['SELECT 1 FROM letters WHERE dirty = 1 LIMIT 1'],
      [
        'SELECT sequence FROM letters WHERE topic = ? AND dirty = 1 AND event IS NULL ORDER BY sequence LIMIT 1',
        'orders',
      ],
      ['SELECT 1 FROM exceptions WHERE redriven = 1 LIMIT 1 OFFSET 999'],
      ['SELECT id, total FROM attempts ORDER BY id DESC LIMIT 1'],
    ];
    for (const [query, ...values] of queries) {
      const detail = plan(query, ...values);
      expect(detail, query).not.toMatch(/TEMP B-TREE/);
      expect(detail, query).toMatch(/USING (COVERING )?INDEX|PRIMARY KEY|SCAN attempts$/);
    }
  });
});
