import { SYSTEM_TOPIC } from '../../src/system/shapes.ts';
import type { Violation } from '../history/operations.ts';
import type { NodeStorage } from '../support/node-storage.ts';
import type { World } from './world.ts';

/** Looks at the tables of every Subscription that has written since the last look. */
export class TableWatch {
  readonly #world: World;
  readonly #seen = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** What the tables must say of each other after each transaction, whatever happens. */
  check(violations: Violation[]): void {
    for (const host of this.#world.subscriptions.values()) {
      const { storage } = host;
      if (this.#seen.get(host.name) === storage.writes) {
        continue;
      }
      this.#seen.set(host.name, storage.writes);
      for (const { rule, detail } of brokenRules(storage)) {
        violations.push({ rule, detail: `${host.name}: ${detail}` });
      }
      if (!host.hasAlarm) {
        for (const row of storage.sql.exec(NEEDS_ALARM).toArray()) {
          violations.push({ rule: 'alarm', detail: `${host.name} has no alarm in spite of ${JSON.stringify(row)}` });
        }
      }
    }
  }
}

/** What the tables of a Subscription contradict themselves in. */
export function brokenRules(storage: NodeStorage): Violation[] {
  return storage.sql.exec<{ rule: string; detail: string }>(ALL_RULES).toArray();
}

/** Each log's postings have the keys of all its events up to where it says, each once, and none that no event has. */
export function checkKeys(world: World, violations: Violation[]): void {
  for (const { name, storage } of world.topics.values()) {
    const found = storage.sql
      .exec<{ entry: string }>(
        `WITH stored AS (SELECT coalesce(json_extract(line.value, '$.partitionkey'), json_extract(line.value, '$.subject')) AS key, segments.first + line.key AS sequence
           FROM segments, json_each('[' || replace(body, char(10), ',') || ']') AS line),
         expected AS (SELECT key, sequence FROM stored, meta WHERE key IS NOT NULL AND sequence <= keyed_through),
         posted AS (SELECT postings.key AS key, value AS sequence, first, last, sequences FROM postings, json_each(sequences)),
         known AS (SELECT key, sequence FROM posted, meta WHERE sequence <= keyed_through)
         SELECT 'lacks ' || key || ' ' || sequence AS entry FROM (SELECT * FROM expected EXCEPT SELECT * FROM known)
         UNION ALL SELECT 'has ' || key || ' ' || sequence FROM (SELECT key, sequence FROM posted EXCEPT SELECT * FROM stored)
         UNION ALL SELECT 'has twice ' || key || ' ' || sequence FROM posted GROUP BY key, sequence HAVING count(*) > 1
         UNION ALL SELECT 'has out of order ' || key || ' ' || sequences FROM posted
           GROUP BY key, first HAVING min(sequence) <> first OR max(sequence) <> last`,
      )
      .toArray();
    for (const { entry } of found) violations.push({ rule: 'keys', detail: `the index of ${name} ${entry}` });
  }
}

/** On the hub's own topic stands each thing once, every death is in the sums, and a topic is made and deleted by turns. */
export function checkTold(world: World, violations: Violation[]): void {
  const told = toldEvents(world);
  const ids = new Set(told.map(({ source, id }) => `${source} ${id}`));
  if (ids.size < told.length) {
    violations.push({ rule: 'told', detail: `${told.length - ids.size} system events are there twice` });
  }
  for (const { name, storage } of world.subscriptions.values()) {
    const [row] = storage.sql.exec<{ deaths: string }>('SELECT deaths FROM subscription').toArray();
    const died = Object.values<number>(JSON.parse(row?.deaths ?? '{}')).reduce((sum, count) => sum + count, 0);
    const own = told.filter(({ source }) => source === `/subscriptions/${name}`);
    const counts = own.filter(({ type }) => type === 'millrace.delivery.dead').map(({ data }) => data.count ?? 0);
    const counted = counts.reduce((sum, count) => sum + count, 0);
    // One that was made again counts from then on.
    const isFirst = own.filter(({ type }) => type === 'millrace.subscription.created').length <= 1;
    if (isFirst ? counted !== died : counted < died)
      violations.push({ rule: 'told', detail: `${name}: ${died} died, ${counted} were told of` });
  }
  for (const topic of Map.groupBy(told, ({ source }) => source).values()) {
    const made = topic.filter(({ type }) => /^millrace\.topic\.(created|deleted)$/.test(type)).map(({ type }) => type);
    if (made.some((type, index) => type.endsWith('created') !== (index % 2 === 0))) {
      violations.push({ rule: 'told', detail: `${topic[0]?.source}: ${made.join(', ')}` });
    }
  }
}

interface Told {
  source: string;
  id: string;
  type: string;
  data: { count?: number };
}

