import { expect, test, vi } from 'vitest';
import { migrate } from '../../src/storage/migrate.ts';
import { columnsOf } from '../../src/subscriptions/lease-content.ts';
import { MIGRATIONS } from '../../src/subscriptions/migrations.ts';
import type { LaneChange, LaneRow, NewLane } from '../../src/subscriptions/rows.ts';
import { type Statements, statements } from '../../src/subscriptions/sql.ts';
import { BEHIND_STALE } from '../simulation/invariants.ts';
import { SeededRandom } from '../simulation/random.ts';
import { NodeStorage } from '../support/node-storage.ts';

const LANE: NewLane = {
  topic: 'orders',
  replay: null,
  status: 'active',
  attachment: 'a',
  exact: 1,
  origin: 0,
  start: 1,
  next: 1,
  until: null,
  parked: null,
  types: '[]',
  cel: null,
  rate_count: null,
  rate_span: null,
  rate_cursor: 0,
  created_at: 0,
  ended_at: null,
  error: null,
  mirrored: 1,
};

const TOPICS = ['orders', 'invoices'];
const LANES = [1, 2, 3, 4];
const LEASES = [1, 2, 3];

const LETTER = {
  lane: null,
  reason: 'exhausted',
  attempts: 1,
  last_status: null,
  last_error: null,
  first_attempt_at: null,
  died_at: 0,
  redriven_at: null,
  resolved_at: null,
  discarded_at: null,
  event: null,
  version: 1,
  replayed: 0,
};

/** Everything that may be remembered. */
function answers(sql: Statements): unknown {
  return {
    lanes: LANES.map((id) => sql.lane(id)),
    live: TOPICS.map((topic) => sql.liveLane(topic)),
    unparked: [0, ...LANES].map((id) => sql.unparkedAfter(id)),
    unreadReplays: [0, ...LANES].map((id) => sql.unreadReplaysAfter(id)),
    hasUnread: sql.hasUnread(),
    pacedReplays: sql.pacedReplays(),
    retrying: sql.retrying(),
    leases: LEASES.map((id) => sql.lease(id)),
    leasesOf: LANES.map((lane) => sql.leasesOf(lane).sort((a, b) => a.id - b.id)),
    inFlight: sql.inFlight(),
    leaseDues: sql.leaseDues(),
    firstDue: sql.firstDue(),
    firstDueOf: LANES.map((lane) => sql.firstDueOf(lane)),
    lowestException: LANES.map((lane) => sql.lowestException(lane)),
    underWay: [...sql.underWay()].map(([topic, keys]) => [topic, [...keys].sort()]).sort(),
    holdCount: sql.holdCount(),
    lanesWithOpenHolds: sql.lanesWithOpenHolds(),
    lowestHeld: LANES.map((lane) => sql.lowestHeld(lane)),
    hasUnsent: sql.hasUnsent(3),
    firstUnsentLetter: TOPICS.map((topic) => sql.firstUnsentLetter(topic)),
    hasLetters: TOPICS.map((topic) => [1, 2, 3, 4, 5, 6].map((from) => sql.hasLetters(topic, from, from + 1))),
    lastAttempts: sql.lastAttempts(),
    statsKept: sql.statsKept(),
  };
}

/** What is worked out of the leases in memory, asked of their table. */
function askedOfLeases({ sql }: NodeStorage): unknown {
  const one = (query: string) => sql.exec(query).one();
  return {
    inFlight: one(`SELECT coalesce(sum(CASE WHEN replay IS NULL THEN count END), 0) AS live,
      coalesce(sum(CASE WHEN replay IS NULL THEN NULL ELSE count END), 0) AS replay,
      count(*) AS leases, count(keys) AS keyed FROM leases LEFT JOIN lanes ON lanes.id = lane`),
    leaseDues: one(`SELECT min(CASE WHEN token IS NULL THEN due END) AS unclaimed,
      min(CASE WHEN token IS NOT NULL AND held_since IS NULL THEN due END) AS claimed,
      min(CASE WHEN token IS NOT NULL AND held_since IS NOT NULL THEN due END) AS held,
      max(due - held_for) AS heldFrom FROM leases`),
    ...one('SELECT coalesce(sum(CASE WHEN token IS NULL THEN count END), 0) AS unclaimed FROM leases'),
    heldDue: sql.exec('SELECT id FROM leases WHERE held_since IS NOT NULL AND due <= 50 ORDER BY id').toArray(),
    underWay: sql
      .exec(`SELECT DISTINCT topic, k.value AS key FROM leases JOIN lanes ON lanes.id = lane, json_each(keys) AS k
        WHERE k.value IS NOT NULL ORDER BY topic, key`)
      .toArray(),
  };
}

/** The same, as it is remembered. */
function rememberedOfLeases(sql: Statements): unknown {
  return {
    inFlight: sql.inFlight(),
    leaseDues: sql.leaseDues(),
    unclaimed: sql.unclaimed(),
    heldDue: sql
      .heldDue(50)
      .map(({ id }) => ({ id }))
      .sort((a, b) => a.id - b.id),
    underWay: [...sql.underWay()]
      .flatMap(([topic, keys]) => [...keys].map((key) => ({ topic, key })))
      .sort((a, b) => (`${a.topic} ${a.key}` < `${b.topic} ${b.key}` ? -1 : 1)),
  };
}

