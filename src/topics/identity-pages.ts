import { EVENT_HASHES_BYTES, IDENTITY_BYTES } from '../events/hashes.ts';

/**
 * Identities packed into sorted pages, each with a filter that tells which it surely does not hold. Pure: bytes in, bytes out.
 * An identity's *place*, a number of 32 bits, says where it is sorted; its first bits cut any number of identities into pages
 * of about the same size. It is made of the identity and a number that is each log's own secret: identities are hashes of what
 * producers choose, and one who knew the places could choose ids that all fall on one page.
 */

/** What is known of an identity. */
export interface Recorded {
  sequence: number;
  /** Milliseconds since the epoch. */
  recordedAt: number;
  /** The mark of its content. */
  mark: Uint8Array;
}

/** An entry: identity and mark as `NewEvents` has them, the sequence and the time; numbers are 64-bit floats, little-endian. */
export const ENTRY_BYTES = EVENT_HASHES_BYTES + 16;
const ENTRY_WORDS = ENTRY_BYTES / 4;
const SEQUENCE_AT = EVENT_HASHES_BYTES;
const RECORDED_AT = EVENT_HASHES_BYTES + 8;

/** Bits of a page's filter: about 16 for each of the 512 identities that a page is made for, so that one in a thousand that it does not hold gets past it. */
const FILTER_BITS = 8192;
const FILTER_PROBES = 6;
export const FILTER_BYTES = FILTER_BITS / 8;

const PLACE_BITS = 32;
const HIGH_WORD = 2 ** 32;
/** Entries whose numbers fit into a double beside their places. */
const SORTED_MAX = 2 ** (53 - PLACE_BITS);

/** Writes an entry into `entries` from `at` on; `hashes`: of its event, from `from` on. */
export function writeEntry(
  entries: Uint8Array,
  at: number,
  hashes: Uint8Array,
  from: number,
  sequence: number,
  recordedAt: number,
): void {
  for (let byte = 0; byte < EVENT_HASHES_BYTES; byte += 1) entries[at + byte] = hashes[from + byte] ?? 0;
  const view = new DataView(entries.buffer, entries.byteOffset);
  view.setFloat64(at + SEQUENCE_AT, sequence, true);
  view.setFloat64(at + RECORDED_AT, recordedAt, true);
}

/** The sequence in the entry at `at`. */
export function sequenceAt(entries: Uint8Array, at: number): number {
  return new DataView(entries.buffer, entries.byteOffset).getFloat64(at + SEQUENCE_AT, true);
}

/** The latest time in some entries, 0 if there are none. */
export function newestIn(entries: Uint8Array): number {
  const view = new DataView(entries.buffer, entries.byteOffset);
  let newest = 0;
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    newest = Math.max(newest, view.getFloat64(at + RECORDED_AT, true));
  }
  return newest;
}

/** What the entry at `at` says. */
export function readEntry(entries: Uint8Array, at: number): Recorded {
  const view = new DataView(entries.buffer, entries.byteOffset);
  return {
    sequence: view.getFloat64(at + SEQUENCE_AT, true),
    recordedAt: view.getFloat64(at + RECORDED_AT, true),
    mark: entries.slice(at + IDENTITY_BYTES, at + EVENT_HASHES_BYTES),
  };
}

/** A page and its filter, and which of the pages it is. */
export interface Page {
  index: number;
  filter: Uint8Array<ArrayBuffer>;
  entries: Uint8Array<ArrayBuffer>;
}

/**
 * Sorts packed entries, which begin at a word of memory, into pages by the first `bits` of their places; pages that would be
 * empty are left out.
 */
export function pagesOf(packed: Uint8Array, bits: number, secret: number): Page[] {
  const { places, entries } = sorted(packed, secret);
  const pages: Page[] = [];
  for (let start = 0; start < places.length; ) {
    const index = pageIndex(places[start] ?? 0, bits);
    let end = start + 1;
    while (end < places.length && pageIndex(places[end] ?? 0, bits) === index) end += 1;
    const page = entries.slice(start * ENTRY_BYTES, end * ENTRY_BYTES);
    pages.push({ index, filter: filterOf(page), entries: page });
    start = end;
  }
  return pages;
}

/** Several pages' entries, one after the other. */
export function joined(pages: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pages.reduce((sum, page) => sum + page.length, 0));
  let at = 0;
  for (const page of pages) {
    all.set(page, at);
    at += page.length;
  }
  return all;
}

/** What a look-up of an identity needs of it, taken out of its bytes once for all pages. */
export interface Probe {
  /** The identity's words. */
  a: number;
  b: number;
  c: number;
  d: number;
  place: number;
}

/** Of the identity that stands in `bytes` at `at`. */
export function probeAt(bytes: Uint8Array, at: number, secret: number): Probe {
  const a = wordAt(bytes, at);
  const b = wordAt(bytes, at + 4);
  const c = wordAt(bytes, at + 8);
  const d = wordAt(bytes, at + 12);
  return { a, b, c, d, place: placeOf(a, b, c, d, secret) };
}

