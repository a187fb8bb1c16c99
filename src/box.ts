import { gcm } from '@noble/ciphers/aes.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64, toBase64 } from './base64.ts';
import type { Random } from './platform.ts';

/** Text in an AES-256-GCM box: base64 of nonce, ciphertext and tag. */

const NONCE_BYTES = 12;

/** @param context opens only with the same */
export function sealBox(plaintext: string, key: Uint8Array, random: Random, context = ''): string {
  const nonce = random.bytes(NONCE_BYTES);
  const ciphertext = gcm(key, nonce, utf8ToBytes(context)).encrypt(utf8ToBytes(plaintext));
  const box = new Uint8Array(nonce.length + ciphertext.length);
  box.set(nonce);
  box.set(ciphertext, nonce.length);
  return toBase64(box);
}

/** Could some key open it? */
export function isBox(sealed: string): boolean {
  return bytesOf(sealed) !== null;
}

/** Null: another key or context, or not what was sealed. */
export function openBox(sealed: string, key: Uint8Array, context = ''): string | null {
  const box = bytesOf(sealed);
  if (box === null) return null;
  try {
    const plaintext = gcm(key, box.subarray(0, NONCE_BYTES), utf8ToBytes(context)).decrypt(box.subarray(NONCE_BYTES));
    return new TextDecoder().decode(plaintext);
  } catch {
    return null;
  }
}

function bytesOf(sealed: string): Uint8Array | null {
  const box = fromBase64(sealed);
  return box !== null && box.length > NONCE_BYTES ? box : null;
}