/** Writes something or other. */
function write(sql: Statements, random: SeededRandom): void {
  const lane = random.pick(LANES);
  const lease = random.pick(LEASES);
  const sequence = random.between(1, 5);
  const due = random.between(1, 100);
  const columns: Partial<LaneRow> = {
    ...(random.chance(0.5) ? { next: random.between(1, 20) } : {}),
    ...(random.chance(0.3) ? { parked: random.pick([null, 7]) } : {}),
    ...(random.chance(0.1) ? { status: random.pick(['active', 'attaching', 'removed', 'done']) } : {}),
    ...(random.chance(0.1) ? { rate_cursor: due } : {}),
  };
  const change: LaneChange = {
    ...(random.chance(0.5) ? { in_flight: random.between(-2, 2) } : {}),
    ...(random.chance(0.5) ? { retrying: random.between(0, 2) } : {}),
  };
  const key = random.pick(['a', 'b']);
  const exception = { lane, sequence, attempts: 1, tries: 1, due, lease: null, redriven: random.below(2), event: null };
  const content = columnsOf([{ sequence, key: random.pick([null, key]) }]);
  const writes = [
    () => sql.moveLane(lane, change, columns),
    () => Object.keys(columns).length > 0 && sql.setLane(lane, columns),
    () => sql.lease(lease) ?? sql.addLease({ id: lease, lane, retry: 0, ...content, due, batch: null }),
    () => sql.setLease(lease, random.chance(0.5) ? { due } : { token: random.pick([null, 't']), count: sequence }),
    () => sql.deleteLease(lease),
    () => sql.restartLeases(due, due),
    () => sql.setLease(lease, { token: 't', held_since: random.pick([null, due]), held_for: random.pick([0, due]) }),
    () => sql.clampHeld(due),
    () => random.chance(0.2) && sql.freeHeld(),
    () =>
      sql.putException({
        ...exception,
        // One that was tried again keeps what it is.
        redriven: sql.exception(lane, sequence)?.redriven ?? exception.redriven,
        first_attempt_at: null,
        last_status: null,
        last_error: null,
        key: sql.exception(lane, sequence)?.key ?? key,
        batch: null,
        tokens: random.pick([null, 't']),
      }),
    () => random.chance(0.2) && sql.forgetTokens(),
    () => sql.setExceptionKey(lane, sequence, key),
    () => sql.addHold(lane, key, sequence),
    () => sql.moveHold(lane, key, sequence),
    () => sql.deleteHold(lane, key),
    () => random.chance(0.2) && sql.deleteHoldsOf(lane),
    () => random.chance(0.2) && sql.cutHolds(lane, sequence, sequence + 2),
    () => sql.setExceptionLease(lane, [sequence], random.pick([null, lease])),
    () => sql.deleteException(lane, sequence),
    () => random.chance(0.2) && sql.deleteExceptionsOf(lane),
    () => sql.postpone(lane, [sequence], [due]),
    () => sql.clampDue(due),
    () =>
      sql.putLetter({
        ...LETTER,
        topic: random.pick(TOPICS),
        sequence,
        dirty: random.below(2),
        state: random.pick(['open', 'redriven']),
      }),
    () => sql.deleteLetter(random.pick(TOPICS), sequence),
    () => random.chance(0.2) && sql.reopenLetters(random.pick(TOPICS), lane, due),
    () => random.chance(0.2) && sql.reopenAllLetters(due),
    () => random.chance(0.02) && sql.clear(),
    () => {
      const { id, total } = sql.lastAttempts() ?? { id: 0, total: 0 };
      const own = { topic: 'orders', replay: null, first: 1, last: 1, at: due, body: '[]', request: null };
      sql.addAttempts({ ...own, id: id + 1, total: total + sequence });
    },
    () => {
      const last = sql.lastAttempts();
      if (last !== null) sql.putStats({ through: last.id, total: last.total, body: '' });
    },
    () => sql.trimAttempts({ totalAbove: due, since: 0 }, sql.statsKept().through, sequence),
    () => sql.lane(lane) ?? sql.addLane({ ...LANE, ...replayOf(random), topic: random.pick(TOPICS) }),
  ];
  random.pick(writes)();
}

function replayOf(random: SeededRandom): Partial<NewLane> {
  if (random.chance(0.5)) return {};
  return { replay: `r${random.below(1e9)}`, until: 10, rate_count: random.pick([null, 1]), rate_span: 1_000 };
}

test('what is remembered is what the tables say, whatever is written or rolled back', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new SeededRandom(seed);
    const storage = new NodeStorage();
    migrate(storage, MIGRATIONS);
    const sql = statements(storage);
    for (let step = 0; step < 200; step++) {
      const rollBack = new Error('Rolled back.');
      try {
        storage.transactionSync(() => {
          write(sql, random);
          if (random.chance(0.3)) answers(sql);
          if (random.chance(0.1)) throw rollBack;
        });
      } catch (error) {
        if (error !== rollBack) throw error;
        sql.memories.forget();
      }
      expect(answers(sql), `seed ${seed}, step ${step}`).toEqual(answers(statements(storage)));
      expect(rememberedOfLeases(sql), `seed ${seed}, step ${step}`).toEqual(askedOfLeases(storage));
      expect(storage.sql.exec(BEHIND_STALE).toArray(), `seed ${seed}, step ${step}`).toEqual([]);
    }
  }
});

test('whether there are very many letters is not looked up with each that is written', () => {
  const storage = new NodeStorage();
  migrate(storage, MIGRATIONS);
  const sql = statements(storage);
  const exec = vi.spyOn(storage.sql, 'exec');
  for (let sequence = 1; sequence <= 300; sequence += 1) {
    sql.putLetter({ ...LETTER, topic: 'orders', sequence, state: 'open', dirty: 1 });
    expect(sql.hasUnsent(200)).toBe(sequence >= 200);
  }
  // Once all are counted, and then while they are as many.
  expect(exec.mock.calls.filter(([query]) => query.includes('WHERE dirty = 1')).length).toBeLessThan(110);
});
