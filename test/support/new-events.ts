import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { packEvents } from '../../src/events/new-event.ts';
import type { NewEvents } from '../../src/topics/protocol.ts';

/** Events as the HTTP layer hands them to a log, one by one until they are packed. */

export interface TestEvent {
  type: string;
  source: string;
  id: string;
  key: string | null;
  json: string;
}

export function packed(events: readonly TestEvent[]): NewEvents {
  return packEvents(events);
}

/** The first 16 bytes of the hash of a text. */
export function half(text: string): Uint8Array {
  return sha256(utf8ToBytes(text)).subarray(0, 16);
}
