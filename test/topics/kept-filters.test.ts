import { expect, test } from 'vitest';
import { FILTER_BYTES, probeAt } from '../../src/topics/identity-pages.ts';
import { KeptFilters } from '../../src/topics/kept-filters.ts';
import { FILTERS_KEPT } from '../../src/topics/limits.ts';
import { half } from '../support/new-events.ts';

const probe = probeAt(half('x'), 0, 1);
const full = new Uint8Array(FILTER_BYTES).fill(0xff);
const empty = new Uint8Array(FILTER_BYTES);

test('a filter that is not known may hold anything, and says that it is not known', () => {
  const kept = new KeptFilters();
  expect([kept.mayHaveFirst(1, 0, probe), kept.mayHold(1, 0, probe)]).toEqual([1, null]);
  kept.set(1, 512, 130, empty);
  kept.set(1, 512, 131, full);
  expect([kept.mayHaveFirst(1, 129, probe), kept.mayHold(1, 129, probe)]).toEqual([1, null]);
  expect([kept.mayHaveFirst(1, 130, probe), kept.mayHold(1, 130, probe)]).toEqual([0, false]);
  expect([kept.mayHaveFirst(1, 131, probe), kept.mayHold(1, 131, probe)]).toEqual([1, true]);
  expect(kept.mayHold(2, 130, probe)).toBeNull();
  kept.forget(1);
  expect(kept.mayHold(1, 131, probe)).toBeNull();
});

test('there are never more of them than may be', () => {
  const kept = new KeptFilters();
  for (let page = 0; page < FILTERS_KEPT; page += 64) kept.set(1, FILTERS_KEPT, page, full);
  expect(kept.mayHold(1, 0, probe)).toBe(true);
  kept.set(2, 8, 0, full);
  expect([kept.mayHold(1, 0, probe), kept.mayHold(2, 0, probe)]).toEqual([null, true]);
  for (let run = 3; run < 3 + FILTERS_KEPT / 8; run += 1) {
    kept.set(run, 8, 0, full);
    kept.forget(run);
  }
  expect(kept.mayHold(2, 0, probe)).toBe(true);
});
