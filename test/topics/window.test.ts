import { expect, test } from 'vitest';
import { append, event, Harness } from './harness.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

async function withWindow(deduplicationWindowMs: number): Promise<Harness> {
  const harness = new Harness();
  await harness.log.configure({ description: '', deduplicationWindowMs }, null);
  return harness;
}

async function isDuplicate(harness: Harness, id: string): Promise<boolean> {
  const result = await harness.log.append(append([event({ id })]));
  if (result.outcome !== 'appended') throw new Error(result.outcome);
  return result.receipts[0]?.duplicate ?? false;
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

test('P3 every pair is known for the whole window, however the generations turn', async () => {
  for (const windowMs of [61_000, HOUR_MS, 90 * DAY_MS]) {
    const harness = await withWindow(windowMs);
    const steps = 50;
    const stepMs = Math.round(windowMs / 10);
    for (let step = 0; step < steps; step += 1) {
      expect(await isDuplicate(harness, `id-${step}`)).toBe(false);
      for (let age = 1; age <= Math.min(step, 14); age += 1) {
        const expected = age * stepMs < windowMs;
        if (expected) expect(await isDuplicate(harness, `id-${step - age}`)).toBe(true);
      }
      await harness.clock.advance(stepMs);
      if (step % 7 === 0) harness.restart();
    }
    const kept = harness.storage.sql
      .exec<{ count: number }>(
        'SELECT (SELECT count(*) FROM identities_0) + (SELECT count(*) FROM identities_1) AS count',
      )
      .one().count;
    expect(kept).toBeLessThanOrEqual(22);
  }
});

test('forgetting a generation writes no row for its identities', async () => {
  const harness = await withWindow(60_000);
  await harness.publish(...Array.from({ length: 500 }, () => 'a'));
  await harness.clock.advance(60_000);
  await harness.publish('a');
  await harness.clock.advance(60_000);
  const before = harness.storage.rowsChanged;
  await harness.publish('a');
  // The segment, the identity, the generation, and the entries of the schema.
  expect(harness.storage.rowsChanged - before).toBeLessThan(10);
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
