import { expect, test } from 'vitest';
import { append, event, Harness } from './harness.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

async function withWindow(deduplicationWindowMs: number, youngEventsMax = 3): Promise<Harness> {
  const harness = new Harness();
  harness.youngEventsMax = youngEventsMax;
  harness.restart();
  await harness.log.configure({ description: '', deduplicationWindowMs }, null);
  return harness;
}

async function isDuplicate(harness: Harness, id: string): Promise<boolean> {
  const result = await harness.log.append(append([event({ id })]));
  if (result.outcome !== 'appended') throw new Error(result.outcome);
  return result.duplicates.length > 0;
}

test('P3 a window of a second lets the pair in again after a second, and not before', async () => {
  const harness = await withWindow(1000);
  expect(await isDuplicate(harness, 'x')).toBe(false);
  await harness.clock.advance(999);
  expect(await isDuplicate(harness, 'x')).toBe(true);
  await harness.clock.advance(1);
  expect(await isDuplicate(harness, 'x')).toBe(false);
  expect(await isDuplicate(harness, 'x')).toBe(true);
  expect((await harness.log.describe())?.lastSequence).toBe(2);
});

test('P3 every pair is known for the whole window, however its run is merged, and few are kept for longer', async () => {
  for (const windowMs of [1_000, HOUR_MS, 90 * DAY_MS]) {
    const harness = await withWindow(windowMs);
    const steps = 200;
    const stepMs = Math.round(windowMs / 100);
    for (let step = 0; step < steps; step += 1) {
      expect(await isDuplicate(harness, `id-${step}`)).toBe(false);
      for (const age of [1, 2, 7, 30, 71, 99]) {
        if (age <= step) expect(await isDuplicate(harness, `id-${step - age}`)).toBe(true);
      }
      await harness.clock.advance(stepMs);
      if (step % 7 === 0) harness.restart();
    }
    expect(entriesIn(harness)).toBeLessThanOrEqual(200);
    await harness.clock.advance(windowMs);
    for (let n = 0; n < 20; n += 1) await harness.publish('a');
    // Up to three that were too old became a run together with a new one.
    expect(entriesIn(harness)).toBeLessThanOrEqual(23);
  }
});

test('what is forgotten writes hardly a row', async () => {
  const harness = await withWindow(60_000, 500);
  await harness.publish(...Array.from({ length: 500 }, () => 'a'));
  await harness.clock.advance(60_000);
  const before = harness.storage.rowsChanged;
  await harness.publish('a');
  await harness.publish('a');
  // Two segments, the run of 500 and its eight pages made and cleared away, and where the log stands.
  expect(harness.storage.rowsChanged - before).toBeLessThan(30);
  expect(entriesIn(harness)).toBe(0);
});

/** Identities in runs. */
function entriesIn(harness: Harness): number {
  return harness.storage.sql
    .exec<{ entries: number }>('SELECT coalesce(sum(length(entries)), 0) / 48 AS entries FROM run_pages')
    .one().entries;
}

test('a log that takes many events keeps more of them young, and one that starts seals them with its next', async () => {
  const harness = await withWindow(DAY_MS, 100);
  const some = (from: number) => append(Array.from({ length: 50 }, (_, index) => event({ id: `id-${from + index}` })));
  const sealedAfter: number[] = [];
  for (let from = 0; from < 2_000; from += 50) {
    const before = entriesIn(harness);
    await harness.log.append(some(from));
    if (entriesIn(harness) > before) sealedAfter.push(entriesIn(harness) - before);
  }
  // Ever more at a time, up to seven times as many.
  expect(sealedAfter).toEqual(sealedAfter.toSorted((a, b) => a - b));
  expect([sealedAfter[0], sealedAfter.at(-1)]).toEqual([100, 700]);
  await harness.publish(...Array.from({ length: 150 }, () => 'a'));
  harness.restart();
  expect(await harness.log.append(some(0))).toMatchObject({ duplicates: { length: 50 } });
  expect(entriesIn(harness)).toBeLessThan(2_150);
  await harness.publish('a');
  expect(entriesIn(harness)).toBe(2_150);
});

test('P3 a longer window counts for what is still known, a shorter one at once', async () => {
  const harness = await withWindow(HOUR_MS);
  await isDuplicate(harness, 'x');
  await harness.clock.advance(HOUR_MS);
  await harness.log.configure({ description: '', deduplicationWindowMs: 2 * HOUR_MS }, null);
  expect(await isDuplicate(harness, 'x')).toBe(true);
  await harness.log.configure({ description: '', deduplicationWindowMs: 1000 }, null);
  expect(await isDuplicate(harness, 'x')).toBe(false);
});

test('P3 a clock that jumps back makes no duplicate a new event', async () => {
  const harness = await withWindow(HOUR_MS);
  await isDuplicate(harness, 'x');
  harness.clock.jump(-HOUR_MS);
  expect(await isDuplicate(harness, 'x')).toBe(true);
  harness.restart();
  expect(await isDuplicate(harness, 'x')).toBe(true);
});
