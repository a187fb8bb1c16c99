import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SOCKET_WINDOW_CHARS, SOCKET_WINDOW_EVENTS, TAIL_STALL_MS } from '../../src/tails/limits.ts';
import { Window } from '../../src/tails/window.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const { signal } = new AbortController();
const windowOf = () => new Window(0, () => Date.now());

/** What `room` says once some time has passed; `waits` if nothing. */
async function said(room: Promise<unknown>, ms = 0): Promise<unknown> {
  let result: unknown = 'waits';
  void room.then((value) => {
    result = value;
  });
  await vi.advanceTimersByTimeAsync(ms);
  return result;
}

describe('P6 the window of a WebSocket', () => {
  it.each([
    ['events', 10, 500, SOCKET_WINDOW_EVENTS],
    ['characters', 10_000, 52, Math.floor(SOCKET_WINDOW_CHARS / 10_000)],
    ['large events', 700_000, 1, 1],
  ])('is never full for one who acknowledges as often as it is to, and bounded: %s', async (_, size, every, atMost) => {
    const window = windowOf();
    window.sent(1, size);
    window.acknowledged(1);
    for (let sequence = 2; sequence < 5_000; sequence += 1) {
      window.sent(sequence, size);
      if (sequence % every === 0) window.acknowledged(sequence);
      expect(await said(window.room(size, signal))).toBeNull();
    }
    let more = 0;
    while ((await said(window.room(size, signal))) === null) window.sent(5_000 + more++, size);
    expect(more).toBeLessThanOrEqual(atMost + 1);
    expect(more).toBeGreaterThan(atMost / 2 - 60);
  });

  it('waits while what is acknowledged goes on, and no longer than 30 s for that', async () => {
    const window = windowOf();
    for (let sequence = 1; sequence <= 3_000; sequence += 1) window.sent(sequence, 10);
    window.acknowledged(1);
    const room = window.room(0, signal);
    for (let sequence = 2; sequence < 1_500; sequence += 7) {
      await vi.advanceTimersByTimeAsync(TAIL_STALL_MS - 1_000);
      window.acknowledged(sequence);
    }
    expect(await said(room)).toBe('waits');
    // It says nothing new.
    window.acknowledged(7);
    expect(await said(room, TAIL_STALL_MS - 1)).toBe('waits');
    expect(await said(room, 1)).toBe('too-slow');
  });

  it('opens for one who has begun to acknowledge late', async () => {
    const window = windowOf();
    for (let sequence = 1; sequence <= 3_000; sequence += 1) window.sent(sequence, 10);
    expect(window.acknowledged(3_001)).toBe(false);
    window.acknowledged(20);
    const room = window.room(0, signal);
    expect(await said(room)).toBe('waits');
    window.acknowledged(2_100);
    expect(await said(room)).toBeNull();
  });
});
