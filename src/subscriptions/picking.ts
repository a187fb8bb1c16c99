import type { LogEvent } from '../topics/protocol.ts';
import { LEASE_BYTES_MAX } from './limits.ts';

/** Events of one key that go out one after the other, in one lease; or a single one without a key. */
export interface Run {
  key: string | null;
  events: LogEvent[];
}

/** What becomes of a page at a lane's `next`. */
export interface Picked {
  runs: Run[];
  /** Events in the runs. */
  taken: number;
  /** Events that are passed and wait behind their key. */
  held: number;
  /** Keys that are held from this sequence on, and were not before. */
  holds: { key: string; first: number }[];
  /** Everything up to here is examined. */
  last: number;
}

/** A page of events that match; everything from the lane's `next` up to `scannedTo` was looked at. */
export interface Page {
  events: readonly LogEvent[];
  scannedTo: number;
  /** Events that may be taken. */
  slots: number;
}

/** Without order whatever has a slot goes. */
export function pickFreely({ events, scannedTo, slots }: Page): Picked {
  const taken = events.slice(0, slots);
  const cut = events[taken.length];
  return {
    runs: taken.map((event) => ({ key: null, events: [event] })),
    taken: taken.length,
    held: 0,
    holds: [],
    last: cut === undefined ? scannedTo : cut.sequence - 1,
  };
}

export interface KeyFacts {
  keyOf: (event: LogEvent) => string | null;
  /** Passed before and not caught up with. */
  isHeld: (key: string) => boolean;
  /** One of its events is under way, or has to be tried again. */
  isBusy: (key: string) => boolean;
  /** Events of a key in one lease. */
  runMax: number;
  /** Keys that may be held beside those that are. */
  holdsMax: number;
}

/**
 * In order by key: what is held is passed, what is busy becomes held, the rest goes. The page ends where there is no slot
 * for the next event, or no room for another hold.
 */
export function pickByKey({ events, scannedTo, slots }: Page, facts: KeyFacts): Picked {
  const picked: Picked = { runs: [], taken: 0, held: 0, holds: [], last: scannedTo };
  const runs = new Map<string, Run>();
  const held = new Set<string>();
  for (const event of events) {
    const key = facts.keyOf(event);
    if (key !== null && (held.has(key) || facts.isHeld(key))) {
      picked.held += 1;
      continue;
    }
    const run = key === null ? undefined : runs.get(key);
    const full = run !== undefined && (run.events.length >= facts.runMax || !fits(run.events, event));
    if (key !== null && (full || facts.isBusy(key))) {
      if (picked.holds.length >= facts.holdsMax) return { ...picked, last: event.sequence - 1 };
      picked.holds.push({ key, first: event.sequence });
      held.add(key);
      picked.held += 1;
      continue;
    }
    if (picked.taken >= slots) return { ...picked, last: event.sequence - 1 };
    picked.taken += 1;
    if (run !== undefined) {
      run.events.push(event);
      continue;
    }
    const fresh: Run = { key, events: [event] };
    picked.runs.push(fresh);
    if (key !== null) runs.set(key, fresh);
  }
  return picked;
}

/** As many of the first events as one lease holds, one after the other: all of them have this key. */
export function firstRun(key: string, events: readonly LogEvent[], max: number): Run {
  const run: LogEvent[] = [];
  for (const event of events.slice(0, max)) {
    if (run.length > 0 && !fits(run, event)) break;
    run.push(event);
  }
  return { key, events: run };
}

/** In order by topic: one run, and the page ends with it. */
export function pickInTurn(key: string, { events, scannedTo, slots }: Page, runMax: number): Picked {
  const run = firstRun(key, events, Math.min(slots, runMax));
  const cut = events[run.events.length];
  return {
    runs: run.events.length === 0 ? [] : [run],
    taken: run.events.length,
    held: 0,
    holds: [],
    last: cut === undefined ? scannedTo : cut.sequence - 1,
  };
}

/** Does another event fit into one lease with these? */
function fits(events: readonly LogEvent[], another: LogEvent): boolean {
  return events.reduce((sum, { json }) => sum + json.length, another.json.length) <= LEASE_BYTES_MAX;
}
