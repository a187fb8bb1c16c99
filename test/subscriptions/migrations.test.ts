import { describe, expect, test } from 'vitest';
import { migrate } from '../../src/storage/migrate.ts';
import { MIGRATIONS } from '../../src/subscriptions/migrations.ts';
import { attemptsIn, attemptsText, type RecordedAttempt } from '../../src/subscriptions/recorded-attempts.ts';
import { tokensOf } from '../../src/subscriptions/tokens.ts';
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

/** The one of {@link FIRST_ROWS}. */
const FIRST_ATTEMPT: RecordedAttempt = {
  sequence: 1,
  attempt: 1,
  at: 1_767_225_600_000,
  status: 200,
  outcome: 'delivered',
  latencyMs: 3,
  response: '',
  error: null,
  request: {},
};

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
  if (MIGRATIONS.slice(0, count).some(({ name }) => name === 'attempts in columns'))
    storage.sql.exec('UPDATE attempts SET body = ?', attemptsText([FIRST_ATTEMPT]));
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

  test.each([
    { ordering: 'topic', given: null, keys: [null, '', '', '', ''], behind: [0, 0, 1, 1, 1] },
    { ordering: 'key', given: 'k', keys: ['k', 'k', 'k', 'other', null], behind: [0, 0, 1, 0, 0] },
  ])(
    'of before the first of each key was known says who is behind whom (ordering $ordering)',
    ({ ordering, given, keys, behind }) => {
      const storage = new NodeStorage();
      const before = MIGRATIONS.findIndex(({ name }) => name === 'the first of each key');
      migrate(storage, MIGRATIONS.slice(0, before));
      storage.sql.exec(FIRST_ROWS);
      storage.sql.exec('UPDATE subscription SET ordering = ?', ordering);
      storage.sql.exec('DELETE FROM exceptions');
      // A letter that is sent again goes beside the order; the first is under way.
      const rows: [number, string | null, number | null, number][] = [
        [1, given, null, 1],
        [2, given, 7, 0],
        [3, given, null, 0],
        [4, given && 'other', null, 0],
        [5, null, null, 0],
      ];
      for (const [sequence, key, lease, redriven] of rows)
        storage.sql.exec(
          'INSERT INTO exceptions (lane, sequence, attempts, tries, due, key, lease, redriven) VALUES (1, ?, 1, 1, 1000, ?, ?, ?)',
          sequence,
          key,
          lease,
          redriven,
        );
      migrate(storage, MIGRATIONS);
      expect(storage.sql.exec('SELECT key, behind FROM exceptions ORDER BY sequence').toArray()).toEqual(
        keys.map((key, index) => ({ key, behind: behind[index] })),
      );
    },
  );

  test('of before attempts were kept in columns has the very same attempts', () => {
    const attempts: RecordedAttempt[] = [
      FIRST_ATTEMPT,
      { ...FIRST_ATTEMPT, sequence: 2, status: null, outcome: 'network', error: 'It "hung up".', request: null },
      {
        ...FIRST_ATTEMPT,
        sequence: 3,
        response: '[1,"\u0001"]',
        request: { headers: { 'webhook-id': 'other', gone: null } },
      },
    ];
    const storage = new NodeStorage();
    const before = MIGRATIONS.findIndex(({ name }) => name === 'attempts in columns');
    migrate(storage, MIGRATIONS.slice(0, before));
    const old = attempts.map(({ request, ...rest }) => ({
      ...rest,
      ...(request !== FIRST_ATTEMPT.request && { request }),
    }));
    const insert =
      'INSERT INTO attempts (id, topic, first, last, at, total, body) VALUES (?, ?, 1, 3, 1767225600000, 20, ?)';
    storage.sql.exec(insert, 1, 'orders', JSON.stringify(old));
    storage.sql.exec(insert, 2, 'orders', '[]');
    migrate(storage, MIGRATIONS);
    const rows = storage.sql.exec<{ body: string }>('SELECT body FROM attempts ORDER BY id').toArray();
    expect(rows.map(({ body }) => attemptsIn(body))).toEqual([attempts, []]);
  });

  test('of before all attempts were remembered has the token of the last, which still counts', () => {
    const storage = new NodeStorage();
    const before = MIGRATIONS.findIndex(({ name }) => name === 'the tokens of all attempts');
    migrate(storage, MIGRATIONS.slice(0, before));
    storage.sql.exec(FIRST_ROWS);
    const token = '0123456789abcdef'.repeat(2);
    storage.sql.exec('UPDATE exceptions SET token = ?', token);
    migrate(storage, MIGRATIONS);
    const [row] = storage.sql.exec<{ tokens: string | null }>('SELECT tokens FROM exceptions').toArray();
    expect(tokensOf(row?.tokens ?? null)).toEqual([token]);
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
      [
        'SELECT lane, due, tries FROM exceptions INDEXED BY exceptions_lane_due WHERE lane = ? AND lease IS NULL AND behind = 0 ORDER BY due LIMIT 1',
        1,
      ],
      [
        'SELECT sequence FROM exceptions INDEXED BY exceptions_lane_due WHERE lane = ? AND lease IS NULL AND behind = 0 AND due <= ? ORDER BY due LIMIT 50',
        1,
        1,
      ],
      [
        `SELECT sequence FROM exceptions INDEXED BY exceptions_lane_due JOIN lanes ON lanes.id = lane
          WHERE lease IS NULL AND behind = 0 AND due <= ? AND lane = ? AND (topic IN (SELECT value FROM json_each(?))) IS NOT TRUE
          ORDER BY due LIMIT 50`,
        1,
        1,
        '[]',
      ],
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
    // Of a lane that is left out nothing is looked at, and of others the first.
    const beside = plan(
      `SELECT lane, due FROM
         (SELECT id AS lane, (SELECT due FROM exceptions INDEXED BY exceptions_lane_due
            WHERE lane = lanes.id AND lease IS NULL AND behind = 0 ORDER BY due LIMIT 1) AS due
          FROM lanes WHERE retrying > 0 AND id NOT IN (SELECT value FROM json_each(?)))
       WHERE due IS NOT NULL ORDER BY due`,
      '[1]',
    );
    expect(beside).toMatch(/lanes USING (COVERING )?INDEX lanes_retrying/);
    expect(beside).toMatch(/exceptions USING (COVERING )?INDEX exceptions_lane_due \(lane=\? AND behind=\?\)/);
  });
});
