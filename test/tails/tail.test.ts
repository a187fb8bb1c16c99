import { expect, it } from 'vitest';
import { frameOf } from '../../src/tails/frames.ts';
import { tail } from '../../src/tails/tail.ts';
import { fakeSocketPair } from '../support/fake-sockets.ts';

const first = { outcome: 'page' as const, events: [], next: null, from: 5, firstSequence: 1, lastSequence: 4 };
const match = { types: [], exactTypes: [], sources: [], subjects: [] };

function reader() {
  const stop = new AbortController();
  const ports = {
    topic: 'orders',
    read: async () => first,
    feed: async () => fakeSocketPair()[0],
    filter: (events: readonly { sequence: number; json: string }[]) => ({ events, next: null }),
    now: () => Date.now(),
    log: () => undefined,
  };
  const steps = tail({ start: 4, since: null, until: null, match, limit: null }, first, ports, stop.signal);
  return { steps, stop };
}

it('P6 tails leave nothing in memory once the last of them has ended', async () => {
  const [one, other, unread] = [reader(), reader(), reader()];
  await one.steps.next();
  await other.steps.next();
  const frame = frameOf('{"after":4,"through":6,"sequences":[5]}\n{"type":"c"}');
  await unread.steps.return('done');
  await one.steps.return('done');
  expect(frameOf('{"after":4,"through":6,"sequences":[5]}\n{"type":"c"}')).toBe(frame);
  const waiting = other.steps.next();
  other.stop.abort();
  await waiting;
  expect(frameOf('{"after":4,"through":6,"sequences":[5]}\n{"type":"c"}')).not.toBe(frame);
});
