import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { fromBase64, toBase64 } from '../base64.ts';
import { SECRET_PREFIX } from '../subscriptions/secrets.ts';

/** Signatures of webhooks as the Standard Webhooks specification has them, symmetric scheme `v1`. */

export const SECRET_BYTES_MIN = 24;
export const SECRET_BYTES_MAX = 64;

export type ParsedSecret = { ok: true; key: Uint8Array } | { ok: false; detail: string };

/** The key in a secret `whsec_<base64>`. Strict: what one receiver's library reads differently from another's is refused. */
export function parseSecret(secret: string): ParsedSecret {
  if (!secret.startsWith(SECRET_PREFIX)) return { ok: false, detail: `A secret starts with ${SECRET_PREFIX}.` };
  const key = fromBase64(secret.slice(SECRET_PREFIX.length));
  if (key === null) {
    return { ok: false, detail: `After ${SECRET_PREFIX} a secret is standard base64, padded, without white space.` };
  }
  if (key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX) {
    return {
      ok: false,
      detail: `A secret has ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes; this one has ${key.length}.`,
    };
  }
  return { ok: true, key };
}

const ENCODER = new TextEncoder();

/** Signs one message: `v1,<base64>`. The timestamp is whole seconds since the epoch. */
export type Signer = (id: string, timestamp: number, body: string) => string;

/**
 * What signs with a secret. Reading it is a good part of the work: make a signer once for many messages.
 *
 * @throws if `secret` is none; the message does not contain it.
 */
export function signer(secret: string): Signer {
  const parsed = parseSecret(secret);
  if (!parsed.ok) throw new Error(`The webhook can't be signed: ${parsed.detail}`);
  const keyed = hmac.create(sha256, parsed.key);
  // Nothing is awaited while a message is signed, so that one copy does for all: making it anew takes as long as hashing.
  const copy = keyed.clone();
  const mac = new Uint8Array(keyed.outputLen);
  return (id, timestamp, body) => {
    keyed
      ._cloneInto(copy)
      .update(ENCODER.encode(`${id}.${timestamp}.${body}`))
      .digestInto(mac);
    return `v1,${toBase64(mac)}`;
  };
}
