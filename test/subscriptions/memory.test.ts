import { expect, test } from 'vitest';
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
    leasesOf: LANES.map((lane) => sql.leasesOf(lane)),
    inFlight: sql.inFlight(),
    leaseDues: sql.leaseDues(),
    firstDue: sql.firstDue(),
    firstDueOf: LANES.map((lane) => sql.firstDueOf(lane)),
    lowestException: LANES.map((lane) => sql.lowestException(lane)),
    underWay: [...sql.underWay()].map(([topic, keys]) => [topic, [...keys].sort()]).sort(),
    holdCount: sql.holdCount(),
    lanesWithOpenHolds: sql.lanesWithOpenHolds(),
    lowestHeld: LANES.map((lane) => sql.lowestHeld(lane)),
    firstUnsentLetter: TOPICS.map((topic) => sql.firstUnsentLetter(topic)),
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
        first_attempt_at: null,
        last_status: null,
        last_error: null,
        key,
        batch: null,
        token: null,
      }),
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
    () => random.chance(0.02) && sql.clear(),
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
      expect(storage.sql.exec(BEHIND_STALE).toArray(), `seed ${seed}, step ${step}`).toEqual([]);
    }
  }
});
