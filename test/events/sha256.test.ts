import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Half } from '../../src/events/sha256.ts';

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
