import { gcm } from '@noble/ciphers/aes.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64, toBase64 } from '../base64.ts';
import type { Random } from '../platform.ts';

/** Secrets at rest: AES-256-GCM under a key derived from the Worker secret HUB_SECRET. */

/** What is stored of a secret. `box` is base64 of nonce, ciphertext and tag. */
export interface Sealed {
  keyId: string;
  box: string;
}

/** Sealed under a key that HUB_SECRET does not hold (any more), or not what was sealed for this context. */
export class VaultError extends Error {
  readonly code: 'unknown-key' | 'damaged';

  constructor(code: 'unknown-key' | 'damaged', message: string) {
    super(message);
    this.name = 'VaultError';
    this.code = code;
  }
}

const HUB_SECRET_BYTES_MIN = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const KEY_ID_BYTES = 4;
/** Part of every stored secret's key: never change it. */
const PURPOSE = 'millrace webhook secrets v1';

interface VaultKey {
  id: string;
  key: Uint8Array;
}

export class Vault {
  readonly #sealing: VaultKey;
  readonly #keys: ReadonlyMap<string, Uint8Array>;

  /**
   * @param hubSecret base64 of 32 bytes or more; or several of these, comma separated: the first seals, all open, so that
   *   a new one is put in front and the old one stays until nothing is sealed under it.
   * @throws if it is anything else; the message does not contain it.
   */
  constructor(hubSecret: string) {
    const [first, ...others] = hubSecret.split(',').map((part) => deriveKey(part.trim()));
    if (first === undefined) throw new Error('HUB_SECRET is empty.');
    this.#sealing = first;
    this.#keys = new Map([first, ...others].map(({ id, key }) => [id, key]));
  }

  /** The key that seals now: what is stored under another is due to be sealed anew. */
  get keyId(): string {
    return this.#sealing.id;
  }

  /** @param context whose secret it is; opens only with the same. */
  seal(plaintext: string, random: Random, context: string): Sealed {
    const nonce = random.bytes(NONCE_BYTES);
    const ciphertext = gcm(this.#sealing.key, nonce, utf8ToBytes(context)).encrypt(utf8ToBytes(plaintext));
    const box = new Uint8Array(nonce.length + ciphertext.length);
    box.set(nonce);
    box.set(ciphertext, nonce.length);
    return { keyId: this.#sealing.id, box: toBase64(box) };
  }

  /** @throws VaultError */
  open(sealed: Sealed, context: string): string {
    const key = this.#keys.get(sealed.keyId);
    if (key === undefined) {
      throw new VaultError(
        'unknown-key',
        `A secret of "${context}" is sealed under key ${sealed.keyId}, which HUB_SECRET does not hold: ` +
          'add the HUB_SECRET of that time to it, after a comma.',
      );
    }
    const box = fromBase64(sealed.box);
    if (box === null || box.length <= NONCE_BYTES) throw damaged(context);
    try {
      const plaintext = gcm(key, box.subarray(0, NONCE_BYTES), utf8ToBytes(context)).decrypt(box.subarray(NONCE_BYTES));
      return new TextDecoder().decode(plaintext);
    } catch {
      throw damaged(context);
    }
  }
}

function damaged(context: string): VaultError {
  return new VaultError('damaged', `A stored secret of "${context}" is damaged, or was sealed for something else.`);
}

function deriveKey(part: string): VaultKey {
  const material = fromBase64(part);
  if (material === null || material.length < HUB_SECRET_BYTES_MIN) {
    throw new Error(
      `HUB_SECRET is base64 of at least ${HUB_SECRET_BYTES_MIN} random bytes (openssl rand -base64 32), ` +
        'or several of these, comma separated.',
    );
  }
  const key = hkdf(sha256, material, undefined, utf8ToBytes(PURPOSE), KEY_BYTES);
  return { id: bytesToHex(sha256(key).subarray(0, KEY_ID_BYTES)), key };
}
