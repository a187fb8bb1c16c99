import { openBox, sealBox } from '../box.ts';
import { hubSecrets, NO_HUB_SECRET, SEALING } from '../hub-secret.ts';
import type { Random } from '../platform.ts';

/** Secrets at rest: AES-256-GCM under a key derived from the Worker secret HUB_SECRET. */

/** What is stored of a secret: which key opens which box. */
export interface Sealed {
  keyId: string;
  box: string;
}

type VaultFault = 'unknown-key' | 'damaged' | 'no-secret';

/** Sealed under a secret that HUB_SECRET does not hold (any more), or not what was sealed for this context. */
export class VaultError extends Error {
  readonly code: VaultFault;

  constructor(code: VaultFault, message: string) {
    super(message);
    this.name = 'VaultError';
    this.code = code;
  }
}

interface VaultKey {
  id: string;
  key: Uint8Array;
}

export class Vault {
  /** Null: HUB_SECRET is none, so that nothing can be sealed or opened. */
  readonly #sealing: VaultKey | null;
  readonly #keys: ReadonlyMap<string, Uint8Array>;

  /** @param hubSecret HUB_SECRET. Whatever it is, an object has to start, so that it can say what is wrong. */
  constructor(hubSecret: string) {
    const keys = (hubSecrets(hubSecret) ?? []).map(({ id, keyFor }) => ({ id, key: keyFor(SEALING) }));
    this.#sealing = keys[0] ?? null;
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
  }

  /** The id of the secret that seals now: what is stored under another is due to be sealed anew. Null: there is none. */
  get keyId(): string | null {
    return this.#sealing?.id ?? null;
  }

  /** @param context whose secret it is; opens only with the same. @throws VaultError */
  seal(plaintext: string, random: Random, context: string): Sealed {
    if (this.#sealing === null) throw noSecret();
    return { keyId: this.#sealing.id, box: sealBox(plaintext, this.#sealing.key, random, context) };
  }

  /** @throws VaultError */
  open(sealed: Sealed, context: string): string {
    if (this.#sealing === null) throw noSecret();
    const key = this.#keys.get(sealed.keyId);
    if (key === undefined) {
      throw new VaultError(
        'unknown-key',
        `The secret of "${context}" is sealed under the hub secret ${sealed.keyId}, which HUB_SECRET does not hold: ` +
          'add the HUB_SECRET of that time to it, after a comma, or give the subscription another secret.',
      );
    }
    const plaintext = openBox(sealed.box, key, context);
    if (plaintext === null) throw damaged(context);
    return plaintext;
  }
}

function damaged(context: string): VaultError {
  return new VaultError('damaged', `The stored secret of "${context}" is damaged: give it another one.`);
}

function noSecret(): VaultError {
  return new VaultError('no-secret', NO_HUB_SECRET);
}