function toldEvents(world: World): Told[] {
  const storage = world.topics.get(SYSTEM_TOPIC)?.storage;
  if (storage === undefined) return [];
  const bodies = storage.sql.exec<{ body: string }>('SELECT body FROM segments ORDER BY first').toArray();
  return bodies.flatMap(({ body }) => body.split('\n').map((line): Told => JSON.parse(line)));
}

const LANE = "json_object('id', id, 'topic', topic, 'replay', replay, 'status', status, 'next', next)";
const COUNTED = "status NOT IN ('cancelled', 'failed', 'removed', 'uncounted')";

/** What failed and is said to be behind another of its key though there is none before it, or the other way round. */
export const BEHIND_STALE = `SELECT lane || ' ' || sequence AS detail FROM exceptions AS later
  WHERE behind <> (redriven = 0 AND EXISTS (
    SELECT 1 FROM exceptions WHERE lane = later.lane AND key = later.key AND redriven = 0 AND sequence < later.sequence))`;

/** Each finds nothing unless a rule is broken. */
const RULES: Record<string, string> = {
  'lane-sum': `SELECT ${LANE} AS detail FROM lanes WHERE ${COUNTED}
    AND delivered + dead + in_flight + retrying + held + filtered + skipped + discarded <> next - 1 - origin`,
  // Only a seek counts sequences from before its start, as skipped; nothing else may enter the books beside the cursor.
  origin: `SELECT ${LANE} AS detail FROM lanes WHERE start - 1 - origin NOT BETWEEN 0 AND skipped`,
  'in-flight': `SELECT ${LANE} AS detail FROM lanes WHERE status NOT IN ('cancelled', 'failed', 'removed')
    AND in_flight <> (SELECT coalesce(sum(count), 0) FROM leases WHERE lane = lanes.id)`,
  'lease-count': `SELECT sequences AS detail FROM leases
    WHERE count <> json_array_length(sequences) OR (count = 0 AND strays IS NULL)`,
  // What may be under way is somebody's who can say so, and comes to an end.
  strays: `SELECT strays AS detail FROM leases
    WHERE strays IS NOT NULL AND (token IS NULL OR held_since IS NOT NULL OR json_array_length(strays) = 0)`,
  'lease-once': `SELECT lane || ' ' || value AS detail FROM leases, json_each(sequences) GROUP BY lane, value HAVING count(*) > 1`,
  'lease-examined': `SELECT lane || ' ' || value AS detail FROM leases JOIN lanes ON lanes.id = lane, json_each(sequences)
    WHERE value >= next AND status NOT IN ('removed', 'uncounted')`,
  'lease-orphan': 'SELECT lane AS detail FROM leases WHERE lane NOT IN (SELECT id FROM lanes)',
  retrying: `SELECT ${LANE} AS detail FROM lanes
    WHERE retrying <> (SELECT count(*) FROM exceptions WHERE lane = lanes.id AND lease IS NULL)`,
  'exception-lease': `SELECT lane || ' ' || sequence AS detail FROM exceptions WHERE lease IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM leases, json_each(sequences) WHERE leases.id = exceptions.lease AND value = exceptions.sequence)`,
  'exception-orphan':
    "SELECT lane || ' ' || sequence AS detail FROM exceptions WHERE lane NOT IN (SELECT id FROM lanes)",
  'lease-keys': 'SELECT keys AS detail FROM leases WHERE json_array_length(keys) <> count',
  // At most one lease has a key, of all lanes of a topic.
  'one-turn': `SELECT topic || ' ' || value AS detail FROM leases JOIN lanes ON lanes.id = lane, json_each(keys)
    WHERE value IS NOT NULL GROUP BY topic, value HAVING count(DISTINCT leases.id) > 1`,
  'one-topic': `SELECT topic AS detail FROM leases JOIN lanes ON lanes.id = lane
    WHERE (SELECT ordering FROM subscription) = 'topic' GROUP BY topic HAVING count(*) > 1`,
  'hold-range': `SELECT lane || ' ' || key AS detail FROM holds LEFT JOIN lanes ON lanes.id = lane
    WHERE lanes.id IS NULL OR holds.first NOT BETWEEN lanes.start AND lanes.next - 1`,
  'hold-blocked': `SELECT lane || ' ' || key AS detail FROM holds WHERE blocked <> EXISTS (
    SELECT 1 FROM exceptions WHERE lane = holds.lane AND key = holds.key AND redriven = 0)`,
  'behind-stale': BEHIND_STALE,
  // What is tried again or under way comes before whatever waits behind it.
  'hold-behind': `SELECT lane || ' ' || key AS detail FROM holds WHERE EXISTS (
      SELECT 1 FROM exceptions WHERE lane = holds.lane AND key = holds.key AND redriven = 0 AND sequence >= first)
    OR EXISTS (SELECT 1 FROM leases, json_each(keys) AS k, json_each(sequences) AS s
      WHERE lane = holds.lane AND retry = 0 AND k.value = holds.key AND s.key = k.key AND s.value >= first)`,
  'held-by': `SELECT ${LANE} AS detail FROM lanes WHERE held > 0 AND NOT EXISTS (SELECT 1 FROM holds WHERE lane = lanes.id)`,
  'dead-count': `SELECT ${LANE} AS detail FROM lanes WHERE replay IS NULL AND status NOT IN ('removed', 'uncounted')
    AND dead <> (SELECT count(*) FROM letters WHERE lane = lanes.id AND state = 'open')`,
  'one-live-lane': `SELECT topic AS detail FROM lanes WHERE replay IS NULL AND status IN ('active', 'attaching')
    GROUP BY topic HAVING count(*) > 1`,
  'replay-range': `SELECT ${LANE} AS detail FROM lanes WHERE replay IS NOT NULL AND next > until + 1`,
  negative: `SELECT ${LANE} AS detail FROM lanes
    WHERE min(delivered, filtered, skipped, discarded, dead, failed, in_flight, retrying, held) < 0`,
};

