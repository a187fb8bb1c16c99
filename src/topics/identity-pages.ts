import { HASH_BYTES } from '../events/hashes.ts';

/**
 * EventIndex packed into sorted pages, each with a filter that tells which it surely does not hold. Pure: bytes in, bytes out.
 * EventIndex are halves of SHA-256, so their first bits cut any number of them into pages of about the same size.
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

/** EventIndex are sorted by this many bits; of those that are equal in them, one after the other is compared. */
const SORTED_BITS = 40;
const LAST_BYTE = 2 ** 8;
/** Places of entries that fit into a double beside the sorted bits. */
const PLACES = 2 ** (53 - SORTED_BITS);

/** Bytes as a text with a character for each. */
export function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PLACES) {
    const part: string = Reflect.apply(String.fromCharCode, null, bytes.subarray(at, at + PLACES));
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

/** Sorts packed entries into pages by the first `bits` of their identities; pages that would be empty are left out. */
export function pagesOf(packed: Uint8Array, bits: number): Page[] {
  const entries = sorted(packed);
  const pages: Page[] = [];
  for (let start = 0; start < entries.length; ) {
    const index = pageIndex(wordAt(entries, start), bits);
    let end = start + ENTRY_BYTES;
    while (end < entries.length && pageIndex(wordAt(entries, end), bits) === index) end += ENTRY_BYTES;
    const page = entries.slice(start, end);
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
  /** Its first three words of 32 bits: where it is sorted, and where its filter begins and how it goes on. */
  first: number;
  start: number;
  step: number;
}

export function probeOf(identity: string): Probe {
  return { identity, first: wordOf(identity, 0), start: wordOf(identity, 4), step: wordOf(identity, 8) | 1 };
}

/** Which of 2 ** `bits` pages an identity belongs to. */
export function pageOf({ first }: Probe, bits: number): number {
  return pageIndex(first, bits);
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
export function findIn(page: Uint8Array, { identity }: Probe): IdentityEntry | null {
  const wanted = new Uint8Array(HASH_BYTES);
  writeText(identity, wanted, 0);
  const prefix = prefixAt(wanted, 0);
  let low = 0;
  for (let high = page.length / ENTRY_BYTES; low < high; ) {
    const middle = (low + high) >>> 1;
    if (prefixAt(page, middle * ENTRY_BYTES) < prefix) low = middle + 1;
    else high = middle;
  }
  const view = new DataView(page.buffer, page.byteOffset);
  let found: IdentityEntry | null = null;
  for (let at = low * ENTRY_BYTES; at < page.length && prefixAt(page, at) === prefix; at += ENTRY_BYTES) {
    if (textOf(page.subarray(at, at + HASH_BYTES)) !== identity) continue;
    const sequence = view.getFloat64(at + SEQUENCE_AT, true);
    if (found !== null && found.sequence > sequence) continue;
    const content = textOf(page.subarray(at + HASH_BYTES, at + SEQUENCE_AT));
    found = { identity, content, sequence, recordedAt: view.getFloat64(at + RECORDED_AT, true) };
  }
  return found;
}

/** By their first bits. A number holds them and the entry's place, and the engine sorts numbers faster than anything else. */
function sorted(packed: Uint8Array): Uint8Array {
  const count = packed.length / ENTRY_BYTES;
  if (count > PLACES) throw new Error(`${count} identities are sorted at once; ${PLACES} can be.`);
  const order = new Float64Array(count);
  for (let place = 0; place < count; place += 1) order[place] = prefixAt(packed, place * ENTRY_BYTES) * PLACES + place;
  order.sort();
  const result = new Uint8Array(packed.length);
  let at = 0;
  for (const number of order) {
    const from = (number % PLACES) * ENTRY_BYTES;
    result.set(packed.subarray(from, from + ENTRY_BYTES), at);
    at += ENTRY_BYTES;
  }
  return result;
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

function pageIndex(firstWord: number, bits: number): number {
  return bits === 0 ? 0 : firstWord >>> (32 - bits);
}

/** The first 40 bits at a place, as a number. */
function prefixAt(bytes: Uint8Array, at: number): number {
  return (wordAt(bytes, at) >>> 0) * LAST_BYTE + (bytes[at + 4] ?? 0);
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
