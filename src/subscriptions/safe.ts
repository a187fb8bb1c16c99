import type { Random } from '../platform.ts';
import type { Sealed, Vault } from './vault.ts';
import { VaultError } from './vault.ts';

/** The secrets of one subscription as they are stored: sealed, with the id of the hub secret that opens them. */
export class Safe {
  readonly #vault: Pick<Vault, 'seal' | 'open' | 'keyId'>;
  readonly #random: Random;
  readonly #name: string;
  /**
   * What was opened, or could not be. Opening a box takes as long as signing dozens of webhooks and each claim asks for it;
   * whether it can be opened is asked in every transaction.
   */
  readonly #opened = new Map<string, string | VaultError>();

  constructor(vault: Pick<Vault, 'seal' | 'open' | 'keyId'>, random: Random, name: string) {
    this.#vault = vault;
    this.#random = random;
    this.#name = name;
  }

  /** @throws VaultError if HUB_SECRET is none */
  seal(secret: string): string {
    return JSON.stringify(this.#vault.seal(secret, this.#random, this.#name));
  }

  /** @throws VaultError if HUB_SECRET does not hold the secret any more that it is sealed under */
  open(stored: string): string {
    const found = this.#open(stored);
    if (found instanceof VaultError) throw found;
    return found;
  }

  /** Why it can't be opened, for a person; null: it can. */
  fault(stored: string): string | null {
    const found = this.#open(stored);
    return found instanceof VaultError ? found.message : null;
  }

  #open(stored: string): string | VaultError {
    const known = this.#opened.get(stored);
    if (known !== undefined) return known;
    const found = this.#tryOpen(stored);
    this.#opened.set(stored, found);
    return found;
  }

  #tryOpen(stored: string): string | VaultError {
    try {
      return this.#vault.open(JSON.parse(stored) as Sealed, this.#name);
    } catch (error) {
      if (error instanceof VaultError) return error;
      throw error;
    }
  }

  /** The same secret sealed under the hub secret that seals now, or as it is where that is so already. @throws VaultError */
  renewed(stored: string): string {
    return idOf(stored) === this.#vault.keyId ? stored : this.seal(this.open(stored));
  }

  /** Under which hub secret the boxes are sealed: one that has been replaced, if there is one. Null: there are no boxes. */
  sealedUnder(boxes: readonly string[]): string | null {
    const ids = boxes.map(idOf);
    return ids.find((id) => id !== this.#vault.keyId) ?? ids[0] ?? null;
  }

  /** What was opened is no secret any more. */
  forget(): void {
    this.#opened.clear();
  }
}

function idOf(stored: string): string {
  return (JSON.parse(stored) as Sealed).keyId;
}
