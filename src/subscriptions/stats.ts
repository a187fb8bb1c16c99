/** What was attempted, counted: since the making, and of late. Pure. Times are milliseconds. */

/** Upper ends of the classes that latencies are counted in, inclusive; what takes longer is in one more. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  ...[1, 2, 3, 4, 5, 6, 8],
  ...[10, 100, 1_000].flatMap((decade) => [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8].map((step) => step * decade)),
  ...[10_000, 12_000, 15_000, 20_000, 25_000, 30_000],
];

/** How many latencies are in each class, by the class's index; a class without any is left out. */
export type Latencies = Record<number, number>;

export interface Counts {
  delivered: number;
  failed: number;
  latencies: Latencies;
}

/** The counts of one slot of time: the one that began at `slot` × its length. */
export interface Slot extends Counts {
  slot: number;
}

/** Since the making. `retried`: attempts that were not the first. */
export interface Totals extends Counts {
  retried: number;
  latencySumMs: number;
}

export interface Stats extends Totals {
  /** Ascending; those of the last hour. */
  minutes: Slot[];
  /** Quarters of an hour, ascending; those of the last day. */
  quarters: Slot[];
}

export interface Attempted {
  delivered: boolean;
  /** 1 for the first. */
  attempt: number;
  latencyMs: number;
}

const MINUTE_MS = 60_000;
const QUARTER_MS = 15 * MINUTE_MS;
const MINUTES = 60;
const QUARTERS = 96;

export function noStats(): Stats {
  return { delivered: 0, failed: 0, latencies: {}, retried: 0, latencySumMs: 0, minutes: [], quarters: [] };
}

/** Counts attempts that were settled at `at` in. */
export function count(stats: Stats, attempts: Attempted[], at: number): void {
  stats.minutes = recent(stats.minutes, MINUTE_MS, MINUTES, at);
  stats.quarters = recent(stats.quarters, QUARTER_MS, QUARTERS, at);
  const counted = [stats, present(stats.minutes, MINUTE_MS, at), present(stats.quarters, QUARTER_MS, at)];
  for (const { delivered, attempt, latencyMs } of attempts) {
    const latency = classOf(latencyMs);
    for (const counts of counted) {
      counts[delivered ? 'delivered' : 'failed'] += 1;
      counts.latencies[latency] = (counts.latencies[latency] ?? 0) + 1;
    }
    if (attempt > 1) stats.retried += 1;
    stats.latencySumMs += latencyMs;
  }
}

export function totalsOf({ delivered, failed, latencies, retried, latencySumMs }: Stats): Totals {
  return { delivered, failed, latencies, retried, latencySumMs };
}

/** The sums of the last hour, to the minute. */
export function lastHour(stats: Stats, now: number): Counts {
  return sumOf(recent(stats.minutes, MINUTE_MS, MINUTES, now));
}

/** The sums of the last day, to the quarter of an hour. */
export function lastDay(stats: Stats, now: number): Counts {
  return sumOf(recent(stats.quarters, QUARTER_MS, QUARTERS, now));
}

export function attempted({ delivered, failed }: Counts): number {
  return delivered + failed;
}

/** The part that was delivered, from 0 to 1; null where nothing was attempted. */
export function successRate(counts: Counts): number | null {
  return attempted(counts) === 0 ? null : counts.delivered / attempted(counts);
}

/**
 * The latency within which that part of the attempts was answered, from 0 to 1, as near as the classes tell; null where
 * there was none.
 */
export function percentile({ latencies }: Counts, part: number): number | null {
  const all = Object.values(latencies).reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  const wanted = part * all;
  let below = 0;
  for (const [index, upper] of LATENCY_BOUNDS_MS.entries()) {
    const inside = latencies[index] ?? 0;
    if (inside > 0 && below + inside >= wanted) {
      const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
      return Math.ceil(lower + ((upper - lower) * (wanted - below)) / inside);
    }
    below += inside;
  }
  return LATENCY_BOUNDS_MS.at(-1) ?? null;
}

function classOf(latencyMs: number): number {
  const index = LATENCY_BOUNDS_MS.findIndex((upper) => latencyMs <= upper);
  return index < 0 ? LATENCY_BOUNDS_MS.length : index;
}

/** Without the slots that are over, and those that lie ahead since the clock was set back. */
function recent(slots: Slot[], lengthMs: number, length: number, now: number): Slot[] {
  const last = Math.floor(now / lengthMs);
  return slots.filter(({ slot }) => slot > last - length && slot <= last);
}

function present(slots: Slot[], lengthMs: number, now: number): Slot {
  const slot = Math.floor(now / lengthMs);
  const last = slots.at(-1);
  if (last?.slot === slot) return last;
  const fresh = { slot, delivered: 0, failed: 0, latencies: {} };
  slots.push(fresh);
  return fresh;
}

function sumOf(slots: Slot[]): Counts {
  const sum: Counts = { delivered: 0, failed: 0, latencies: {} };
  for (const { delivered, failed, latencies } of slots) {
    sum.delivered += delivered;
    sum.failed += failed;
    for (const [index, more] of Object.entries(latencies)) {
      sum.latencies[Number(index)] = (sum.latencies[Number(index)] ?? 0) + more;
    }
  }
  return sum;
}
