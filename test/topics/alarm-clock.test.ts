import { expect, test } from 'vitest';
import { AlarmClock } from '../../src/topics/alarm-clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { NodeStorage } from '../support/node-storage.ts';

const START = 1_700_000_000_000;

function alarmClock(earliest: () => number | null) {
  const clock = new FakeClock(START);
  const storage = new NodeStorage();
  return { clock, storage, alarm: new AlarmClock(storage, clock, earliest) };
}

test('an alarm set while one is handled is later than the one that fired, else the platform loses it', () => {
  const { storage, alarm } = alarmClock(() => START - 500);
  alarm.need(START + 10);
  expect(storage.alarm).toBe(START + 1);
  alarm.fired();
  storage.takeAlarm();
  // The clock has not moved: still it must be later than START + 1.
  alarm.arm();
  expect(storage.alarm).toBe(START + 2);
});

test('an alarm that should have fired and has not is set again', async () => {
  const { clock, storage, alarm } = alarmClock(() => null);
  alarm.need(START + 10);
  await clock.advance(5_000);
  alarm.need(clock.now() + 60_000);
  expect(storage.alarm).toBe(START + 65_000);
});

test('a clock that jumped back does not put the next alarm an hour off', () => {
  const { clock, storage, alarm } = alarmClock(() => null);
  alarm.need(START + 10);
  alarm.fired();
  clock.jump(-3_600_000);
  alarm.need(clock.now());
  expect(storage.alarm).toBe(clock.now() + 1);
});
