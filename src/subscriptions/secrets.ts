import type { Core } from './core.ts';
import type { Delivery } from './document.ts';
import type { Locked, NoWebhook, RotatedSecret, SecretView } from './protocol.ts';
import { makeSecret, type SignatureScheme, schemeOf } from './webhook-keys.ts';

/** The webhook's secret and, while it is being rotated, the one before. They are stored sealed. */
export class Secrets {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Does a configuration leave the present secret as it is? */
  isKept(delivery: Delivery): boolean {
    return delivery.kind === 'webhook' && delivery.secret === null;
  }

  /**
   * The secret that a configuration means: the given one, else the present one, else a new one; none where nothing is
   * signed. @throws VaultError
   */
  wanted(delivery: Delivery): { plain: string; sealed: string } | { plain: null; sealed: null } {
    const { safe, present, ports } = this.#core;
    if (delivery.kind !== 'webhook') return { plain: null, sealed: null };
    const { secret: given } = delivery;
    const stored = present?.row.secret ?? null;
    const kept = stored === null || this.#core.locked !== null ? null : safe.open(stored);
    if (stored !== null && kept !== null && (given ?? kept) === kept) return { plain: kept, sealed: stored };
    const plain = given ?? makeSecret(ports.random);
    return { plain, sealed: safe.seal(plain) };
  }

  /** Null if there is no subscription. */
  view(): SecretView | NoWebhook | Locked | null {
    const { present, locked } = this.#core;
    if (present === null) return null;
    const { kind } = present.document.delivery;
    if (kind !== 'webhook') return { noWebhook: kind };
    if (locked !== null) return { locked };
    const [secret = '', previous] = this.all();
    const expiresAt = present.row.previous_expires_at ?? 0;
    return { secret, previous: previous === undefined ? null : { secret: previous, expiresAt } };
  }

  /** All that sign at present, the current one first. @throws VaultError */
  all(): string[] {
    return this.#core.boxes.map((box) => this.#core.safe.open(box));
  }

  /**
   * Makes a new secret, by default of the present one's kind; the present one signs too until the overlap is over. Null if
   * there is no subscription.
   */
  rotate(overlapMs: number, scheme?: SignatureScheme): RotatedSecret | NoWebhook | Locked | null {
    const { present, locked, safe, ports } = this.#core;
    if (present === null) return null;
    const { kind } = present.document.delivery;
    if (kind !== 'webhook') return { noWebhook: kind };
    if (locked !== null) return { locked };
    const [current = ''] = this.all();
    const secret = makeSecret(ports.random, scheme ?? schemeOf(current));
    const previousExpiresAt = this.#core.now() + overlapMs;
    const sealed = safe.seal(secret);
    this.#core.tx(() =>
      this.#core.setRow({
        secret: sealed,
        previous_secret: present.row.secret,
        previous_expires_at: previousExpiresAt,
        updated_at: this.#core.now(),
      }),
    );
    return { secret, previousExpiresAt };
  }

  /**
   * Seals anew, under the hub secret that seals now, what was sealed under another; what signs no more is dropped. False if
   * all was so already. What can't be opened stays as it is.
   */
  reseal(): boolean {
    const { present, locked, safe, boxes } = this.#core;
    if (present === null || locked !== null) return false;
    const [secret = null, previous = null] = boxes.map((box) => safe.renewed(box));
    const { row } = present;
    if (secret === row.secret && previous === row.previous_secret) return false;
    this.#core.tx(() =>
      this.#core.setRow({
        secret,
        previous_secret: previous,
        mirror_version: row.mirror_version + 1,
        mirror_dirty: 1,
      }),
    );
    return true;
  }
}
