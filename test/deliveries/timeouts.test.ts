import { beforeEach, describe, expect, it } from 'vitest';
import { Timeouts } from '../../src/deliveries/timeouts.ts';
import { FakeClock } from '../support/fake-clock.ts';

let clock: FakeClock;
let timeouts: Timeouts;
let ended: [name: string, at: number][];

beforeEach(() => {
  clock = new FakeClock(0);
  timeouts = new Timeouts(clock, 1_000);
  ended = [];
});

function start(name: string): () => void {
  return timeouts.start(() => ended.push([name, clock.now()]));
}

describe('timeouts of one length', () => {
  it('end each at its own time, with one timer for all of them', async () => {
    start('a');
    start('b');
    await clock.advance(300);
    start('c');
    await clock.advance(600);
    start('d');
    expect(clock.sleeping).toBe(1);
    await clock.advance(5_000);
    expect(ended).toEqual([
      ['a', 1_000],
      ['b', 1_000],
      ['c', 1_300],
      ['d', 1_900],
    ]);
    expect(clock.sleeping).toBe(0);
  });

  it('that are stopped do not end, and hold up none behind them', async () => {
    const stop = start('a');
    await clock.advance(100);
    start('b');
    stop();
    await clock.advance(5_000);
    expect(ended).toEqual([['b', 1_100]]);
  });

  it('begin anew when all are over', async () => {
    start('a')();
    await clock.advance(1_500);
    start('b');
    await clock.advance(5_000);
    expect(ended).toEqual([['b', 2_500]]);
  });

  it('end no sooner for a clock that was set back, and at most one length later', async () => {
    start('a');
    await clock.advance(500);
    clock.jump(-3_600_000);
    start('b');
    await clock.advance(499);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended.map(([name]) => name)).toEqual(['a']);
    await clock.advance(1_000);
    expect(ended.map(([name]) => name)).toEqual(['a', 'b']);
  });
});
