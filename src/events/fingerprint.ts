/** Bytes of a fingerprint. */
export const FINGERPRINT_BYTES = 16;

const BLOCK_BYTES = 16;

/** The bytes from `start` up to `end`. */
export interface ByteRange {
  bytes: DataView;
  start: number;
  end: number;
}

const encoder = new TextEncoder();

/** A text in UTF-8. */
export function bytesOf(text: string): ByteRange {
  const { buffer, byteOffset, byteLength } = encoder.encode(text);
  return { bytes: new DataView(buffer, byteOffset, byteLength), start: 0, end: byteLength };
}

/** The rest of a text that is no whole block, with zeros behind it. */
const rest = new DataView(new ArrayBuffer(BLOCK_BYTES));
const lanes = new Int32Array(4);

/**
 * Writes a fingerprint of some bytes into `out` from `at` on: the mixing of MurmurHash3_x86_128 (Appleby). Two texts never
 * share one unless somebody made them for it, which anybody can. It costs a tenth of SHA-256.
 */
export function fingerprint({ bytes, start, end }: ByteRange, out: DataView, at: number): void {
  lanes.fill(0);
  const wholeEnd = end - ((end - start) % BLOCK_BYTES);
  mix(bytes, start, wholeEnd);
  // The length, mixed in below, tells zeros that fill the last block from zeros that were there.
  for (let byte = 0; byte < BLOCK_BYTES; byte++) {
    rest.setUint8(byte, wholeEnd + byte < end ? bytes.getUint8(wholeEnd + byte) : 0);
  }
  mix(rest, 0, BLOCK_BYTES);
  finish(end - start, out, at);
}

/** Mixes whole blocks into the lanes. */
function mix(bytes: DataView, start: number, end: number): void {
  let a = lanes[0] ?? 0;
  let b = lanes[1] ?? 0;
  let c = lanes[2] ?? 0;
  let d = lanes[3] ?? 0;
  for (let from = start; from < end; from += BLOCK_BYTES) {
    a ^= scattered(bytes.getInt32(from, true), 0x239b961b, 15, 0xab0e9789);
    a = (Math.imul((rotated(a, 19) + b) | 0, 5) + 0x561ccd1b) | 0;
    b ^= scattered(bytes.getInt32(from + 4, true), 0xab0e9789, 16, 0x38b34ae5);
    b = (Math.imul((rotated(b, 17) + c) | 0, 5) + 0x0bcaa747) | 0;
    c ^= scattered(bytes.getInt32(from + 8, true), 0x38b34ae5, 17, 0xa1e38b93);
    c = (Math.imul((rotated(c, 15) + d) | 0, 5) + 0x96cd1c35) | 0;
    d ^= scattered(bytes.getInt32(from + 12, true), 0xa1e38b93, 18, 0x239b961b);
    d = (Math.imul((rotated(d, 13) + a) | 0, 5) + 0x32ac3b17) | 0;
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
}

function finish(length: number, out: DataView, at: number): void {
  let a = lanes[0] ?? 0;
  let b = lanes[1] ?? 0;
  let c = lanes[2] ?? 0;
  let d = lanes[3] ?? 0;
  a = ((a ^ length) + (b ^ length) + (c ^ length) + (d ^ length)) | 0;
  b = finished((b ^ length) + a);
  c = finished((c ^ length) + a);
  d = finished((d ^ length) + a);
  a = (finished(a) + b + c + d) | 0;
  out.setInt32(at, a, true);
  out.setInt32(at + 4, a + b, true);
  out.setInt32(at + 8, a + c, true);
  out.setInt32(at + 12, a + d, true);
}

function scattered(word: number, first: number, bits: number, second: number): number {
  return Math.imul(rotated(Math.imul(word, first), bits), second);
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function finished(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
