import { HASH_BYTES } from '../events/hashes.ts';

/**
 * Identities packed into sorted pages, each with a filter that tells which it surely does not hold. Pure: bytes in, bytes out.
 * An identity's *place*, a number of 32 bits, says where it is sorted; its first bits cut any number of identities into pages
 * of about the same size. It is made of the identity and a number that is each log's own secret: identities are hashes of what
 * producers choose, and one who knew the places could choose ids that all fall on one page.
 */

/** An identity and what is known of it. Hashes are 16 characters that stand for a byte each (ISO 8859-1). */
export interface IdentityEntry {
  identity: string;
  content: string;
  sequence: number;
  /** Milliseconds since the epoch. */
  recordedAt: number;
}

/** Two hashes, the sequence and the time; numbers are 64-bit floats, little-endian. */
const ENTRY_BYTES = 48;
const SEQUENCE_AT = 32;
const RECORDED_AT = 40;

/** Bits of a page's filter: about 16 for each of the 512 identities that a page is made for, so that one in a thousand that it does not hold gets past it. */
const FILTER_BITS = 8192;
const FILTER_PROBES = 6;
/** The filter of a page that holds nothing. */
export const EMPTY_FILTER = new Uint8Array(FILTER_BITS / 8);

const PLACE_BITS = 32;
const HIGH_WORD = 2 ** 32;
/** Entries whose numbers fit into a double beside their places. */
const SORTED_MAX = 2 ** (53 - PLACE_BITS);
/** Arguments of one call. */
const ARGUMENTS_MAX = 8192;

/** Bytes as a text with a character for each. */
export function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += ARGUMENTS_MAX) {
    const part: string = Reflect.apply(String.fromCharCode, null, bytes.subarray(at, at + ARGUMENTS_MAX));
    text += part;
  }
  return text;
}

/** Writes a text of characters that stand for a byte each. */
export function writeText(text: string, bytes: Uint8Array, at: number): void {
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index);
}

/** Entries as a page would have them, in the order given. */
export function packEntries(entries: readonly IdentityEntry[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const { identity, content, sequence, recordedAt } of entries) {
    writeText(identity, packed, at);
    writeText(content, packed, at + HASH_BYTES);
    view.setFloat64(at + SEQUENCE_AT, sequence, true);
    view.setFloat64(at + RECORDED_AT, recordedAt, true);
    at += ENTRY_BYTES;
  }
  return packed;
}

/** A page and its filter, and which of the pages it is. */
export interface Page {
  index: number;
  filter: Uint8Array<ArrayBuffer>;
  entries: Uint8Array<ArrayBuffer>;
}

/** Sorts packed entries into pages by the first `bits` of their places; pages that would be empty are left out. */
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

/** What a look-up of an identity needs of it, taken out of the text once for all pages. */
export interface Probe {
  identity: string;
  place: number;
  /** Where its bits in a filter begin, and how they go on. */
  start: number;
  step: number;
}

export function probeOf(identity: string, secret: number): Probe {
  const [a, b, c, d] = [wordOf(identity, 0), wordOf(identity, 4), wordOf(identity, 8), wordOf(identity, 12)];
  return { identity, place: placeOf(a, b, c, d, secret), start: b, step: c | 1 };
}

/** Which of 2 ** `bits` pages an identity belongs to. */
export function pageOf({ place }: Probe, bits: number): number {
  return pageIndex(place, bits);
}

/** False: the page of this filter does not hold the identity. */
export function mayHold(filter: Uint8Array, { start, step }: Probe): boolean {
  for (let probe = 0, bit = start; probe < FILTER_PROBES; probe += 1, bit = (bit + step) | 0) {
    const place = bit & (FILTER_BITS - 1);
    if (((filter[place >>> 3] ?? 0) & (1 << (place & 7))) === 0) return false;
  }
  return true;
}

/** The entry of an identity, the one with the highest sequence where there are several; null: the page has none. */
export function findIn(page: Uint8Array, { identity, place }: Probe, secret: number): IdentityEntry | null {
  let low = 0;
  for (let high = page.length / ENTRY_BYTES; low < high; ) {
    const middle = (low + high) >>> 1;
    if (placeAt(page, middle * ENTRY_BYTES, secret) < place) low = middle + 1;
    else high = middle;
  }
  const view = new DataView(page.buffer, page.byteOffset);
  let found: IdentityEntry | null = null;
  for (let at = low * ENTRY_BYTES; at < page.length && placeAt(page, at, secret) === place; at += ENTRY_BYTES) {
    if (textOf(page.subarray(at, at + HASH_BYTES)) !== identity) continue;
    const sequence = view.getFloat64(at + SEQUENCE_AT, true);
    if (found !== null && found.sequence > sequence) continue;
    const content = textOf(page.subarray(at + HASH_BYTES, at + SEQUENCE_AT));
    found = { identity, content, sequence, recordedAt: view.getFloat64(at + RECORDED_AT, true) };
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
  const entries = new Uint8Array(packed.length);
  for (const [rank, both] of places.entries()) {
    const from = (both % SORTED_MAX) * ENTRY_BYTES;
    entries.set(packed.subarray(from, from + ENTRY_BYTES), rank * ENTRY_BYTES);
    places[rank] = Math.floor(both / SORTED_MAX);
  }
  return { places, entries };
}

function filterOf(page: Uint8Array): Uint8Array<ArrayBuffer> {
  const filter = new Uint8Array(EMPTY_FILTER);
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

function wordOf(text: string, at: number): number {
  return (
    (text.charCodeAt(at) << 24) |
    (text.charCodeAt(at + 1) << 16) |
    (text.charCodeAt(at + 2) << 8) |
    text.charCodeAt(at + 3)
  );
}
