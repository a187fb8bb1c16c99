/**
 * SHA-256 (FIPS 180-4) of texts, for the identity of each event that is published and the id of each delivery. @noble/hashes, which hashes everything
 * else, takes more than twice as long for the few hundred bytes of one: it makes an object, views and a copy for each.
 * Nothing here is secret, so that nothing has to be wiped.
 */

const BLOCK_BYTES = 64;
const BLOCK_WORDS = 16;
const WORD_BYTES = 4;
/** The bytes that end the last block: the length of the message in bits. */
const LENGTH_BYTES = 8;
const HIGH_WORD = 2 ** 32;
const PADDING = 0x80;
const ASCII_MAX = 0x7f;
const SPACE = 32;
const QUOTE = 34;
const BACKSLASH = 92;

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

/** Bytes that are kept of most hashes. */
export const SHA256_HALF_BYTES = 16;

/** Messages up to about this many bytes are written into memory that is kept for the next. */
const KEPT_BYTES = 32_768;
/** UTF-8 takes three bytes a UTF-16 code unit at most. */
const CHARACTER_BYTES_MAX = 3;

const schedule = new Int32Array(64);
const state = new Int32Array(8);
const encoder = new TextEncoder();

/** A text that is hashed as it is written, piece by piece: no string is made of it. One is enough; `begin` starts the next. */
export class Message {
  #bytes = new Uint8Array(KEPT_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Forgets what was added and not finished. */
  begin(): void {
    this.#length = 0;
  }

  /** Appends the text as it is. Half a surrogate pair counts as U+FFFD. */
  add(text: string): void {
    const bytes = this.#roomFor(text.length);
    const start = this.#length;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > ASCII_MAX) {
        this.#length += encoder.encodeInto(text, bytes.subarray(start)).written;
        return;
      }
      bytes[start + at] = code;
    }
    this.#length = start + text.length;
  }

  /** Appends the text as a string of JSON, as `JSON.stringify` writes it. */
  addString(text: string): void {
    const bytes = this.#roomFor(text.length + 2);
    const start = this.#length + 1;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code < SPACE || code === QUOTE || code === BACKSLASH || code > ASCII_MAX) {
        this.add(JSON.stringify(text));
        return;
      }
      bytes[start + at] = code;
    }
    const end = start + text.length;
    bytes[start - 1] = QUOTE;
    bytes[end] = QUOTE;
    this.#length = end + 1;
  }

  /** Writes the first bytes of SHA-256 over all that was added, half of them unless told, into `out` from `at` on. */
  finish(out: Uint8Array, at: number, bytes = SHA256_HALF_BYTES): void {
    const end = this.#pad();
    state.set(START);
    for (let block = 0; block < end; block += BLOCK_BYTES) compress(this.#view, block);
    for (let byte = 0; byte < bytes; byte++) {
      out[at + byte] = (state[byte >>> 2] ?? 0) >>> (24 - (byte & 3) * 8);
    }
    if (this.#bytes.length > KEPT_BYTES) this.#useMemory(new Uint8Array(KEPT_BYTES));
  }

  /** The bytes, with room for so many characters more and for what ends a message. */
  #roomFor(characters: number): Uint8Array {
    const needed = this.#length + characters * CHARACTER_BYTES_MAX + 2 * BLOCK_BYTES;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#useMemory(larger);
    }
    return this.#bytes;
  }

  #useMemory(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** Ends the message as the standard has it; where its last block ends. */
  #pad(): number {
    const bytes = this.#roomFor(0);
    const length = this.#length;
    const end = Math.ceil((length + 1 + LENGTH_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
    bytes.fill(0, length, end);
    bytes[length] = PADDING;
    const bits = length * 8;
    this.#view.setUint32(end - 8, Math.floor(bits / HIGH_WORD));
    this.#view.setUint32(end - 4, bits % HIGH_WORD);
    return end;
  }
}

/**
 * Takes the block at `at` into `state`. The names are the standard's. Eight rounds at a time, in each of which the names
 * move on by one, so that no value has to; written out, because calls of functions would be more than the engine inlines.
 */