const ALL_RULES = Object.entries(RULES)
  .map(([rule, query]) => `SELECT '${rule}' AS rule, detail FROM (${query})`)
  .join(' UNION ALL ');

/** It is not paused or disabled, and nobody has to ask for what it delivers. */
const DELIVERS = "NOT paused AND disabled_reason IS NULL AND json_extract(document, '$.delivery.kind') <> 'pull'";

/** What asks for an alarm: an active lane that isn't parked, a lease, a due exception, an outbox. */
const NEEDS_ALARM = `
  SELECT 'lane' AS what, lanes.id AS id FROM lanes, subscription
    WHERE parked IS NULL AND lanes.status IN ('active', 'attaching') AND (until IS NULL OR next <= until)
      AND ${DELIVERS}
  UNION ALL SELECT 'hold', first FROM holds, subscription WHERE ${DELIVERS}
  UNION ALL SELECT 'lease', leases.id FROM leases, subscription WHERE token IS NOT NULL OR (${DELIVERS})
  UNION ALL SELECT 'exception', sequence FROM exceptions, subscription
    WHERE lease IS NULL AND ${DELIVERS}
  UNION ALL SELECT 'consent', 0 FROM subscription WHERE document IS NOT NULL AND NOT paused AND disabled_reason IS NULL AND consent = 'pending'
  UNION ALL SELECT 'letter', sequence FROM letters WHERE dirty = 1
  UNION ALL SELECT 'mirror', 0 FROM subscription WHERE mirror_dirty = 1
  UNION ALL SELECT 'detachment', 0 FROM detachments
  UNION ALL SELECT 'notice', position FROM notices
  UNION ALL SELECT 'job', 0 FROM jobs, subscription WHERE document IS NOT NULL`;

/** What is left to do, as far as the tables say; null if nothing is. */
export function leftToDo(world: World): string | null {
  if (world.consumers.running.size > 0) {
    return 'a consumer runs';
  }
  for (const host of world.subscriptions.values()) {
    const [busy] = host.storage.sql.exec<{ what: string; id: number }>(BUSY).toArray();
    if (busy !== undefined) {
      return `${host.name}: ${busy.what} ${busy.id}`;
    }
  }
  for (const host of world.topics.values()) {
    if (host.storage.sql.exec('SELECT 1 FROM meta WHERE catalogued <> incarnation').toArray().length > 0) {
      return `${host.name} is not announced`;
    }
    if (host.storage.sql.exec('SELECT 1 FROM notices').toArray().length > 0) {
      return `${host.name} is not told of`;
    }
  }
  const stalled = world.network.d1.query('SELECT name FROM subscriptions WHERE stalled_at IS NOT NULL AND deleted = 0');
  return stalled.length === 0 ? null : `stalled: ${JSON.stringify(stalled)}`;
}

const BUSY = `
  SELECT 'lane ' || lanes.status AS what, lanes.id AS id FROM lanes, subscription WHERE parked IS NULL AND lanes.status IN ('active', 'attaching')
    AND document IS NOT NULL AND NOT paused AND disabled_reason IS NULL
  UNION ALL SELECT 'pending', id FROM lanes WHERE status IN ('active', 'removed', 'uncounted') AND in_flight + retrying + held > 0
    AND (SELECT document IS NOT NULL AND NOT paused AND disabled_reason IS NULL FROM subscription)
  UNION ALL SELECT 'letter', sequence FROM letters WHERE dirty = 1
  UNION ALL SELECT 'mirror', 0 FROM subscription WHERE mirror_dirty = 1 OR attach_after IS NOT NULL
  UNION ALL SELECT 'detachment', 0 FROM detachments
  UNION ALL SELECT 'notice', position FROM notices
  UNION ALL SELECT 'job', 0 FROM jobs
  LIMIT 1`;
