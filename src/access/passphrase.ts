import { scrypt } from '@noble/hashes/scrypt.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64, toBase64 } from '../base64.ts';
import { isBox, openBox, sealBox } from '../box.ts';
import type { Random } from '../platform.ts';

/** Text sealed under a passphrase: AES-256-GCM, with a key that scrypt (RFC 7914) makes slowly, so that guessing is dear. */

/**
 * What is written beside the ciphertext, to be read years later: the only parameters that are used and taken, since others
 * could be chosen to keep a Worker busy. 32 MiB and three rounds of it (OWASP's parameters for scrypt).
 */
export const SEALED_WITH = { kdf: 'scrypt', n: 32_768, r: 8, p: 3, cipher: 'aes-256-gcm' } as const;

export interface SealedText {
  /** Base64. */
  salt: string;
  /** As {@link sealBox} makes it. */
  box: string;
}

const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** Takes some tenths of a second of processor time, as {@link openText} does. */
export function sealText(plaintext: string, passphrase: string, random: Random): SealedText {
  const salt = random.bytes(SALT_BYTES);
  return { salt: toBase64(salt), box: sealBox(plaintext, keyOf(passphrase, salt), random) };
}

/** Null: another passphrase, or not what was sealed. */
export function openText({ salt, box }: SealedText, passphrase: string): string | null {
  const bytes = fromBase64(salt);
  // No key is made for what can't be opened.
  if (bytes?.length !== SALT_BYTES || !isBox(box)) return null;
  return openBox(box, keyOf(passphrase, bytes));
}

function keyOf(passphrase: string, salt: Uint8Array): Uint8Array {
  const { n, r, p } = SEALED_WITH;
  return scrypt(utf8ToBytes(passphrase), salt, { N: n, r, p, dkLen: KEY_BYTES });
}
