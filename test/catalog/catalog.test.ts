import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { NodeD1 } from '../support/node-d1.ts';

const DAY_MS = 24 * 3_600_000;
const NOW = 1_767_225_600_000;

async function withSubscriptions(count: number, stalledAt: (index: number) => number | null): Promise<Catalog> {
  const catalog = new Catalog(NodeD1.migrated());
  for (let index = 0; index < count; index += 1) {
    const name = `s${String(index).padStart(2, '0')}`;
    const stalled = stalledAt(index);
    await catalog.putSubscription({
      name,
      createdAt: 1,
      version: 1,
      deleted: false,
      patterns: [],
      stalledAt: stalled,
      sealedUnder: null,
    });
  }
  return catalog;
}

describe('P4: whom the sweep looks at', () => {
  it('gives the others their turn however many are stalled, and each of those its own', async () => {
    const catalog = await withSubscriptions(20, (index) => (index < 12 ? 5 : null));
    const swept: string[] = [];
    for (let minute = 0; minute < 4; minute += 1) {
      const now = NOW + minute * 60_000;
      const names = await catalog.subscriptionsToSweep(now, now - DAY_MS, 10);
      expect(names.length).toBeLessThanOrEqual(10);
      expect(new Set(names).size).toBe(names.length);
      swept.push(...names);
    }
    expect(new Set(swept).size).toBe(20);
  });

  it('looks at a stalled one each time, at another once a day', async () => {
    const catalog = await withSubscriptions(2, (index) => (index === 0 ? 5 : null));
    expect((await catalog.subscriptionsToSweep(NOW, NOW - DAY_MS, 10)).sort()).toEqual(['s00', 's01']);
    expect(await catalog.subscriptionsToSweep(NOW + 1, NOW + 1 - DAY_MS, 10)).toEqual(['s00']);
    // Also after the clock was set back.
    expect(await catalog.subscriptionsToSweep(NOW - DAY_MS, NOW - 2 * DAY_MS, 10)).toEqual(['s00']);
    expect(await catalog.subscriptionsToSweep(NOW + DAY_MS + 1, NOW + 1, 10)).toEqual(['s00', 's01']);
  });
});

describe('a topic that is deleted and made again', () => {
  it('stays as it was made last, whatever arrives late', async () => {
    const catalog = new Catalog(NodeD1.migrated());
    await catalog.announceTopic('orders', 5, 1);
    await catalog.announceTopic('orders', 9, 3);
    await catalog.removeTopic('orders', 2);
    await catalog.announceTopic('orders', 5, 1);
    expect(await catalog.topicsAfter('')).toEqual(['orders']);
    await catalog.removeTopic('orders', 4);
    expect(await catalog.topicsAfter('')).toEqual([]);
  });
});

describe('replays, newest first', () => {
  it('come page by page, those of one moment by id', async () => {
    const catalog = new Catalog(NodeD1.migrated());
    const made = [3, 2, 2, 2, 1].map((createdAt, index) => ({
      id: `r${index}`,
      subscription: 's',
      topic: 't',
      createdAt,
    }));
    for (const replay of made) await catalog.putReplay(replay);
    const ids: string[] = [];
    for (let before: { createdAt: number; id: string } | null = null; ; ) {
      const page: { id: string; createdAt: number }[] = await catalog.replaysBefore(before, 2);
      ids.push(...page.map(({ id }) => id));
      before = page.at(-1) ?? null;
      if (before === null) break;
    }
    expect(ids).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
  });
});
