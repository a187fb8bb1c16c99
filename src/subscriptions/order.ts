import { orderingKey } from '../events/ordering-key.ts';
import type { Core } from './core.ts';
import { ackDeadlineOf, attemptMaxMs, isBatch, leaseEventsMax } from './delivery-kinds.ts';
import { keysOf, type Leased, WHOLE_TOPIC } from './lease-content.ts';
import { HOLDS_MAX, KEY_RUN_MAX, LEASE_WORK_MS } from './limits.ts';
import { type Page, type Picked, pickByKey, pickFreely, pickInTurn } from './picking.ts';
import type { LaneRow } from './rows.ts';
import type { DueException } from './sql-exceptions.ts';

/** Exceptions that go next, and the batch that they are, if they were one before. */
interface Due {
  lane: number;
  content: Leased[];
  batch: number | null;
}

/** What may go next (design: "Order, exactly"). Keys under way are one set over live delivery, replays and redriven letters. */
export class Order {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * A new ordering takes effect once nothing that was leased by the old one is in flight: false while that is waited for, and
   * nothing may be leased.
   */
  isSettled(): boolean {
    const { ordering } = this.#core.document;
    if (this.#core.ordering === ordering) return true;
    if (this.#core.sql.inFlight().leases > 0) return false;
    this.#core.tx(() => this.#core.setRow({ ordering }));
    return true;
  }

  /** How many events of one key a lease may hold: those of a batch, or that the consumer finishes in its time, one by one. */
  runMax(swift: boolean): number {
    const { delivery } = this.#core.document;
    if (isBatch(delivery)) return delivery.maxBatch;
    // Where each is settled by itself nobody sees to it that they go one after the other.
    if (ackDeadlineOf(delivery) !== null) return 1;
    const whole = leaseEventsMax(delivery, { alone: true, swift: true });
    const most = this.#core.ordering === 'topic' ? whole : Math.min(whole, KEY_RUN_MAX);
    const timely = Math.floor(LEASE_WORK_MS / attemptMaxMs(delivery));
    return swift ? most : Math.max(1, Math.min(most, timely));
  }

  /** The keys of a topic with a delivery under way, in whichever lane. */
  keysUnderWay(topic: string): ReadonlySet<string> {
    return this.#core.sql.underWay().get(topic) ?? NONE;
  }

  /** The same, but for what one lease holds itself. */
  keysUnderWayBeside(topic: string, lease: number): ReadonlySet<string> {
    const { sql } = this.#core;
    const others = sql.leases().filter(({ id, lane }) => id !== lease && sql.lane(lane)?.topic === topic);
    return new Set(others.flatMap(keysOf));
  }

  /**
   * Where a whole topic is in order: may something of the lane be leased now? What is tried again comes first, then what it
   * holds since another ordering, then what stands at its `next`.
   */
  isTurnOf(lane: LaneRow, what: 'held' | 'next'): boolean {
    const { sql, ordering } = this.#core;
    if (ordering !== 'topic') return true;
    return (
      !sql.underWay().has(lane.topic) &&
      sql.lowestException(lane.id) === null &&
      (what === 'held' || sql.holdCount() === 0 || sql.holdsOf(lane.id).length === 0)
    );
  }

  /** Retries that are due and whose turn it is, all of one lane; where they go in batches, those of one. */
  dueRetries(now: number, limit: number, swift: boolean): Due | null {
    const { sql, ordering } = this.#core;
    const inBatches = isBatch(this.#core.document.delivery);
    if (ordering === 'none') {
      const first = this.#core.silence.firstDue(now);
      if (!first || first.due > now) return null;
      const rows = sql.dueIn(first.lane, now, limit);
      if (inBatches) return this.#batchOf(first.lane, rows, () => null);
      return { lane: first.lane, content: rows.map(({ sequence }) => ({ sequence, key: null })), batch: null };
    }
    const busy = [...sql.underWay()].flatMap(([topic, keys]) =>
      ordering === 'topic' ? [topic] : [...keys].map((key) => `${topic} ${key}`),
    );
    const rows = this.#dueInOrder(now, ordering, busy, limit);
    const [first] = rows;
    if (!first) return null;
    const keyOf = ({ key }: DueException) => (ordering === 'topic' ? WHOLE_TOPIC : key === WHOLE_TOPIC ? null : key);
    if (inBatches) return this.#batchOf(first.lane, rows, keyOf);
    const runMax = this.runMax(swift);
    const counts = new Map<string, number>();
    const content = rows.flatMap((row): Leased[] => {
      const { sequence } = row;
      const key = keyOf(row);
      if (key === null) return [{ sequence, key }];
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return count > runMax ? [] : [{ sequence, key }];
    });
    return { lane: first.lane, content, batch: null };
  }

  /** The first that are due and not busy, past all lanes of which nothing more is tried now. */
  #dueInOrder(now: number, by: 'key' | 'topic', busy: readonly string[], limit: number) {
    const { sql, silence } = this.#core;
    const heldBack = silence.heldBack(now);
    if (heldBack.length === 0) return sql.dueInOrder(now, by, busy, limit, null);
    for (const { lane, due } of sql.lanesDueBeside(heldBack)) {
      const rows = due > now ? [] : sql.dueInOrder(now, by, busy, limit, lane);
      if (rows.length > 0) return rows;
    }
    return [];
  }

  /** What goes with the first in one request: all of its batch, however many they are; else what is like it and in none. */
  #batchOf(lane: number, rows: DueException[], keyOf: (row: DueException) => string | null): Due | null {
    const [first] = rows;
    if (first === undefined) return null;
    const key = keyOf(first);
    const isLike = (row: DueException) => row.batch === null && row.redriven === first.redriven && keyOf(row) === key;
    const { sql, ordering } = this.#core;
    const busy = ordering === 'key' ? this.keysUnderWay(sql.lane(lane)?.topic ?? '') : NONE;
    const members =
      first.batch === null
        ? rows.filter(isLike)
        : sql.membersOf(lane, first.batch).filter((row) => !busy.has(keyOf(row) ?? ''));
    return { lane, content: members.map((row) => ({ sequence: row.sequence, key: keyOf(row) })), batch: first.batch };
  }

  /** What of a page at the lane's `next` goes, what is held, and up to where that leads. */
  pick(lane: LaneRow, page: Page, swift: boolean): Picked {
    switch (this.#core.ordering) {
      case 'none':
        // What was ordered by another key before is finished in its order.
        return this.#core.sql.holdCount() === 0 && this.#core.sql.inFlight().keyed === 0
          ? pickFreely(page)
          : this.#pickByKey(lane, page, swift);
      case 'topic':
        return this.isTurnOf(lane, 'next')
          ? pickInTurn(WHOLE_TOPIC, page, this.runMax(swift))
          : { runs: [], taken: 0, held: 0, holds: [], last: lane.next - 1 };
      case 'key':
        return this.#pickByKey(lane, page, swift);
    }
  }

  #pickByKey(lane: LaneRow, page: Page, swift: boolean): Picked {
    const { sql } = this.#core;
    const keysOf = new Map(page.events.map((event) => [event, orderingKey(event.json)]));
    const keys = [...new Set(keysOf.values())].filter((key) => key !== null);
    const count = sql.holdCount();
    const held = new Set(count === 0 ? [] : sql.heldAmong(lane.id, keys));
    const underWay = this.keysUnderWay(lane.topic);
    const ordered = this.#core.ordering === 'key';
    const anyRetry = ordered && sql.lowestException(lane.id) !== null;
    const retrying = new Set(anyRetry ? sql.retryingAmong(lane.id, keys) : []);
    return pickByKey(page, {
      keyOf: (event) => {
        const key = keysOf.get(event) ?? null;
        return key !== null && (ordered || held.has(key) || underWay.has(key)) ? key : null;
      },
      isHeld: (key) => held.has(key),
      isBusy: (key) => underWay.has(key) || retrying.has(key),
      runMax: this.runMax(swift),
      holdsMax: Math.max(0, HOLDS_MAX - count),
    });
  }
}

const NONE: ReadonlySet<string> = new Set();
