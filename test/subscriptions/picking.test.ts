import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEASE_BYTES_MAX } from '../../src/subscriptions/limits.ts';
import { pickByKey, pickFreely, pickInTurn } from '../../src/subscriptions/picking.ts';

const page = (keys: (string | null)[], slots: number, from = 1) => ({
  events: keys.map((key, index) => ({ sequence: from + index, json: key ?? '' })),
  scannedTo: from + keys.length - 1,
  slots,
});
const facts = (more: { held?: string[]; busy?: string[]; runMax?: number; holdsMax?: number } = {}) => ({
  keyOf: ({ json }: { json: string }) => (json === '' ? null : json),
  isHeld: (key: string) => more.held?.includes(key) ?? false,
  isBusy: (key: string) => more.busy?.includes(key) ?? false,
  runMax: more.runMax ?? 16,
  holdsMax: more.holdsMax ?? 100,
});
const runsOf = ({ runs }: ReturnType<typeof pickByKey>) =>
  runs.map(({ key, events }) => [key, ...events.map(({ sequence }) => sequence)]);

describe('what is picked of a page', () => {
  test('without order: as many as there are slots, and the page ends before the next', () => {
    expect(pickFreely({ ...page(['a', 'a', 'b'], 2), scannedTo: 9 })).toMatchObject({ taken: 2, held: 0, last: 2 });
    expect(pickFreely({ ...page(['a', 'a', 'b'], 5), scannedTo: 9 })).toMatchObject({ taken: 3, last: 9 });
  });

  test('by key: what is held is passed, what is busy becomes held, the rest goes', () => {
    const picked = pickByKey(page(['a', 'b', null, 'c', 'b', 'a', 'c'], 10), facts({ held: ['a'], busy: ['b'] }));
    expect(runsOf(picked)).toEqual([
      [null, 3],
      ['c', 4, 7],
    ]);
    expect(picked).toMatchObject({ taken: 3, held: 4, holds: [{ key: 'b', first: 2 }], last: 7 });
  });

  test('by key: more of one key than go in one lease are held', () => {
    const picked = pickByKey(page(['a', 'a', 'a', 'a'], 10), facts({ runMax: 2 }));
    expect(runsOf(picked)).toEqual([['a', 1, 2]]);
    expect(picked).toMatchObject({ held: 2, holds: [{ key: 'a', first: 3 }], last: 4 });
  });

  test('by key: a run is no larger than a lease', () => {
    const large = 'x'.repeat(LEASE_BYTES_MAX / 2);
    const events = [1, 2, 3].map((sequence) => ({ sequence, json: large }));
    const picked = pickByKey({ events, scannedTo: 3, slots: 10 }, { ...facts(), keyOf: () => 'a' });
    expect(picked).toMatchObject({ taken: 2, held: 1, holds: [{ key: 'a', first: 3 }] });
  });

  test('by key: the page goes on over what is held without a slot, and ends before what needs one', () => {
    const picked = pickByKey(page(['b', 'a', 'a', 'b', 'c', 'a'], 2), facts({ held: ['a'] }));
    expect(picked).toMatchObject({ taken: 2, held: 2, last: 4 });
  });

  test('by key: the page ends before a hold for which there is no room', () => {
    expect(pickByKey(page(['a', 'b', 'c'], 5), facts({ busy: ['b'], holdsMax: 0 }))).toMatchObject({
      taken: 1,
      last: 1,
    });
  });

  test('in turn: one run, however the keys are', () => {
    expect(pickInTurn('', page(['a', 'b', 'c'], 2), 16)).toMatchObject({ taken: 2, held: 0, last: 2 });
    expect(pickInTurn('', page(['a', 'b', 'c'], 9), 16)).toMatchObject({ taken: 3, last: 3 });
  });

  test('by key: every event up to the last is taken or held, once, and in order within its key', () => {
    const key = fc.option(fc.constantFrom('a', 'b', 'c', 'd'));
    const some = fc.subarray(['a', 'b', 'c', 'd']);
    fc.assert(
      fc.property(
        fc.array(key),
        fc.nat(12),
        some,
        some,
        fc.integer({ min: 1, max: 3 }),
        fc.nat(3),
        (keys, slots, held, busy, runMax, holdsMax) => {
          const asked = page(keys, slots);
          const picked = pickByKey(asked, facts({ held, busy, runMax, holdsMax }));
          const taken = picked.runs.flatMap(({ events }) => events.map(({ sequence }) => sequence));
          const examined = asked.events.filter(({ sequence }) => sequence <= picked.last);
          expect(taken).toHaveLength(picked.taken);
          expect(picked.taken + picked.held).toBe(examined.length);
          expect(picked.taken).toBeLessThanOrEqual(slots);
          expect(picked.holds.length).toBeLessThanOrEqual(holdsMax);
          for (const { sequence, json } of examined) {
            const isHeld =
              held.includes(json) || picked.holds.some((hold) => hold.key === json && sequence >= hold.first);
            expect(taken.includes(sequence)).toBe(!isHeld);
          }
        },
      ),
    );
  });
});
