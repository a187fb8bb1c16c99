import type { ObjectStorage } from '../platform.ts';
import type { Memories } from './memory.ts';
import type { LaneChange, LaneRow, NewLane, SubscriptionRow } from './rows.ts';
import { insertion } from './sql-rows.ts';

/** Lanes given at a time to whoever looks for those that have something to read. */
export const LANES_PAGE = 50;

const LIVE = "replay IS NULL AND status IN ('attaching', 'active')";
// As the partial index has it: the planner takes it only where it stands literally.
const UNPARKED = "parked IS NULL AND status IN ('active', 'attaching')";

/**
 * Statements on the subscription's row and its lanes. A limit stands in the text: bound, SQLite would prepare the statement
 * anew each time.
 */
export function laneStatements(storage: ObjectStorage, memories: Memories) {
  const { sql } = storage;
  const first = <Row>(rows: Row[]): Row | null => rows[0] ?? null;
  const lane = (id: number): LaneRow | null => {
    const kept = memories.laneRows.get(id);
    if (kept !== null) return kept;
    const row = first(sql.exec<LaneRow>('SELECT * FROM lanes WHERE id = ?', id).toArray());
    if (row !== null) memories.laneRows.keep(row);
    return row;
  };
  /** Which lanes, remembered; their rows as they are now. */
  const rowsOf = (ids: number[]): LaneRow[] => ids.map(lane).filter((row) => row !== null);
  const idsOf = (rows: Iterable<{ id: number }>): number[] => Array.from(rows, (row) => row.id);
  const unparked = memories.lanes.remembered((after: number) =>
    idsOf(
      sql.exec<{ id: number }>(
        `SELECT id FROM lanes WHERE ${UNPARKED} AND status = 'active' AND replay IS NULL AND id > ? ORDER BY id LIMIT ${LANES_PAGE}`,
        after,
      ),
    ),
  );
  const unreadReplays = memories.lanes.remembered((after: number) =>
    idsOf(
      sql.exec<{ id: number }>(
        `SELECT id FROM lanes WHERE ${UNPARKED} AND status = 'active' AND next <= until AND id > ? ORDER BY id LIMIT ${LANES_PAGE}`,
        after,
      ),
    ),
  );
  const paced = memories.lanes.remembered(() =>
    idsOf(
      sql.exec<{ id: number }>(
        "SELECT id FROM lanes WHERE replay IS NOT NULL AND status = 'active' AND rate_count IS NOT NULL AND next <= until",
      ),
    ),
  );
  const live = memories.lanes.remembered((topic: string) =>
    idsOf(sql.exec<{ id: number }>(`SELECT id FROM lanes WHERE topic = ? AND ${LIVE}`, topic)),
  );
  /** Would this change which lanes have something to read? A live lane has until it is parked, wherever its cursor is. */
  const changesWhich = (id: number, columns: Partial<LaneRow>): boolean =>
    Object.keys(columns).some((column) => column !== 'next') || ('next' in columns && lane(id)?.replay !== null);
  return {
    // The subscription
    subscription: () => first(sql.exec<SubscriptionRow>('SELECT * FROM subscription').toArray()),
    putSubscription: (row: SubscriptionRow) =>
      sql.exec(...insertion('INSERT OR REPLACE', 'subscription', { ...row, id: 0 })),

    // Lanes
    lane,
    liveLane: (topic: string) => first(rowsOf(live(topic))),
    /** The lane that keeps the books of a topic, subscribed or not any more. */
    countingLane: (topic: string) =>
      first(
        sql
          .exec<LaneRow>(
            "SELECT * FROM lanes WHERE topic = ? AND replay IS NULL AND status <> 'uncounted' ORDER BY id DESC LIMIT 1",
            topic,
          )
          .toArray(),
      ),
    /** A lane of the topic that is in no sums. */
    uncountedLane: (topic: string) =>
      first(
        sql
          .exec<LaneRow>(
            "SELECT * FROM lanes WHERE topic = ? AND replay IS NULL AND status = 'uncounted' ORDER BY id DESC LIMIT 1",
            topic,
          )
          .toArray(),
      ),
    liveLanesAfter: (id: number, limit: number) =>
      sql.exec<LaneRow>(`SELECT * FROM lanes WHERE id > ? AND ${LIVE} ORDER BY id LIMIT ${limit}`, id).toArray(),
    replayLane: (replay: string) => first(sql.exec<LaneRow>('SELECT * FROM lanes WHERE replay = ?', replay).toArray()),
    /** The books of everything but the replays, and the letters that nothing counts. */
    totals: () =>
      sql
        .exec<
          Record<
            'delivered' | 'filtered' | 'skipped' | 'discarded' | 'dead' | 'failed' | 'in_flight' | 'retrying' | 'held',
            number
          >
        >(
          `SELECT ${['delivered', 'filtered', 'skipped', 'discarded', 'dead', 'failed', 'in_flight', 'retrying', 'held']
            .map((column) => `coalesce(sum(${column}), 0) AS ${column}`)
            .join(', ')} FROM lanes WHERE replay IS NULL AND status <> 'uncounted'`,
        )
        .one(),
    activeReplays: (topic: string) =>
      sql
        .exec<LaneRow>("SELECT * FROM lanes WHERE topic = ? AND replay IS NOT NULL AND status = 'active'", topic)
        .toArray(),
    /** Live lanes that have something to read, by id. */
    unparkedAfter: (id: number) => rowsOf(unparked(id)),
    /** Replays that have something to read, by id. */
    unreadReplaysAfter: (id: number) => rowsOf(unreadReplays(id)),
    hasUnread: memories.lanes.remembered(
      () =>
        sql
          .exec(
            `SELECT 1 AS one FROM lanes WHERE ${UNPARKED} AND status = 'active' AND (until IS NULL OR next <= until) LIMIT 1`,
          )
          .toArray().length > 0,
    ),
    attachingAfter: (id: number, limit: number) =>
      sql
        .exec<LaneRow>(`SELECT * FROM lanes WHERE status = 'attaching' AND id > ? ORDER BY id LIMIT ${limit}`, id)
        .toArray(),
    /** Replays with a rate of their own that have something to read. */
    pacedReplays: () => rowsOf(paced()),
    /** Exceptions that are in no lease, of all lanes. */
    retrying: memories.retrying.remembered(
      () =>
        sql
          .exec<{ retrying: number }>('SELECT coalesce(sum(retrying), 0) AS retrying FROM lanes WHERE retrying > 0')
          .one().retrying,
    ),
    unmirrored: () => first(sql.exec<LaneRow>('SELECT * FROM lanes WHERE mirrored = 0 LIMIT 1').toArray()),
    addLane: (row: NewLane) => {
      memories.forget();
      const [query, ...values] = insertion('INSERT', 'lanes', row);
      return sql.exec<{ id: number }>(`${query} RETURNING id`, ...values).one().id;
    },
    /** Sets columns of a lane. */
    setLane: (id: number, columns: Partial<LaneRow>) => {
      memories.outbox.changed(null);
      memories.lanes.changed(null);
      memories.retrying.changed(null);
      const names = Object.keys(columns);
      sql.exec(
        `UPDATE lanes SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
        ...Object.values(columns),
        id,
      );
      memories.laneRows.move(id, {}, columns);
    },
    /** Adds to the counters of a lane and sets columns of it, in one write. */
    moveLane: (id: number, change: LaneChange, columns: Partial<LaneRow> = {}) => {
      const added = Object.entries(change).filter(([, difference]) => difference !== 0);
      const names = Object.keys(columns);
      if (added.length + names.length === 0) return;
      if ('status' in columns) memories.outbox.changed(null);
      if (changesWhich(id, columns)) memories.lanes.changed(null);
      if ('retrying' in change) memories.retrying.changed(null);
      const assignments = [...added.map(([name]) => `${name} = ${name} + ?`), ...names.map((name) => `${name} = ?`)];
      sql.exec(
        `UPDATE lanes SET ${assignments.join(', ')} WHERE id = ?`,
        ...added.map(([, difference]) => difference),
        ...Object.values(columns),
        id,
      );
      memories.laneRows.move(id, change, columns);
    },
  };
}