function compress(view: DataView, at: number): void {
  const w = schedule;
  for (let t = 0; t < BLOCK_WORDS; t++) w[t] = view.getInt32(at + t * WORD_BYTES);
  for (let t = BLOCK_WORDS; t < 64; t++) {
    const x = w[t - 15] ?? 0;
    const y = w[t - 2] ?? 0;
    const small0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const small1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = small1 + (w[t - 7] ?? 0) + small0 + (w[t - 16] ?? 0);
  }
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  let f = state[5] ?? 0;
  let g = state[6] ?? 0;
  let h = state[7] ?? 0;
  let s0 = 0;
  let s1 = 0;
  let t1 = 0;
  for (let t = 0; t < 64; t += 8) {
    s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    t1 = (h + s1 + (g ^ (e & (f ^ g))) + (CONSTANTS[t] ?? 0) + (w[t] ?? 0)) | 0;
    d = (d + t1) | 0;
    s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    h = (t1 + s0 + ((a & b) ^ (c & (a ^ b)))) | 0;
    s1 = ((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7));
    t1 = (g + s1 + (f ^ (d & (e ^ f))) + (CONSTANTS[t + 1] ?? 0) + (w[t + 1] ?? 0)) | 0;
    c = (c + t1) | 0;
    s0 = ((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10));
    g = (t1 + s0 + ((h & a) ^ (b & (h ^ a)))) | 0;
    s1 = ((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7));
    t1 = (f + s1 + (e ^ (c & (d ^ e))) + (CONSTANTS[t + 2] ?? 0) + (w[t + 2] ?? 0)) | 0;
    b = (b + t1) | 0;
    s0 = ((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10));
    f = (t1 + s0 + ((g & h) ^ (a & (g ^ h)))) | 0;
    s1 = ((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7));
    t1 = (e + s1 + (d ^ (b & (c ^ d))) + (CONSTANTS[t + 3] ?? 0) + (w[t + 3] ?? 0)) | 0;
    a = (a + t1) | 0;
    s0 = ((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10));
    e = (t1 + s0 + ((f & g) ^ (h & (f ^ g)))) | 0;
    s1 = ((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7));
    t1 = (d + s1 + (c ^ (a & (b ^ c))) + (CONSTANTS[t + 4] ?? 0) + (w[t + 4] ?? 0)) | 0;
    h = (h + t1) | 0;
    s0 = ((e >>> 2) | (e << 30)) ^ ((e >>> 13) | (e << 19)) ^ ((e >>> 22) | (e << 10));
    d = (t1 + s0 + ((e & f) ^ (g & (e ^ f)))) | 0;
    s1 = ((h >>> 6) | (h << 26)) ^ ((h >>> 11) | (h << 21)) ^ ((h >>> 25) | (h << 7));
    t1 = (c + s1 + (b ^ (h & (a ^ b))) + (CONSTANTS[t + 5] ?? 0) + (w[t + 5] ?? 0)) | 0;
    g = (g + t1) | 0;
    s0 = ((d >>> 2) | (d << 30)) ^ ((d >>> 13) | (d << 19)) ^ ((d >>> 22) | (d << 10));
    c = (t1 + s0 + ((d & e) ^ (f & (d ^ e)))) | 0;
    s1 = ((g >>> 6) | (g << 26)) ^ ((g >>> 11) | (g << 21)) ^ ((g >>> 25) | (g << 7));
    t1 = (b + s1 + (a ^ (g & (h ^ a))) + (CONSTANTS[t + 6] ?? 0) + (w[t + 6] ?? 0)) | 0;
    f = (f + t1) | 0;
    s0 = ((c >>> 2) | (c << 30)) ^ ((c >>> 13) | (c << 19)) ^ ((c >>> 22) | (c << 10));
    b = (t1 + s0 + ((c & d) ^ (e & (c ^ d)))) | 0;
    s1 = ((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7));
    t1 = (a + s1 + (h ^ (f & (g ^ h))) + (CONSTANTS[t + 7] ?? 0) + (w[t + 7] ?? 0)) | 0;
    e = (e + t1) | 0;
    s0 = ((b >>> 2) | (b << 30)) ^ ((b >>> 13) | (b << 19)) ^ ((b >>> 22) | (b << 10));
    a = (t1 + s0 + ((b & c) ^ (d & (b ^ c)))) | 0;
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
