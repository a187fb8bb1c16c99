import { beforeEach, describe, expect, it } from 'vitest';
import {
  type DeadLetter,
  DeadLetters,
  type LetterCursor,
  type LetterFilter,
  letterState,
} from '../../src/dead-letters/letters.ts';
import { NodeD1 } from '../support/node-d1.ts';

const ANY: LetterFilter = { subscription: null, topic: null, reason: null, since: null, until: null, state: null };

function letter(id: string, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id,
    subscription: 'billing',
    topic: 'orders',
    sequence: 1,
    event: '{"type":"order.created"}',
    reason: 'exhausted',
    attempts: 10,
    lastStatus: 500,
    lastError: null,
    firstAttemptAt: 50,
    diedAt: 100,
    redrivenAt: null,
    resolvedAt: null,
    discardedAt: null,
    version: 1,
    ...changes,
  };
}

describe('dead letters in D1', () => {
  let d1: NodeD1;
  let letters: DeadLetters;

  beforeEach(() => {
    d1 = NodeD1.migrated();
    letters = new DeadLetters(d1);
  });

  async function ids(filter: Partial<LetterFilter>): Promise<string[]> {
    return (await letters.page({ ...ANY, ...filter }, 1000, null)).letters.map(({ id }) => id);
  }

  it('keeps a letter whole', async () => {
    const whole = letter('dl_a', { lastError: 'network', redrivenAt: 120, resolvedAt: 130, version: 3 });
    await letters.put([whole]);
    expect(await letters.get('dl_a')).toEqual(whole);
    expect(await letters.get('dl_b')).toBeNull();
  });

  it('never lets an older write overtake a newer one, in whatever order they come', async () => {
    const died = letter('dl_a');
    const redriven = letter('dl_a', { redrivenAt: 150, version: 2 });
    await letters.put([redriven]);
    await letters.put([died]);
    expect((await letters.get('dl_a'))?.redrivenAt).toBe(150);
    await letters.put([letter('dl_a', { diedAt: 200, attempts: 20, version: 3 }), redriven]);
    expect(await letters.get('dl_a')).toMatchObject({ diedAt: 200, attempts: 20, redrivenAt: null, version: 3 });
  });

  it('keeps the first attempt of what was redriven and has died again, and takes that of what died in another life', async () => {
    await letters.put([letter('dl_a'), letter('dl_b'), letter('dl_c', { firstAttemptAt: null, redrivenAt: 120 })]);
    await letters.put([letter('dl_a', { redrivenAt: 150, resolvedAt: 160, version: 2 })]);
    await letters.put(['dl_a', 'dl_b', 'dl_c'].map((id) => letter(id, { firstAttemptAt: 155, version: 3 })));
    expect(await Promise.all(['dl_a', 'dl_b', 'dl_c'].map((id) => letters.get(id)))).toMatchObject([
      { firstAttemptAt: 50, redrivenAt: null, resolvedAt: null },
      { firstAttemptAt: 155 },
      { firstAttemptAt: 155 },
    ]);
  });

  it('writes more letters than one round trip takes', async () => {
    await letters.put(Array.from({ length: 120 }, (_, index) => letter(`dl_${index}`)));
    expect(await letters.count(ANY)).toBe(120);
  });

  it('pages newest first, every letter once', async () => {
    // Deaths of the same millisecond are told apart by their id.
    await letters.put(
      Array.from({ length: 25 }, (_, index) => letter(`dl_${index % 7}${index}`, { diedAt: 100 + (index % 4) })),
    );
    const seen: DeadLetter[] = [];
    let before: LetterCursor | null = null;
    do {
      const page: Awaited<ReturnType<DeadLetters['page']>> = await letters.page(ANY, 4, before);
      expect(page.letters.length).toBeLessThanOrEqual(4);
      seen.push(...page.letters);
      before = page.next;
    } while (before !== null);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(25);
    expect(seen).toEqual([...seen].sort((a, b) => b.diedAt - a.diedAt || (a.id < b.id ? -1 : 1)));
  });

  it('ends a page at its bytes, though never before the first letter', async () => {
    const event = JSON.stringify({ data: 'é'.repeat(1_000_000) });
    await letters.put(Array.from({ length: 5 }, (_, index) => letter(`dl_${index}`, { event, diedAt: 100 - index })));
    const first = await letters.page(ANY, 50, null);
    expect(first.letters.map(({ id }) => id)).toEqual(['dl_0', 'dl_1']);
    const second = await letters.page(ANY, 50, first.next);
    expect(second.letters.map(({ id }) => id)).toEqual(['dl_2', 'dl_3']);
    const third = await letters.page(ANY, 50, second.next);
    expect(third).toMatchObject({ letters: [{ id: 'dl_4' }], next: null });

    await letters.put([letter('dl_huge', { event: 'x'.repeat(5_000_000), diedAt: 500 })]);
    expect((await letters.page(ANY, 50, null)).letters.map(({ id }) => id)).toEqual(['dl_huge']);
  });

  it('finds by every filter, the ends of a time range included', async () => {
    await letters.put([
      letter('dl_a', { subscription: 'billing', topic: 'orders', reason: 'gone', diedAt: 100 }),
      letter('dl_b', { subscription: 'email', topic: 'orders', reason: 'exhausted', diedAt: 200 }),
      letter('dl_c', { subscription: 'email', topic: 'refunds', reason: 'gone', diedAt: 300 }),
    ]);
    expect(await ids({ subscription: 'email' })).toEqual(['dl_c', 'dl_b']);
    expect(await ids({ topic: 'orders' })).toEqual(['dl_b', 'dl_a']);
    expect(await ids({ reason: 'gone' })).toEqual(['dl_c', 'dl_a']);
    expect(await ids({ since: 200 })).toEqual(['dl_c', 'dl_b']);
    expect(await ids({ until: 200 })).toEqual(['dl_b', 'dl_a']);
    expect(await ids({ since: 200, until: 200 })).toEqual(['dl_b']);
    expect(await ids({ subscription: 'email', topic: 'orders', reason: 'gone' })).toEqual([]);
    expect(await letters.count({ ...ANY, subscription: 'email' })).toBe(2);
    expect(await letters.counts({ ...ANY, reason: 'gone' })).toEqual([
      { subscription: 'billing', topic: 'orders', count: 1 },
      { subscription: 'email', topic: 'refunds', count: 1 },
    ]);
  });

  it('tells the states apart; what died again after a redrive is open again', async () => {
    const all = [
      letter('dl_open'),
      letter('dl_redriven', { redrivenAt: 100 }),
      letter('dl_again', { redrivenAt: 90, diedAt: 100 }),
      letter('dl_resolved', { redrivenAt: 110, resolvedAt: 120 }),
      letter('dl_discarded', { discardedAt: 120 }),
    ];
    await letters.put(all);
    expect(await ids({ state: 'open' })).toEqual(['dl_again', 'dl_open']);
    expect(await ids({ state: 'redriven' })).toEqual(['dl_redriven']);
    expect(await ids({ state: 'resolved' })).toEqual(['dl_resolved']);
    expect(await ids({ state: 'discarded' })).toEqual(['dl_discarded']);
    expect(await ids({ state: 'all' })).toHaveLength(5);
    expect(all.map(letterState)).toEqual(['open', 'redriven', 'open', 'resolved', 'discarded']);
  });

  it('gives a job the open letters of its subscription by id, whatever happens to them on the way', async () => {
    await letters.put([
      letter('dl_a'),
      letter('dl_b'),
      letter('dl_c', { subscription: 'email' }),
      letter('dl_d', { redrivenAt: 300 }),
      letter('dl_e', { reason: 'gone' }),
    ]);
    const first = await letters.openLetters('billing', ANY, '', 2);
    expect(first.map(({ id }) => id)).toEqual(['dl_a', 'dl_b']);
    await letters.put(first.map((done) => ({ ...done, redrivenAt: 400, version: 2 })));
    expect((await letters.openLetters('billing', ANY, 'dl_b', 2)).map(({ id }) => id)).toEqual(['dl_e']);
    expect(await letters.openLetters('billing', { ...ANY, reason: 'exhausted' }, 'dl_b', 2)).toEqual([]);
  });

  it('discards the letters of a subscription that is gone, each once', async () => {
    await letters.put([letter('dl_a'), letter('dl_b'), letter('dl_c', { resolvedAt: 150 })]);
    expect(await letters.discardOrphan('dl_a', 900)).toBe(true);
    expect(await letters.discardOrphan('dl_a', 901)).toBe(false);
    expect(await letters.discardOrphan('dl_c', 901)).toBe(false);
    expect(await letters.discardOrphans('billing', ANY, 902)).toBe(1);
    expect((await letters.get('dl_a'))?.discardedAt).toBe(900);
    expect((await letters.get('dl_b'))?.discardedAt).toBe(902);
    expect((await letters.get('dl_c'))?.discardedAt).toBeNull();
  });

  it('reads none of its tables whole: every query has its index', async () => {
    const queries: string[] = [];
    const { around } = d1;
    d1.around = (texts, work) => {
      queries.push(...texts);
      return around(texts, work);
    };
    const before = { diedAt: 100, id: 'dl_a' };
    const uses = async (index: string, call: () => Promise<unknown>) => {
      queries.length = 0;
      await call();
      const plan = queries.flatMap((query) =>
        d1.query(`EXPLAIN QUERY PLAN ${query}`, ...Array<number>(query.split('?').length - 1).fill(1)),
      );
      const tables = plan.map(({ detail }) => String(detail)).filter((detail) => detail.includes(' dead_letters'));
      expect(tables[0]).toContain(index);
      expect(tables.filter((detail) => detail === 'SCAN dead_letters')).toEqual([]);
    };
    await uses('dead_letters_newest (died_at<?)', () => letters.page(ANY, 5, before));
    await uses('dead_letters_unsettled (died_at<?)', () => letters.page({ ...ANY, state: 'open' }, 5, before));
    await uses('dead_letters_of_subscription (subscription=? AND died_at<?)', () =>
      letters.page({ ...ANY, subscription: 'billing' }, 5, before),
    );
    await uses('dead_letters_of_topic (topic=? AND died_at<?)', () => letters.page({ ...ANY, topic: 'x' }, 5, before));
    await uses('dead_letters_unsettled_of_subscription (subscription=? AND id>?)', () =>
      letters.openLetters('billing', { ...ANY, topic: 'orders', since: 1, until: 2 }, 'dl_a', 5),
    );
    await uses('dead_letters_unsettled_of_subscription (subscription=?)', () =>
      letters.discardOrphans('billing', { ...ANY, state: 'open' }, 5),
    );
    await uses('PRIMARY KEY (id=?)', () => letters.get('dl_a'));
  });
});
