import { expect, test } from 'vitest';
import { FILTER_BYTES, probeAt } from '../../src/topics/identity-pages.ts';
import { KeptFilters } from '../../src/topics/kept-filters.ts';
import { FILTERS_KEPT } from '../../src/topics/limits.ts';
import { half } from '../support/new-events.ts';

const probe = probeAt(half('x'), 0, 1);
const full = new Uint8Array(FILTER_BYTES).fill(0xff);
const empty = new Uint8Array(FILTER_BYTES);

test.each([512, 4096])(
  'a filter that is not known may hold anything, and says that it is not known (%i pages)',
  (pages) => {
    const kept = new KeptFilters();
    const asked = (page: number, run = 1) => [
      kept.mayHaveFirst(run, pages, page, probe),
      kept.mayHold(run, pages, page, probe),
    ];
    expect(asked(0)).toEqual([1, null]);
    kept.set(1, pages, 130, empty);
    kept.set(1, pages, 131, full);
    expect(asked(129)).toEqual([1, null]);
    expect(asked(130)).toEqual([0, false]);
    expect(asked(131)).toEqual([1, true]);
    expect(asked(130, 2)).toEqual([1, null]);
    kept.forget(1);
    expect(asked(131)).toEqual([1, null]);
  },
);

test('where there are more than there is room for, the oldest are forgotten and the others stay', () => {
  const kept = new KeptFilters();
  const pages = FILTERS_KEPT * 2;
  const known = () =>
    Array.from({ length: pages }, (_, page) => kept.mayHold(1, pages, page, probe)).filter((held) => held !== null);
  for (let page = 0; page < pages; page += 1) {
    kept.set(1, pages, page, full);
    if (page === FILTERS_KEPT)
      expect([kept.mayHold(1, pages, 0, probe), kept.mayHold(1, pages, 1, probe)]).toEqual([null, true]);
  }
  expect(known()).toHaveLength(FILTERS_KEPT);
  kept.set(2, 8, 3, full);
  expect(known()).toHaveLength(FILTERS_KEPT - 8);
  for (let run = 3; run < 3 + FILTERS_KEPT / 4; run += 1) {
    kept.set(run, 8, 0, full);
    kept.forget(run);
  }
  expect(known()).toHaveLength(FILTERS_KEPT - 16);
  expect(kept.mayHold(2, 8, 3, probe)).toBe(true);
  kept.clear();
  expect(known()).toEqual([]);
});
