import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { NewEvents } from '../../src/topics/protocol.ts';

/** Events as the HTTP layer hands them to a log, one by one until they are packed. */

export interface TestEvent {
  type: string;
  source: string;
  id: string;
  key: string | null;
  json: string;
  /** What counts as content, readable. */
  content: string;
}

export function packed(events: readonly TestEvent[]): NewEvents {
  const hashes = new Uint8Array(events.length * 32);
  for (const [index, { source, id, content }] of events.entries()) {
    hashes.set(half(`${source} ${id}`), index * 32);
    hashes.set(half(content), index * 32 + 16);
  }
  const keys = events.every(({ key }) => key === null) ? null : JSON.stringify(events.map(({ key }) => key));
  return { count: events.length, lines: events.map(({ json }) => json).join('\n'), keys, hashes };
}

/** The first 16 bytes of the hash of a text. */
export function half(text: string): Uint8Array {
  return sha256(utf8ToBytes(text)).subarray(0, 16);
}
