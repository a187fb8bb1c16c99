import { ed25519 } from '@noble/curves/ed25519.js';
import { fromBase64, toBase64 } from '../base64.ts';
import type { Random } from '../platform.ts';

/**
 * What signs webhooks, as the Standard Webhooks specification writes it down: `whsec_` for a secret that both sides know
 * (HMAC-SHA256), `whsk_` for a private Ed25519 key, `whpk_` for its public one; each with base64 after it.
 */

/** How the specification names the two kinds of signature. */
export type SignatureScheme = 'v1' | 'v1a';

const SECRET_PREFIX = 'whsec_';
const PRIVATE_PREFIX = 'whsk_';
const PUBLIC_PREFIX = 'whpk_';

export const SECRET_BYTES_MIN = 24;
export const SECRET_BYTES_MAX = 64;
/** Of a secret that the hub makes. */
const SECRET_BYTES = 32;
/** Of a private key: what a key pair is made of. Written with its public key behind it, as libsodium does. */
const SEED_BYTES = 32;
const PAIR_BYTES = 64;

export type WebhookKey = { scheme: 'v1'; key: Uint8Array } | { scheme: 'v1a'; seed: Uint8Array; publicKey: Uint8Array };

export type ParsedKey = { ok: true; key: WebhookKey } | { ok: false; detail: string };

/** A new secret: `whsec_`, or `whsk_` with the public key in it. */
export function makeSecret(random: Random, scheme: SignatureScheme = 'v1'): string {
  if (scheme === 'v1') return SECRET_PREFIX + toBase64(random.bytes(SECRET_BYTES));
  const seed = random.bytes(SEED_BYTES);
  const pair = new Uint8Array(PAIR_BYTES);
  pair.set(seed);
  pair.set(ed25519.getPublicKey(seed), SEED_BYTES);
  return PRIVATE_PREFIX + toBase64(pair);
}

/** Strict: what one receiver's library reads differently from another's is refused. The detail never repeats the secret. */
export function parseSecret(secret: string): ParsedKey {
  if (secret.startsWith(SECRET_PREFIX)) return read(secret, SECRET_PREFIX, parseShared);
  if (secret.startsWith(PRIVATE_PREFIX)) return read(secret, PRIVATE_PREFIX, parsePrivate);
  return { ok: false, detail: `A secret starts with ${SECRET_PREFIX}, or with ${PRIVATE_PREFIX} for Ed25519.` };
}

function read(secret: string, prefix: string, parse: (bytes: Uint8Array) => ParsedKey): ParsedKey {
  const bytes = fromBase64(secret.slice(prefix.length));
  if (bytes !== null) return parse(bytes);
  return { ok: false, detail: `After ${prefix} a secret is standard base64, padded, without white space.` };
}

function parseShared(key: Uint8Array): ParsedKey {
  if (key.length >= SECRET_BYTES_MIN && key.length <= SECRET_BYTES_MAX) return { ok: true, key: { scheme: 'v1', key } };
  const detail = `A secret has ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes; this one has ${key.length}.`;
  return { ok: false, detail };
}

/** The pair, or its seed alone, from which the public key follows. */
function parsePrivate(bytes: Uint8Array): ParsedKey {
  if (bytes.length !== SEED_BYTES && bytes.length !== PAIR_BYTES) {
    const detail = `A private key has ${PAIR_BYTES} bytes, or ${SEED_BYTES} without its public key; this one has ${bytes.length}.`;
    return { ok: false, detail };
  }
  const seed = bytes.slice(0, SEED_BYTES);
  const publicKey = ed25519.getPublicKey(seed);
  // Who verifies by the public key in it would refuse all that the other half signs.
  if (bytes.subarray(SEED_BYTES).some((byte, index) => byte !== publicKey[index])) {
    return { ok: false, detail: 'The private key and the public key behind it do not belong together.' };
  }
  return { ok: true, key: { scheme: 'v1a', seed, publicKey } };
}

/** How a secret signs; `v1` for one that can't be read, which signs nothing. */
export function schemeOf(secret: string): SignatureScheme {
  return secret.startsWith(PRIVATE_PREFIX) ? 'v1a' : 'v1';
}

/** `whpk_…`, which verifies what a private key signs; null for a shared secret, which has none. */
export function publicKeyOf(secret: string): string | null {
  const parsed = parseSecret(secret);
  return parsed.ok && parsed.key.scheme === 'v1a' ? PUBLIC_PREFIX + toBase64(parsed.key.publicKey) : null;
}
