import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ackIdOf, parseAckId, readAckIds } from '../../src/subscriptions/ack-ids.ts';
import { Acked } from '../../src/subscriptions/acked.ts';
import { AskedIds } from '../../src/subscriptions/asked-ids.ts';
import { ACKED_KEPT } from '../../src/subscriptions/limits.ts';

const A = { lane: 1, token: 'a'.repeat(32) };
const B = { lane: 1, token: 'b'.repeat(32) };

const good = fc
  .record({
    lane: fc.constantFrom(1, 12),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    token: fc.constantFrom(A.token, B.token),
  })
  .map(ackIdOf);
/** Nearly what an id is, between the head and the tail of one that came before. */
const near = fc
  .tuple(
    fc.constantFrom('1-', '12-', '1', ''),
    fc.constantFrom('', '0', '01', '-1', '1.5', '1e3', ' 7', '7', '99999999999999999'),
  )
  .map(([head, sequence]) => `${head}${sequence}-${A.token}`);

test('ids are read together as each is by itself, those of one claim with one object', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 3, arbitrary: good }, near, fc.string()), { maxLength: 20 }), (ackIds) => {
      const read = readAckIds(ackIds);
      expect(read.map((id) => id && { ...id.claim, sequence: id.sequence })).toEqual(ackIds.map(parseAckId));
      const claims = read.flatMap((id) => (id === null ? [] : [id.claim]));
      expect(new Set(claims).size).toBe(new Set(claims.map(({ lane, token }) => `${lane} ${token}`)).size);
    }),
  );
});

test('an id that is asked about twice is looked at once, and answered alike', () => {
  const ids = new AskedIds([1, 2, 1, 3].map((sequence) => ackIdOf({ ...A, sequence })).concat('no id'));
  const seen: number[] = [];
  const answers = ids.answers((claim, sequence) => {
    expect(claim).toEqual(A);
    seen.push(sequence);
    return sequence === 2 ? 'stale-ack-id' : 'ok';
  });
  expect(answers).toEqual(['ok', 'stale-ack-id', 'ok', 'ok', 'invalid-ack-id']);
  expect(seen).toEqual([1, 2, 3]);
  expect(ids.ok).toEqual([[A, [1, 3]]]);
});

test('what was acknowledged is known for as many as are kept, by its claim alone', () => {
  const acked = new Acked();
  acked.add(A, [1, 2]);
  acked.add(A, [3]);
  expect([1, 2, 3, 4].map((sequence) => acked.has(A, sequence))).toEqual([true, true, true, false]);
  expect(acked.has(B, 1)).toBe(false);
  expect(acked.has({ ...A, lane: 2 }, 1)).toBe(false);
  const many = Array.from({ length: ACKED_KEPT }, (_, index) => index + 10);
  acked.add(B, many);
  expect(acked.has(A, 1)).toBe(true);
  acked.add(B, many);
  expect(acked.has(A, 1)).toBe(false);
  expect(acked.has(B, 10)).toBe(true);
});

test('what was not, and what was before, takes the place of nothing that was acknowledged', () => {
  const acked = new Acked();
  acked.add(A, [1]);
  for (let lane = 2; lane < ACKED_KEPT * 3; lane++) acked.add({ ...A, lane }, []);
  const again = Array.from({ length: 1_000 }, (_, index) => index + 10);
  for (let round = 0; round < (3 * ACKED_KEPT) / 1_000; round++) acked.add(B, again);
  expect(acked.has(A, 1)).toBe(true);
  expect(acked.has({ ...A, lane: 2 }, 1)).toBe(false);
});
