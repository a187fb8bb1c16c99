import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Message, SHA256_HALF_BYTES } from '../../src/events/sha256.ts';
import { hex } from './decoding.ts';

const SHA256_BYTES = 2 * SHA256_HALF_BYTES;
const message = new Message();

function sha256Half(...texts: string[]): string {
  const out = new Uint8Array(SHA256_HALF_BYTES);
  message.begin();
  for (const text of texts) message.add(text);
  message.finish(out, 0);
  return hex(out);
}

const reference = (text: string) => createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 32);

test('is SHA-256 at every length around the ends of blocks and of the memory that is kept', () => {
  const lengths = [...Array.from({ length: 260 }, (_, length) => length), 8_191, 8_192, 8_193, 100_000, 1_000_000];
  for (const length of lengths) {
    for (const character of ['a', 'ä', '€']) {
      const text = character.repeat(length);
      expect(sha256Half(text), `${length} of ${character}`).toBe(reference(text));
    }
  }
});

test('is all of SHA-256 if asked', () => {
  const out = new Uint8Array(SHA256_BYTES + 2);
  message.begin();
  message.add('abc');
  message.finish(out, 1, SHA256_BYTES);
  expect(hex(out)).toBe(`00${createHash('sha256').update('abc').digest('hex')}00`);
});

test('is SHA-256 of any text, whatever was hashed before it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      expect(sha256Half(text)).toBe(reference(text));
    }),
    { numRuns: 1_000 },
  );
  expect(sha256Half('abc')).toBe('ba7816bf8f01cfea414140de5dae2223');
  expect(sha256Half('x\ud83d')).toBe(reference('x\ufffd'));
});

test('is SHA-256 of texts one after the other, and of strings of JSON', () => {
  const texts = fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 40 })));
  fc.assert(
    fc.property(texts, texts, (raw, strings) => {
      const out = new Uint8Array(SHA256_HALF_BYTES);
      message.begin();
      for (const text of raw) message.add(text);
      for (const text of strings) message.addString(text);
      message.finish(out, 0);
      const written = [...raw.map((text) => text.toWellFormed()), ...strings.map((text) => JSON.stringify(text))];
      expect(hex(out)).toBe(reference(written.join('')));
    }),
    { numRuns: 1_000 },
  );
});

test('what was begun and not finished is forgotten', () => {
  message.begin();
  message.add('x'.repeat(100_000));
  expect(sha256Half('abc')).toBe('ba7816bf8f01cfea414140de5dae2223');
});

test('memory grows as a message does, and no byte of it is lost', () => {
  const texts = Array.from({ length: 200 }, (_, index) => String.fromCharCode(97 + (index % 26)).repeat(index * 17));
  expect(sha256Half(...texts)).toBe(reference(texts.join('')));
});
