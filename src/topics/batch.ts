import { EVENT_HASHES_BYTES } from '../events/hashes.ts';
import { keysText } from '../events/new-event.ts';
import type { NewEvents } from './protocol.ts';

/** Packed events (NewEvents), taken apart and put together only where that is needed. */

/** The events of one request that are to be recorded; null: all of them. */
export interface Taken {
  events: NewEvents;
  indexes: readonly number[] | null;
}

/** All that was taken, in its order. A request taken whole stays as it came: most are. */
export function together(taken: readonly Taken[]): NewEvents {
  const parts = taken.map(({ events, indexes }) => (indexes === null ? events : picked(events, indexes)));
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const hashes = new Uint8Array(count * EVENT_HASHES_BYTES);
  let at = 0;
  for (const part of parts) {
    hashes.set(part.hashes, at);
    at += part.hashes.length;
  }
  return { count, lines: parts.map(({ lines }) => lines).join('\n'), keys: keysTogether(parts), hashes };
}

/** Each event's JSON, of a batch or a segment. */
export function linesOf(lines: string): string[] {
  return lines.split('\n');
}

/** Cuts events in order into groups of these sizes, which have to come to all of them. */
export function cutInto(events: NewEvents, sizes: readonly number[]): NewEvents[] {
  if (sizes.length === 1) return [events];
  const texts = linesOf(events.lines);
  const keys = keyList(events);
  let done = 0;
  return sizes.map((count) => {
    const end = done + count;
    const part = {
      count,
      lines: texts.slice(done, end).join('\n'),
      keys: keysText(keys.slice(done, end)),
      hashes: events.hashes.slice(done * EVENT_HASHES_BYTES, end * EVENT_HASHES_BYTES),
    };
    done = end;
    return part;
  });
}

/** The JSON array of the keys of several lists of events, one after the other; null where none has any. */
function keysTogether(parts: readonly { count: number; keys: string | null }[]): string | null {
  if (parts.every(({ keys }) => keys === null)) return null;
  return `[${parts.map(({ count, keys }) => keys?.slice(1, -1) ?? Array(count).fill('null').join(',')).join(',')}]`;
}

function picked(events: NewEvents, indexes: readonly number[]): NewEvents {
  const texts = linesOf(events.lines);
  const keys = keyList(events);
  const hashes = new Uint8Array(indexes.length * EVENT_HASHES_BYTES);
  for (const [place, index] of indexes.entries()) {
    const at = index * EVENT_HASHES_BYTES;
    hashes.set(events.hashes.subarray(at, at + EVENT_HASHES_BYTES), place * EVENT_HASHES_BYTES);
  }
  return {
    count: indexes.length,
    lines: indexes.map((index) => texts[index] ?? '').join('\n'),
    keys: keysText(indexes.map((index) => keys[index] ?? null)),
    hashes,
  };
}

function keyList({ keys }: NewEvents): (string | null)[] {
  return keys === null ? [] : JSON.parse(keys);
}
