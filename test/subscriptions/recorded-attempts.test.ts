import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attemptsIn, attemptsText, type RecordedAttempt } from '../../src/subscriptions/recorded-attempts.ts';

const attempt: fc.Arbitrary<RecordedAttempt> = fc.record({
  sequence: fc.integer({ min: 1 }),
  attempt: fc.constantFrom(1, 2),
  at: fc.constantFrom(1_767_225_600_000, 1_767_225_600_001),
  status: fc.constantFrom(null, 200, 503),
  outcome: fc.constantFrom('delivered', 'failed', 'timeout', 'network'),
  latencyMs: fc.constantFrom(0, 1.5),
  response: fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme' })),
  error: fc.option(fc.string()),
  request: fc.constantFrom(null, {}, { url: 'https://example.com' }, { headers: { a: true, b: null } as const }),
});

test('attempts are read from their row as they were recorded', () => {
  const attempts = fc.oneof(
    fc.array(attempt, { maxLength: 5 }),
    attempt.map((one) => [1, 2, 3].map((sequence) => ({ ...one, sequence }))),
  );
  fc.assert(
    fc.property(attempts, (given) => {
      expect(attemptsIn(attemptsText(given))).toEqual(given);
    }),
  );
});

test('a hundred attempts that went well take next to nothing but their sequences', () => {
  const request = {};
  const attempts = Array.from({ length: 100 }, (_, index) => ({
    sequence: 1_000 + index,
    attempt: 1,
    at: 1_767_225_600_000,
    status: null,
    outcome: 'delivered' as const,
    latencyMs: 12,
    response: '',
    error: null,
    request,
  }));
  expect(attemptsText(attempts).length).toBeLessThan(700);
});

test('columns of different lengths are no attempts', () => {
  const text = attemptsText([
    {
      sequence: 1,
      attempt: 1,
      at: 5,
      status: 200,
      outcome: 'delivered',
      latencyMs: 1,
      response: '',
      error: null,
      request: {},
    },
  ]);
  expect(() => attemptsIn(text.replace('"sequence":[1]', '"sequence":[1,2]').replace('"at":5', '"at":[5]'))).toThrow(
    'differ in length',
  );
});
