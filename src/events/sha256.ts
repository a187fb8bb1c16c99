/**
 * SHA-256 (FIPS 180-4) of texts, for the two hashes of each event that is published. @noble/hashes, which hashes everything
 * else, takes about twice as long for the few hundred bytes of one: it makes an object, views and a copy for each.
 * Nothing here is secret, so that nothing has to be wiped.
 */

const BLOCK_BYTES = 64;
/** The bytes that end the last block: the length of the message in bits. */
const LENGTH_BYTES = 8;
const HIGH_WORD = 2 ** 32;
const PADDING = 0x80;
const ASCII_MAX = 0x7f;

/** Fractions of the cube roots of the first 64 primes. */
// biome-ignore format: a table
const CONSTANTS = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);

/** Fractions of the square roots of the first 8 primes. */
// biome-ignore format: a table
const START = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Texts up to this many characters are hashed in memory that is kept: nothing is awaited while a hash is made. */
const KEPT_CHARACTERS = 8_192;
const kept = new Uint8Array(roomFor(KEPT_CHARACTERS));
const schedule = new Int32Array(64);
const state = new Int32Array(8);
const encoder = new TextEncoder();

/** The first 16 bytes of SHA-256 over the text in UTF-8, as 32 hex digits. Half a surrogate pair counts as U+FFFD. */
export function sha256Half(text: string): string {
  const bytes = text.length <= KEPT_CHARACTERS ? kept : new Uint8Array(roomFor(text.length));
  const end = pad(bytes, write(text, bytes));
  state.set(START);
  for (let at = 0; at < end; at += BLOCK_BYTES) compress(bytes, at);
  return hex(state[0]) + hex(state[1]) + hex(state[2]) + hex(state[3]);
}

/** UTF-8 takes three bytes a UTF-16 code unit at most, and what ends a message two blocks. */
function roomFor(characters: number): number {
  return characters * 3 + 2 * BLOCK_BYTES;
}

/** Writes the text at the start of `bytes`; how many bytes it takes. Most is ASCII, which needs no call to the encoder. */
function write(text: string, bytes: Uint8Array): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > ASCII_MAX) return encoder.encodeInto(text, bytes).written;
    bytes[at] = code;
  }
  return text.length;
}

/** Ends a message of `length` bytes as the standard has it; where its last block ends. */
function pad(bytes: Uint8Array, length: number): number {
  const end = Math.ceil((length + 1 + LENGTH_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  bytes.fill(0, length, end);
  bytes[length] = PADDING;
  const bits = length * 8;
  const view = new DataView(bytes.buffer);
  view.setUint32(end - 8, Math.floor(bits / HIGH_WORD));
  view.setUint32(end - 4, bits % HIGH_WORD);
  return end;
}

/** Takes the block at `at` into `state`. The names are the standard's. */
function compress(bytes: Uint8Array, at: number): void {
  const w = schedule;
  for (let t = 0; t < 16; t++) {
    const from = at + t * 4;
    w[t] =
      ((bytes[from] ?? 0) << 24) |
      ((bytes[from + 1] ?? 0) << 16) |
      ((bytes[from + 2] ?? 0) << 8) |
      (bytes[from + 3] ?? 0);
  }
  for (let t = 16; t < 64; t++) {
    const x = w[t - 15] ?? 0;
    const y = w[t - 2] ?? 0;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = (s1 + (w[t - 7] ?? 0) + s0 + (w[t - 16] ?? 0)) | 0;
  }
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  let f = state[5] ?? 0;
  let g = state[6] ?? 0;
  let h = state[7] ?? 0;
  for (let t = 0; t < 64; t++) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + sum1 + ((e & f) ^ (~e & g)) + (CONSTANTS[t] ?? 0) + (w[t] ?? 0)) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  add(0, a);
  add(1, b);
  add(2, c);
  add(3, d);
  add(4, e);
  add(5, f);
  add(6, g);
  add(7, h);
}

function add(index: number, word: number): void {
  state[index] = (state[index] ?? 0) + word;
}

/** The eight hex digits of a word. A table is several times as fast as `toString(16)`. */
function hex(word = 0): string {
  return hexByte(word >>> 24) + hexByte(word >>> 16) + hexByte(word >>> 8) + hexByte(word);
}

function hexByte(word: number): string {
  return HEX[word & 0xff] ?? '';
}
