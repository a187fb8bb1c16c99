import { expect, test } from 'vitest';
import { SEGMENT_BYTES_MAX } from '../../src/topics/limits.ts';
import { byteLength } from '../../src/topics/segments.ts';

test.each([
  '',
  'a'.repeat(SEGMENT_BYTES_MAX),
  '€'.repeat(SEGMENT_BYTES_MAX),
  '€'.repeat(SEGMENT_BYTES_MAX + 1),
  '😀'.repeat(1_000),
  `a${'😀'.repeat((SEGMENT_BYTES_MAX * 3) / 4)}`,
  'a'.repeat(SEGMENT_BYTES_MAX * 3 + 1),
  '\ud83d lone \ude00',
])('bytes of a text in UTF-8, whether it fits into a segment or not: %#', (text) => {
  expect(byteLength(text)).toBe(Buffer.byteLength(text));
});
