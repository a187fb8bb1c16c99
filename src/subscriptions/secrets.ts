import { toBase64 } from '../base64.ts';
import type { Random } from '../platform.ts';
import type { Core } from './core.ts';
import type { SecretView } from './protocol.ts';

export const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 32;

/** A new Standard Webhooks secret: `whsec_` and the base64 of 32 random bytes. */
export function makeSecret(random: Random): string {
  return SECRET_PREFIX + toBase64(random.bytes(SECRET_BYTES));
}

/** The webhook's secret and, while it is being rotated, the one before. They are stored sealed. */
export class Secrets {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The secret that a configuration means: the given one, else the present one, else a new one. */
  wanted(given: string | null): { plain: string; sealed: string } {
    const present = this.#core.present?.row.secret ?? null;
    if (given === null && present !== null) return { plain: this.#core.open(present), sealed: present };
    const plain = given ?? makeSecret(this.#core.ports.random);
    return { plain, sealed: this.#core.seal(plain) };
  }

  /** Null if there is no subscription. */
  view(): SecretView | null {
    const row = this.#core.present?.row;
    if (!row?.secret) return null;
    return { secret: this.#core.open(row.secret), previous: this.#previous() };
  }

  /** All that sign at present, the current one first. */
  all(): string[] {
    const view = this.view();
    if (view === null) return [];
    return view.previous === null ? [view.secret] : [view.secret, view.previous.secret];
  }

  #previous(): SecretView['previous'] {
    const row = this.#core.row;
    const expiresAt = row?.previous_expires_at ?? 0;
    return row?.previous_secret && expiresAt > this.#core.now()
      ? { secret: this.#core.open(row.previous_secret), expiresAt }
      : null;
  }

  /** Makes a new secret; the present one signs too until the overlap is over. Null if there is no subscription. */
  rotate(overlapMs: number): { secret: string; previousExpiresAt: number } | null {
    const row = this.#core.present?.row;
    if (!row) return null;
    const secret = makeSecret(this.#core.ports.random);
    const previousExpiresAt = this.#core.now() + overlapMs;
    const sealed = this.#core.seal(secret);
    this.#core.tx(() =>
      this.#core.setRow({
        secret: sealed,
        previous_secret: row.secret,
        previous_expires_at: previousExpiresAt,
        updated_at: this.#core.now(),
      }),
    );
    return { secret, previousExpiresAt };
  }
}
