import {
  ENTRY_BYTES,
  FILTER_BYTES,
  findIn,
  joined,
  mayHold,
  newestIn,
  type Page,
  type Probe,
  pageOf,
  pagesOf,
  type Recorded,
} from './identity-pages.ts';
import { KeptFilters } from './kept-filters.ts';
import { RUN_PAGES_CLEARED } from './limits.ts';
import type { RunRow } from './rows.ts';
import { levelOf, nextWork, pageBits, pagesIn } from './run-work.ts';
import type { Statements } from './sql.ts';

/**
 * The identities of a log that are no longer among the youngest: runs of sorted pages in the log's tables. A run is made of
 * the identities of a stretch of the log; runs of one size are merged into one eight times as large, a bounded piece at a
 * time, so that there are few of them, and each goes as a whole when it is older than the window. So an identity costs
 * hundredths of a row, and however many there are, writing one touches no page of all the others.
 *
 * A page moves into the merged run in one transaction: where it isn't, there is nothing to be found. So whoever looks
 * something up needs to know nothing of merges.
 */
export class IdentityRuns {
  readonly #sql: Statements;
  readonly #secretOf: () => number;
  #runs: RunRow[] | null = null;
  readonly #filters = new KeptFilters();

  /** @param secretOf gives the number that makes places (identity-pages.ts) this log's own */
  constructor(sql: Statements, secretOf: () => number) {
    this.#sql = sql;
    this.#secretOf = secretOf;
  }

  /** Of each of some identities whether it may be in a run: 1 or 0. Asked run by run: see KeptFilters. */
  mayHold(probes: readonly Probe[]): Uint8Array {
    const answers = new Uint8Array(probes.length);
    for (const { id, level } of this.#loaded()) this.#filters.mark(id, pageBits(level), probes, answers);
    return answers;
  }

  /** The latest entry of an identity; null if there is none younger than the window. */
  find(probe: Probe, now: number, windowMs: number): Recorded | null {
    let found: Recorded | null = null;
    for (const run of this.#loaded()) {
      const page = pageOf(probe, pageBits(run.level));
      if (now - run.newest_at >= windowMs || !this.#mayHold(run, page, probe)) continue;
      const entries = this.#sql.entriesOfPage(idOfPage(run.id, page));
      const entry = entries === null ? null : findIn(new Uint8Array(entries), probe, this.#secret);
      if (entry !== null && entry.sequence > (found?.sequence ?? 0)) found = entry;
    }
    return found;
  }

  /** Makes a run of entries. Part of a transaction. */
  add(entries: Uint8Array): void {
    if (entries.length === 0) return;
    const level = levelOf(entries.length / ENTRY_BYTES);
    const run = this.#put({ level, newest_at: newestIn(entries), merges_into: null, merged: null });
    this.#write(run, pagesOf(entries, pageBits(level), this.#secret));
  }

  /** Does a bounded piece of what there is to do, merging or clearing away; false: there is nothing. Part of a transaction. */
  work(now: number, windowMs: number): boolean {
    const work = nextWork(this.#loaded(), now, windowMs);
    switch (work.kind) {
      case 'none':
        return false;
      case 'clear':
        this.#clear(work.run);
        return true;
      case 'begin': {
        const newestAt = work.sources.reduce((newest, run) => Math.max(newest, run.newest_at), 0);
        const target = this.#put({ level: work.level, newest_at: newestAt, merges_into: null, merged: 0 });
        for (const source of work.sources) this.#change({ ...source, merges_into: target.id });
        return true;
      }
      case 'merge':
        this.#merge(work.target, work.sources);
        return true;
    }
  }

  /** Forgets what memory holds of the tables. */
  forget(): void {
    this.#runs = null;
    this.#filters.clear();
  }

  /** Moves the next page of each source, and so the next eight of the target. */
  #merge(target: RunRow, sources: RunRow[]): void {
    const index = target.merged ?? 0;
    const entries = sources.flatMap(({ id }) => {
      const found = this.#sql.entriesOfPage(idOfPage(id, index));
      return found === null ? [] : [new Uint8Array(found)];
    });
    this.#write(target, pagesOf(joined(entries), pageBits(target.level), this.#secret));
    for (const { id, level } of sources) {
      this.#sql.deletePage(idOfPage(id, index));
      this.#filters.set(id, pagesIn(level), index, EMPTY_FILTER);
    }
    const isLast = index + 1 === pagesIn(target.level - 1);
    this.#change({ ...target, merged: isLast ? null : index + 1 });
    if (isLast) for (const source of sources) this.#delete(source);
  }

  #clear(run: RunRow): void {
    const [first, last] = [idOfPage(run.id, 0), idOfPage(run.id + 1, 0) - 1];
    if (this.#sql.deletePages(first, last) < RUN_PAGES_CLEARED) this.#delete(run);
  }

  #write({ id, level }: RunRow, pages: Page[]): void {
    for (const { index, filter, entries } of pages) {
      this.#sql.addPage(idOfPage(id, index), filter.buffer, entries.buffer);
      this.#filters.set(id, pagesIn(level), index, filter);
    }
  }

  #mayHold({ id, level }: RunRow, page: number, probe: Probe): boolean {
    const known = this.#filters.mayHold(id, pagesIn(level), page, probe);
    if (known !== null) return known;
    const stored = this.#sql.filterOfPage(idOfPage(id, page));
    const filter = stored === null ? EMPTY_FILTER : new Uint8Array(stored);
    this.#filters.set(id, pagesIn(level), page, filter);
    return mayHold(filter, 0, probe);
  }

  get #secret(): number {
    return this.#secretOf();
  }

  #loaded(): RunRow[] {
    this.#runs ??= this.#sql.runs();
    return this.#runs;
  }

  #put(columns: Omit<RunRow, 'id'>): RunRow {
    const run = { id: (this.#loaded().at(-1)?.id ?? 0) + 1, ...columns };
    this.#sql.putRun(run);
    this.#loaded().push(run);
    return run;
  }

  #change(run: RunRow): void {
    this.#sql.putRun(run);
    this.#runs = this.#loaded().map((known) => (known.id === run.id ? run : known));
  }

  #delete(run: RunRow): void {
    this.#sql.deleteRun(run.id);
    this.#filters.forget(run.id);
    this.#runs = this.#loaded().filter(({ id }) => id !== run.id);
  }
}

/** The filter of a page that holds nothing. */
const EMPTY_FILTER = new Uint8Array(FILTER_BYTES);

/** Pages that a run can have: more than a log can hold identities for. */
const PAGES_MAX = 2 ** 24;

/** The key of a page's row. */
function idOfPage(run: number, index: number): number {
  return run * PAGES_MAX + index;
}
