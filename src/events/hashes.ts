import { MARK_BYTES } from './content.ts';
import { Message, SHA256_HALF_BYTES } from './sha256.ts';

/** Bytes of the hash of an identity. */
export const IDENTITY_BYTES = SHA256_HALF_BYTES;
/** Of one event in `NewEvents`: its identity, and the mark of its content. */
export const EVENT_HASHES_BYTES = IDENTITY_BYTES + MARK_BYTES;

/** What is being hashed. One will do, as nothing is awaited while it is written. */
const message = new Message();

/** Writes the hash over source and id into `out` from `at` on: which event this is. */
export function identityHash(source: string, id: string, out: Uint8Array, at: number): void {
  message.begin();
  message.add('[');
  message.addString(source);
  message.add(',');
  message.addString(id);
  message.add(']');
  message.finish(out, at);
}
