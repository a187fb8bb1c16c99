import type { Violation } from '../history/operations.ts';
import type { NodeStorage } from '../support/node-storage.ts';
import type { World } from './world.ts';

/** What the tables of every Subscription must say of each other after each transaction, whatever happens. */
export function checkTables(world: World, violations: Violation[]): void {
  for (const host of world.subscriptions.values()) {
    for (const { rule, query } of TABLE_RULES) {
      const broken = hasTables(host.storage) ? host.storage.sql.exec(query).toArray() : [];
      for (const row of broken) {
        violations.push({ rule, detail: `${host.name}: ${JSON.stringify(row)}` });
      }
    }
    if (hasTables(host.storage) && !host.hasAlarm) {
      for (const row of host.storage.sql.exec(NEEDS_ALARM).toArray()) {
        violations.push({ rule: 'alarm', detail: `${host.name} has no alarm in spite of ${JSON.stringify(row)}` });
      }
    }
  }
}

function hasTables(storage: NodeStorage): boolean {
  return storage.sql.exec("SELECT 1 AS one FROM sqlite_master WHERE name = 'lanes'").toArray().length > 0;
}

/** Each finds nothing unless a rule is broken. */
const TABLE_RULES = [
  {
    rule: 'lane-sum',
    query: `SELECT * FROM lanes
            WHERE delivered + dead + in_flight + retrying + filtered + skipped + discarded <> next - 1 - origin
              AND status NOT IN ('cancelled', 'failed', 'removed')`,
  },
  {
    rule: 'in-flight',
    query: `SELECT id, topic, in_flight, (SELECT coalesce(sum(count), 0) FROM leases WHERE lane = lanes.id) AS leased FROM lanes
            WHERE status NOT IN ('cancelled', 'failed', 'removed')
              AND in_flight <> (SELECT coalesce(sum(count), 0) FROM leases WHERE lane = lanes.id)`,
  },
  {
    rule: 'lease-count',
    query: 'SELECT * FROM leases WHERE count <> json_array_length(sequences) OR count = 0',
  },
  {
    rule: 'lease-once',
    query: `SELECT lane, value AS sequence, count(*) AS times FROM leases, json_each(sequences) GROUP BY lane, value HAVING count(*) > 1`,
  },
  {
    rule: 'lease-examined',
    query: `SELECT leases.id, value AS sequence FROM leases JOIN lanes ON lanes.id = leases.lane, json_each(sequences)
            WHERE value >= lanes.next`,
  },
  {
    rule: 'lease-orphan',
    query: 'SELECT id, lane FROM leases WHERE lane NOT IN (SELECT id FROM lanes)',
  },
  {
    rule: 'retrying',
    query: `SELECT id, topic, retrying FROM lanes
            WHERE retrying <> (SELECT count(*) FROM exceptions WHERE lane = lanes.id AND lease IS NULL)`,
  },
  {
    rule: 'exception-lease',
    query: `SELECT lane, sequence, lease FROM exceptions WHERE lease IS NOT NULL AND NOT EXISTS (
              SELECT 1 FROM leases, json_each(sequences) WHERE leases.id = exceptions.lease AND value = exceptions.sequence)`,
  },
  {
    rule: 'exception-orphan',
    query: 'SELECT lane, sequence FROM exceptions WHERE lane NOT IN (SELECT id FROM lanes)',
  },
  {
    rule: 'dead-count',
    query: `SELECT id, topic, dead FROM lanes WHERE replay IS NULL AND status <> 'removed'
              AND dead <> (SELECT count(*) FROM letters WHERE lane = lanes.id AND state = 'open')`,
  },
  {
    rule: 'one-live-lane',
    query: `SELECT topic, count(*) AS lanes FROM lanes WHERE replay IS NULL AND status IN ('active', 'attaching')
            GROUP BY topic HAVING count(*) > 1`,
  },
  {
    rule: 'replay-range',
    query: `SELECT id, next, until FROM lanes WHERE replay IS NOT NULL AND next > until + 1`,
  },
  {
    rule: 'negative',
    query: `SELECT * FROM lanes WHERE min(delivered, filtered, skipped, discarded, dead, failed, in_flight, retrying) < 0`,
  },
];

/** What asks for an alarm: an active lane that isn't parked, a lease, a due exception, an outbox. */
const NEEDS_ALARM = `
  SELECT 'lane' AS what, id FROM lanes, subscription
    WHERE parked IS NULL AND lanes.status IN ('active', 'attaching') AND (until IS NULL OR next <= until)
      AND document IS NOT NULL AND NOT paused AND disabled_reason IS NULL
  UNION ALL SELECT 'lease', id FROM leases, subscription WHERE token IS NOT NULL OR (NOT paused AND disabled_reason IS NULL)
  UNION ALL SELECT 'exception', sequence FROM exceptions, subscription
    WHERE lease IS NULL AND NOT paused AND disabled_reason IS NULL
  UNION ALL SELECT 'letter', sequence FROM letters WHERE dirty = 1
  UNION ALL SELECT 'mirror', 0 FROM subscription WHERE mirror_dirty = 1
  UNION ALL SELECT 'detachment', 0 FROM detachments
  UNION ALL SELECT 'job', 0 FROM jobs, subscription WHERE document IS NOT NULL`;

/** Nothing is left to do, as far as the tables say. */
export function isDrained(world: World): boolean {
  if (world.consumers.running.size > 0) {
    return false;
  }
  for (const host of world.subscriptions.values()) {
    if (!hasTables(host.storage)) {
      continue;
    }
    const { busy } = host.storage.sql.exec<{ busy: number }>(BUSY).one();
    if (busy > 0) {
      return false;
    }
  }
  return (
    world.network.d1.query('SELECT 1 FROM subscriptions WHERE stalled_at IS NOT NULL AND deleted = 0').length === 0
  );
}

const BUSY = `SELECT count(*) AS busy FROM (
  SELECT id FROM lanes, subscription WHERE parked IS NULL AND lanes.status IN ('active', 'attaching')
      AND document IS NOT NULL AND NOT paused AND disabled_reason IS NULL
  UNION ALL SELECT id FROM lanes WHERE status = 'active' AND (in_flight > 0 OR retrying > 0)
      AND (SELECT document IS NOT NULL AND NOT paused AND disabled_reason IS NULL FROM subscription)
  UNION ALL SELECT sequence FROM letters WHERE dirty = 1
  UNION ALL SELECT 0 FROM subscription WHERE mirror_dirty = 1 OR attach_after IS NOT NULL
  UNION ALL SELECT 0 FROM detachments
  UNION ALL SELECT 0 FROM jobs)`;
