import { compileMatch } from '../events/filters.ts';
import type { Arrivals } from './arrivals.ts';
import { SUBSCRIBERS_PAGE } from './limits.ts';
import type { ParkedRow } from './rows.ts';
import type { Matcher } from './scan.ts';
import type { Statements } from './sql.ts';

/** A subscription that waits for the next event that matches. */
export interface Park {
  name: string;
  attachment: string;
  ticket: number;
  /** First sequence the subscription has not examined. */
  next: number;
  low: number;
  types: string[];
  /** The first event since the park that matches; null: none has come. */
  owed: number | null;
}

/** Parks that wait for the same types and are owed nothing. */
interface Group {
  types: string[];
  idle: Set<Park>;
}

/**
 * The parked rows of `subscribers`, in memory: an append has to know whom it wakes. Read when first needed, bounded by the
 * number of subscriptions, changed only after the transaction that changed the rows.
 */
export class Parks {
  readonly #sql: Statements;
  #parks: Map<string, Park> | null = null;
  #groups = new Map<string, Group>();
  #owed = new Set<string>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  get(name: string): Park | undefined {
    return this.#loaded().get(name);
  }

  /** The names of those that are owed a wake. */
  owed(): ReadonlySet<string> {
    this.#loaded();
    return this.#owed;
  }

  /** Those owed nothing yet that one of the new events matches, each with the first that does. */
  concerned(arrivals: Arrivals): { park: Park; sequence: number }[] {
    this.#loaded();
    const concerned: { park: Park; sequence: number }[] = [];
    for (const { types, idle } of this.#groups.values()) {
      const sequence = arrivals.firstOfTypes(types);
      if (sequence !== null) {
        for (const park of idle) {
          concerned.push({ park, sequence });
        }
      }
    }
    return concerned;
  }

  put(park: Park): void {
    this.delete(park.name);
    this.#loaded().set(park.name, park);
    if (park.owed !== null) {
      this.#owed.add(park.name);
      return;
    }
    const key = groupKey(park);
    const group = this.#groups.get(key) ?? { types: park.types, idle: new Set() };
    group.idle.add(park);
    this.#groups.set(key, group);
  }

  delete(name: string): void {
    const park = this.#loaded().get(name);
    if (park === undefined) {
      return;
    }
    this.#loaded().delete(name);
    this.#owed.delete(name);
    const key = groupKey(park);
    const group = this.#groups.get(key);
    group?.idle.delete(park);
    if (group?.idle.size === 0) {
      this.#groups.delete(key);
    }
  }

  forget(): void {
    this.#parks = null;
  }

  #loaded(): Map<string, Park> {
    if (this.#parks === null) {
      this.#parks = new Map();
      this.#groups = new Map();
      this.#owed = new Set();
      try {
        this.#load();
      } catch (error) {
        // Half of them would look like all.
        this.#parks = null;
        throw error;
      }
    }
    return this.#parks;
  }

  #load(): void {
    for (let after = ''; ; ) {
      const page = this.#sql.parkedAfter(after, SUBSCRIBERS_PAGE);
      for (const row of page) {
        this.put(parkOf(row));
      }
      const last = page.at(-1);
      if (last === undefined || page.length < SUBSCRIBERS_PAGE) {
        return;
      }
      after = last.name;
    }
  }
}

/** Chooses events by a subscription's type patterns. */
export function typesMatcher(types: string[]): Matcher {
  return compileMatch({ types, exactTypes: [], sources: [], subjects: [] });
}

function parkOf(row: ParkedRow): Park {
  const types: string[] = JSON.parse(row.types);
  return { ...row, types };
}

function groupKey(park: Park): string {
  return JSON.stringify(park.types);
}
