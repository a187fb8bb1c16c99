import { ed25519 } from '@noble/curves/ed25519.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { toBase64 } from '../base64.ts';
import { parseSecret } from '../subscriptions/webhook-keys.ts';

/** Signatures of webhooks as the Standard Webhooks specification has them: over `id.timestamp.body`, byte by byte. */

/** Signs one message: `v1,<base64>` or `v1a,<base64>`. The timestamp is whole seconds since the epoch; a string is UTF-8. */
export type Signer = (id: string, timestamp: number, body: string | Uint8Array) => string;

/**
 * What signs with a secret. Reading it is a good part of the work: make a signer once for many messages.
 *
 * @throws if `secret` is none; the message does not contain it.
 */
export function signer(secret: string): Signer {
  const parsed = parseSecret(secret);
  if (!parsed.ok) throw new Error(`The webhook can't be signed: ${parsed.detail}`);
  return parsed.key.scheme === 'v1' ? sharedSigner(parsed.key.key) : privateSigner(parsed.key.seed);
}

function sharedSigner(key: Uint8Array): Signer {
  const keyed = hmac.create(sha256, key);
  // Nothing is awaited while a message is signed, so that one copy does for all: making it anew takes as long as hashing.
  const copy = keyed.clone();
  const mac = new Uint8Array(keyed.outputLen);
  return (id, timestamp, body) => {
    keyed
      ._cloneInto(copy)
      .update(signedContent(id, timestamp, body))
      .digestInto(mac);
    return `v1,${toBase64(mac)}`;
  };
}

function privateSigner(seed: Uint8Array): Signer {
  return (id, timestamp, body) => `v1a,${toBase64(ed25519.sign(signedContent(id, timestamp, body), seed))}`;
}

const ENCODER = new TextEncoder();

function signedContent(id: string, timestamp: number, body: string | Uint8Array): Uint8Array {
  if (typeof body === 'string') return ENCODER.encode(`${id}.${timestamp}.${body}`);
  const head = ENCODER.encode(`${id}.${timestamp}.`);
  const content = new Uint8Array(head.length + body.length);
  content.set(head);
  content.set(body, head.length);
  return content;
}
