import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type HmacUnder, Seals } from '../../src/deliveries/seal.ts';
import type { QueuedEvent } from '../../src/events/handed.ts';

export const HUB_SECRET = 'dGVzdC1odWItc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmc=';

/** By another hand than the platform's, and in no time of the clock's. */
export const hmacUnder: HmacUnder = (key) => async (message) => hmac(sha256, key, message);

export function sealsUnder(hubSecret = HUB_SECRET): Seals {
  const seals = Seals.under(hubSecret, hmacUnder);
  if (seals === null) throw new Error('HUB_SECRET is malformed.');
  return seals;
}

/** The message with the seal that the hub would give it. */
export async function sealed({ seal: _, ...message }: QueuedEvent, seals = sealsUnder()): Promise<QueuedEvent> {
  return { ...message, seal: await seals.seal(new TextEncoder().encode(JSON.stringify(message))) };
}
