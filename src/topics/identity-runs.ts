import {
  EMPTY_FILTER,
  findIn,
  type IdentityEntry,
  joined,
  mayHold,
  type Page,
  packEntries,
  pageOf,
  pagesOf,
  probeOf,
} from './identity-pages.ts';
import { FILTERS_KEPT, RUN_PAGES_CLEARED } from './limits.ts';
import type { LogState } from './log-state.ts';
import { nextWork, pageBits } from './run-work.ts';
import type { RunRow, Statements } from './sql.ts';

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
  readonly #state: LogState;
  #runs: RunRow[] | null = null;
  /** Of the pages looked into last. */
  readonly #filters = new Map<number, Uint8Array>();

  constructor(sql: Statements, state: LogState) {
    this.#sql = sql;
    this.#state = state;
  }

  /** The latest entry of an identity; null if there is none younger than the window. */
  find(identity: string, now: number, windowMs: number): IdentityEntry | null {
    const secret = this.#secret;
    const probe = probeOf(identity, secret);
    let found: IdentityEntry | null = null;
    for (const run of this.#loaded()) {
      if (now - run.newest_at >= windowMs) continue;
      const page = idOfPage(run.id, pageOf(probe, pageBits(run.level)));
      if (!mayHold(this.#filter(page), probe)) continue;
      const entries = this.#sql.entriesOfPage(page);
      const entry = entries === null ? null : findIn(new Uint8Array(entries), probe, secret);
      if (entry !== null && entry.sequence > (found?.sequence ?? 0)) found = entry;
    }
    return found;
  }

  /** Makes a run of entries. Part of a transaction. */
  add(entries: readonly IdentityEntry[]): void {
    if (entries.length === 0) return;
    const newestAt = entries.reduce((newest, { recordedAt }) => Math.max(newest, recordedAt), 0);
    const run = this.#put({ level: 0, newest_at: newestAt, merges_into: null, merged: null });
    this.#write(run.id, pagesOf(packEntries(entries), pageBits(0), this.#secret));
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
    const pages = sources.map(({ id }) => idOfPage(id, index));
    const entries = pages.flatMap((page) => {
      const found = this.#sql.entriesOfPage(page);
      return found === null ? [] : [new Uint8Array(found)];
    });
    this.#write(target.id, pagesOf(joined(entries), pageBits(target.level), this.#secret));
    for (const page of pages) {
      this.#sql.deletePage(page);
      this.#filters.delete(page);
    }
    const isLast = index + 1 === 2 ** pageBits(target.level - 1);
    this.#change({ ...target, merged: isLast ? null : index + 1 });
    if (isLast) for (const source of sources) this.#delete(source);
  }

  #clear(run: RunRow): void {
    const [first, last] = [idOfPage(run.id, 0), idOfPage(run.id + 1, 0) - 1];
    if (this.#sql.deletePages(first, last) < RUN_PAGES_CLEARED) this.#delete(run);
  }

  #write(run: number, pages: Page[]): void {
    for (const { index, filter, entries } of pages) {
      const id = idOfPage(run, index);
      this.#sql.addPage(id, filter.buffer, entries.buffer);
      this.#filters.delete(id);
    }
  }

  #filter(page: number): Uint8Array {
    const known = this.#filters.get(page);
    if (known !== undefined) return known;
    const stored = this.#sql.filterOfPage(page);
    const filter = stored === null ? EMPTY_FILTER : new Uint8Array(stored);
    for (const oldest of this.#filters.keys()) {
      if (this.#filters.size < FILTERS_KEPT) break;
      this.#filters.delete(oldest);
    }
    this.#filters.set(page, filter);
    return filter;
  }

  get #secret(): number {
    return this.#state.meta().index_secret;
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
    this.#runs = this.#loaded().filter(({ id }) => id !== run.id);
  }
}

/** Pages that a run can have: more than a log can hold identities for. */
const PAGES_MAX = 2 ** 24;

/** The key of a page's row. */
function idOfPage(run: number, index: number): number {
  return run * PAGES_MAX + index;
}
