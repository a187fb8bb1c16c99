import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hasWildcard,
  isName,
  isReservedTopic,
  isTopicPattern,
  patternCovers,
  topicMatches,
} from '../../src/events/names.ts';

describe('names', () => {
  test.each(['a', '0', 'orders', 'orders.eu', 'a-b_c.d', 'a.-b', 'x'.repeat(200), 'millrace.system'])(
    '%s is one',
    (name) => {
      expect(isName(name)).toBe(true);
    },
  );

  test.each(['', '.', '-', 'a.', '.a', 'a..b', 'A', 'a b', 'a/b', 'é', 'a\n', 'a-', '_a', '*', 'a*', 'x'.repeat(201)])(
    '%j is none',
    (name) => {
      expect(isName(name)).toBe(false);
    },
  );

  test('only what is under the prefix is reserved', () => {
    expect(isReservedTopic('millrace.system')).toBe(true);
    expect(isReservedTopic('millrace')).toBe(false);
    expect(isReservedTopic('millrace-x')).toBe(false);
  });
});

describe('topic patterns', () => {
  test.each(['orders', '*', '>', 'orders.*', '*.eu', 'a.*.c', 'orders.>', '*.>', '*.*', 'millrace.system'])(
    '%s is one',
    (pattern) => {
      expect(isTopicPattern(pattern)).toBe(true);
    },
  );

  test.each(['', '>.a', 'a.>.b', 'a*', '*a', 'a.**', 'a.b>', '>>', 'a..*', '.>', 'A.*', 'millrace.*', 'millrace.>'])(
    '%j is none',
    (pattern) => {
      expect(isTopicPattern(pattern)).toBe(false);
    },
  );

  test.each([
    ['orders', 'orders', true],
    ['orders', 'orders.eu', false],
    ['orders.*', 'orders.eu', true],
    ['orders.*', 'orders', false],
    ['orders.*', 'orders.eu.de', false],
    ['orders.>', 'orders.eu', true],
    ['orders.>', 'orders.eu.de', true],
    ['orders.>', 'orders', false],
    ['>', 'orders', true],
    ['>', 'a.b.c', true],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['*.b', 'a.b', true],
    ['*.>', 'a', false],
    ['>', 'millrace.system', false],
    ['*.system', 'millrace.system', false],
    ['millrace.system', 'millrace.system', true],
    ['>', 'millrace', true],
  ])('%s matches %s: %s', (pattern, topic, expected) => {
    expect(topicMatches(pattern, topic)).toBe(expected);
  });

  test.each([
    ['>', '>', true],
    ['>', 'orders.*', true],
    ['>', 'a', true],
    ['>', 'millrace.system', false],
    ['millrace.system', 'millrace.system', true],
    ['orders.>', 'orders.*', true],
    ['orders.>', 'orders.*.x', true],
    ['orders.>', 'orders', false],
    ['orders.>', '>', false],
    ['orders.*', 'orders.>', false],
    ['orders.*', 'orders.*', true],
    ['orders.*', 'orders.eu', true],
    ['*', '>', false],
    ['*.>', '>', false],
    ['*.>', 'a.>', true],
    ['*.*', 'a.>', false],
    ['a.b', 'a.*', false],
    ['a.b', 'a.b', true],
  ])('%s covers %s: %s', (outer, inner, expected) => {
    expect(patternCovers(outer, inner)).toBe(expected);
  });

  const token = fc.constantFrom('a', 'b', 'millrace');
  const topic = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
  const pattern = fc
    .tuple(fc.array(fc.constantFrom('a', 'b', '*', 'millrace'), { maxLength: 3 }), fc.constantFrom('a', '*', '>'))
    .map(([tokens, last]) => [...tokens, last].join('.'))
    .filter(isTopicPattern);

  test('what covers a pattern matches all that the pattern matches', () => {
    fc.assert(
      fc.property(pattern, pattern, topic, (outer, inner, name) => {
        if (patternCovers(outer, inner) && topicMatches(inner, name)) expect(topicMatches(outer, name)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  test('what does not cover a pattern misses a topic that the pattern matches', () => {
    const names = allTopics(['a', 'b', 'c'], 5);
    fc.assert(
      fc.property(pattern, pattern, (outer, inner) => {
        const missed = names.some((name) => topicMatches(inner, name) && !topicMatches(outer, name));
        const reserved = !hasWildcard(inner) && isReservedTopic(inner);
        const matchesSome = names.some((name) => topicMatches(inner, name));
        if (!reserved && matchesSome) expect(patternCovers(outer, inner)).toBe(!missed);
      }),
      { numRuns: 500 },
    );
  });
});

function allTopics(tokens: string[], depth: number): string[] {
  if (depth === 0) return [];
  const shorter = allTopics(tokens, depth - 1);
  return [...tokens, ...shorter.flatMap((rest) => tokens.map((token) => `${token}.${rest}`))];
}