/** Whether the identity is the one that stands in `bytes` at `at`. */
export function isAt(bytes: Uint8Array, at: number, { a, b, c, d }: Probe): boolean {
  return (
    wordAt(bytes, at) === a &&
    wordAt(bytes, at + 4) === b &&
    wordAt(bytes, at + 8) === c &&
    wordAt(bytes, at + 12) === d
  );
}

/** Which of 2 ** `bits` pages an identity belongs to. */
export function pageOf({ place }: Probe, bits: number): number {
  return pageIndex(place, bits);
}

/** Whether the first two bits are set of those that are all set in the filter at `at` if its page holds the identity: 0 or 1. */
export function hasFirstBits(filters: Uint8Array, at: number, { b, c }: Probe): number {
  const one = b & (FILTER_BITS - 1);
  const other = (b + (c | 1)) & (FILTER_BITS - 1);
  const first = (filters[at + (one >>> 3)] ?? 0) >>> (one & 7);
  return first & ((filters[at + (other >>> 3)] ?? 0) >>> (other & 7)) & 1;
}

/** False: the page whose filter is at `at` does not hold the identity. */
export function mayHold(filters: Uint8Array, at: number, { b, c }: Probe): boolean {
  const step = c | 1;
  for (let probe = 0, bit = b; probe < FILTER_PROBES; probe += 1, bit = (bit + step) | 0) {
    const place = bit & (FILTER_BITS - 1);
    if (((filters[at + (place >>> 3)] ?? 0) & (1 << (place & 7))) === 0) return false;
  }
  return true;
}

/** The entry of an identity, the one with the highest sequence where there are several; null: the page has none. */
export function findIn(page: Uint8Array, probe: Probe, secret: number): Recorded | null {
  const { place } = probe;
  let low = 0;
  for (let high = page.length / ENTRY_BYTES; low < high; ) {
    const middle = (low + high) >>> 1;
    if (placeAt(page, middle * ENTRY_BYTES, secret) < place) low = middle + 1;
    else high = middle;
  }
  let found: Recorded | null = null;
  for (let at = low * ENTRY_BYTES; at < page.length && placeAt(page, at, secret) === place; at += ENTRY_BYTES) {
    if (!isAt(page, at, probe)) continue;
    const entry = readEntry(page, at);
    if (found === null || entry.sequence > found.sequence) found = entry;
  }
  return found;
}

/** By their places. A double holds one and the entry's number, and the engine sorts numbers faster than anything else. */
function sorted(packed: Uint8Array, secret: number): { places: Float64Array; entries: Uint8Array } {
  const count = packed.length / ENTRY_BYTES;
  if (count > SORTED_MAX) throw new Error(`${count} identities are sorted at once; ${SORTED_MAX} can be.`);
  const places = new Float64Array(count);
  for (let number = 0; number < count; number += 1) {
    places[number] = placeAt(packed, number * ENTRY_BYTES, secret) * SORTED_MAX + number;
  }
  places.sort();
  const from = new Int32Array(packed.buffer, packed.byteOffset, count * ENTRY_WORDS);
  const to = new Int32Array(count * ENTRY_WORDS);
  for (let rank = 0; rank < count; rank += 1) {
    const both = places[rank] ?? 0;
    const place = Math.floor(both / SORTED_MAX);
    const number = both - place * SORTED_MAX;
    for (let word = 0; word < ENTRY_WORDS; word += 1)
      to[rank * ENTRY_WORDS + word] = from[number * ENTRY_WORDS + word] ?? 0;
    places[rank] = place;
  }
  return { places, entries: new Uint8Array(to.buffer) };
}

function filterOf(page: Uint8Array): Uint8Array<ArrayBuffer> {
  const filter = new Uint8Array(FILTER_BYTES);
  for (let at = 0; at < page.length; at += ENTRY_BYTES) {
    const step = wordAt(page, at + 8) | 1;
    let bit = wordAt(page, at + 4);
    for (let probe = 0; probe < FILTER_PROBES; probe += 1, bit = (bit + step) | 0) {
      const place = bit & (FILTER_BITS - 1);
      filter[place >>> 3] = (filter[place >>> 3] ?? 0) | (1 << (place & 7));
    }
  }
  return filter;
}

function pageIndex(place: number, bits: number): number {
  return bits === 0 ? 0 : place >>> (PLACE_BITS - bits);
}

function placeAt(bytes: Uint8Array, at: number, secret: number): number {
  return placeOf(wordAt(bytes, at), wordAt(bytes, at + 4), wordAt(bytes, at + 8), wordAt(bytes, at + 12), secret);
}

/** An identity's four words and the secret (up to 48 bits), mixed as MurmurHash3 mixes words of 32 bits (Appleby). */
function placeOf(a: number, b: number, c: number, d: number, secret: number): number {
  let hash = secret | 0;
  hash = mixed(hash, a);
  hash = mixed(hash, b);
  hash = mixed(hash, c);
  hash = mixed(hash, d);
  hash = mixed(hash, Math.floor(secret / HIGH_WORD));
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(hash: number, word: number): number {
  const scattered = Math.imul(word, 0xcc9e2d51);
  const next = hash ^ Math.imul((scattered << 15) | (scattered >>> 17), 0x1b873593);
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
