import type { LeaseRow } from './rows.ts';

/** An event in a lease. */
export interface Leased {
  sequence: number;
  /** Whose turn it is: no other delivery with this key is under way, and those of one lease go one after the other. */
  key: string | null;
}

/** The key of everything where a whole topic is in order. No event has it: attributes aren't empty. */
export const WHOLE_TOPIC = '';

export function sequencesOf(lease: LeaseRow): number[] {
  return JSON.parse(lease.sequences) as number[];
}

/** The lowest of what a lease still holds. */
export function firstOf(lease: LeaseRow): number {
  return Number.parseInt(lease.sequences.slice(1), 10);
}

/** What a lease still holds, ascending. */
export function contentOf(lease: LeaseRow): Leased[] {
  const keys = lease.keys === null ? [] : (JSON.parse(lease.keys) as (string | null)[]);
  return sequencesOf(lease).map((sequence, index) => ({ sequence, key: keys[index] ?? null }));
}

/** {@link contentOf} by sequence; each caller's own. */
export function bySequence(lease: LeaseRow): Map<number, Leased> {
  const entries = new Map<number, Leased>();
  for (const entry of contentOf(lease)) entries.set(entry.sequence, entry);
  return entries;
}

/** What was taken out of a lease while somebody had it: it is in no count any more, but may be under way. */
export interface Stray extends Leased {
  /** Which attempt that would be. */
  attempt: number;
}

export function straysOf({ strays }: Pick<LeaseRow, 'strays'>): Stray[] {
  if (strays === null) return [];
  const entries: [number, string | null, number][] = JSON.parse(strays);
  return entries.map(([sequence, key, attempt]) => ({ sequence, key, attempt }));
}

/** The keys that are not free while there is the lease: of what it holds, and of its strays. */
export function keysOf(lease: LeaseRow): string[] {
  const own: (string | null)[] = lease.keys === null ? [] : JSON.parse(lease.keys);
  return [...own, ...straysOf(lease).map(({ key }) => key)].filter((key) => key !== null);
}

/** The column of a lease that has these strays. */
export function strayColumn(strays: readonly Stray[]): Pick<LeaseRow, 'strays'> {
  if (strays.length === 0) return { strays: null };
  return { strays: JSON.stringify(strays.map(({ sequence, key, attempt }) => [sequence, key, attempt])) };
}

/** The columns of a lease that holds these. */
export function columnsOf(content: readonly Leased[]): Pick<LeaseRow, 'sequences' | 'keys' | 'count'> {
  const ascending = [...content].sort((a, b) => a.sequence - b.sequence);
  const keyed = ascending.some(({ key }) => key !== null);
  return {
    sequences: JSON.stringify(ascending.map(({ sequence }) => sequence)),
    keys: keyed ? JSON.stringify(ascending.map(({ key }) => key)) : null,
    count: ascending.length,
  };
}
