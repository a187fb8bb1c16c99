import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64 } from './base64.ts';

/*
 * The Worker secret HUB_SECRET: base64 of 32 bytes or more, or several of these, comma separated. The first seals and signs,
 * all open and verify, so that a new one is put in front and the old one stays until nothing depends on it.
 */

export interface HubSecret {
  /** Names it without saying anything of it: stored with what was sealed or signed under it. */
  id: string;
  /** The key for one purpose. What depends on a purpose's key is lost when its words change. */
  keyFor(purpose: string): Uint8Array;
}

const SECRET_BYTES_MIN = 32;
const KEY_BYTES = 32;
const ID_BYTES = 4;
/** Whose key gives a secret its id. */
export const SEALING = 'millrace webhook secrets v1';
export const SIGNING = 'millrace keys v1';
/** Seals what consumers' queues are given. */
export const QUEUEING = 'millrace queue messages v1';

export const NO_HUB_SECRET =
  'HUB_SECRET is not base64 of at least 32 random bytes (openssl rand -base64 32), or several of these, comma separated.';

/** The secrets in HUB_SECRET, the first first; null if it is anything else. */
export function hubSecrets(text: string): [HubSecret, ...HubSecret[]] | null {
  const [first, ...others] = text.split(',').map((part) => hubSecret(part.trim()));
  const rest = others.filter((secret) => secret !== null);
  return first == null || rest.length < others.length ? null : [first, ...rest];
}

function hubSecret(part: string): HubSecret | null {
  const material = fromBase64(part);
  if (material === null || material.length < SECRET_BYTES_MIN) return null;
  const keyFor = (purpose: string) => hkdf(sha256, material, undefined, utf8ToBytes(purpose), KEY_BYTES);
  return { id: bytesToHex(sha256(keyFor(SEALING)).subarray(0, ID_BYTES)), keyFor };
}
