import { RUNS_MERGED } from './limits.ts';
import type { RunRow } from './rows.ts';

/** What is to be done to the runs of identities, and how a run is cut: pure decisions. */

export type RunWork =
  /** Starts merging runs of one level into a new one of the next. */
  | { kind: 'begin'; level: number; sources: RunRow[] }
  /** Goes on with a merge. */
  | { kind: 'merge'; target: RunRow; sources: RunRow[] }
  /** Clears away a run that is older than the window. */
  | { kind: 'clear'; run: RunRow }
  | { kind: 'none' };

/** Runs of the first level have 2 ** 3 pages, and each level eight times as many as the one below. */
const PAGE_BITS_A_LEVEL = 3;

/** A run of this level has 2 to this power pages. */
export function pageBits(level: number): number {
  return PAGE_BITS_A_LEVEL * (level + 1);
}

/** How many pages a run of this level has. */
export function pagesIn(level: number): number {
  return 2 ** pageBits(level);
}

/** Identities that a page is made for. A run may be made with up to twice as many: with more its filters would tell little. */
const PAGE_IDENTITIES = 512;

/** The level of a run that is made of so many identities. */
export function levelOf(identities: number): number {
  let level = 0;
  while (identities > 2 * PAGE_IDENTITIES * pagesIn(level)) level += 1;
  return level;
}

/** What is too old goes first, then small runs are merged: of them there soon are many. `runs` in the order they were made. */
export function nextWork(runs: readonly RunRow[], now: number, windowMs: number): RunWork {
  const old = runs.find((run) => isAtRest(run) && now - run.newest_at >= windowMs);
  if (old !== undefined) return { kind: 'clear', run: old };
  const levels = [...new Set(runs.map(({ level }) => level))].sort((a, b) => a - b);
  for (const level of levels) {
    const target = runs.find((run) => run.level === level + 1 && run.merged !== null);
    if (target !== undefined) {
      return { kind: 'merge', target, sources: runs.filter((run) => run.merges_into === target.id) };
    }
    const sources = runs.filter((run) => run.level === level && isAtRest(run)).slice(0, RUNS_MERGED);
    if (sources.length === RUNS_MERGED) return { kind: 'begin', level: level + 1, sources };
  }
  return { kind: 'none' };
}

function isAtRest(run: RunRow): boolean {
  return run.merges_into === null && run.merged === null;
}
