import { expect, test } from 'vitest';
import { EVENT_HASHES_BYTES } from '../../src/events/hashes.ts';
import { ENTRY_BYTES, FILTER_BYTES, pagesOf, probeAt, writeEntry } from '../../src/topics/identity-pages.ts';
import { KeptFilters } from '../../src/topics/kept-filters.ts';
import { FILTERS_KEPT } from '../../src/topics/limits.ts';
import { half } from '../support/new-events.ts';

const probe = probeAt(half('x'), 0, 1);
const full = new Uint8Array(FILTER_BYTES).fill(0xff);
const empty = new Uint8Array(FILTER_BYTES);

test.each([9, 12])(
  'a filter that is not known may hold anything, and says that it is not known (2 ** %i pages)',
  (bits) => {
    const kept = new KeptFilters();
    const pages = 2 ** bits;
    const marked = (page: number, run: number) => {
      const answers = new Uint8Array(2);
      kept.mark(run, bits, [{ ...probe, place: (page * 2 ** 32) / pages }], answers);
      return answers;
    };
    const asked = (page: number, run = 1) => {
      const [answer, untouched] = marked(page, run);
      expect(untouched).toBe(0);
      return [answer, kept.mayHold(run, pages, page, probe)];
    };
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

test('an identity is marked by no filter that lacks one of its bits, and keeps the mark it has', () => {
  const hashes = new Uint8Array(EVENT_HASHES_BYTES);
  hashes.set(half('held'));
  const entry = new Uint8Array(ENTRY_BYTES);
  writeEntry(entry, 0, hashes, 0, 1, 1);
  const page = pagesOf(entry, 0, 1)[0]?.filter ?? empty;
  const held = probeAt(half('held'), 0, 1);
  const answerOf = (filter: Uint8Array, before = 0) => {
    const kept = new KeptFilters();
    kept.set(1, 1, 0, filter);
    const answers = Uint8Array.of(before);
    kept.mark(1, 0, [held], answers);
    return answers[0];
  };
  expect(answerOf(page)).toBe(1);
  expect(page).not.toEqual(empty);
  for (const [index, byte] of page.entries()) {
    for (let bit = 1; bit <= byte; bit *= 2) {
      if ((byte & bit) === 0) continue;
      const lacking = page.slice();
      lacking[index] = byte & ~bit;
      expect(answerOf(lacking)).toBe(0);
      expect(answerOf(lacking, 1)).toBe(1);
    }
  }
});

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
