import type { Core, Present } from './core.ts';
import { isSameTarget } from './delivery-kinds.ts';
import type { SubscriptionDocument } from './document.ts';
import type { Leases } from './leases.ts';
import { CONSENT_DELAY_FIRST_MS, CONSENT_DELAY_MAX_MS } from './limits.ts';
import type { ConsentAnswer, ConsentRequest } from './protocol.ts';
import { cursorOf, effectiveRate } from './rate.ts';
import type { SubscriptionRow } from './rows.ts';

type ConsentColumns = Pick<
  SubscriptionRow,
  'consent' | 'consent_token' | 'consent_due' | 'consent_delay' | 'consent_reason' | 'granted_rate'
>;

/** Of a subscription that asks for none. */
export const NO_CONSENT: ConsentColumns = {
  consent: null,
  consent_token: null,
  consent_due: null,
  consent_delay: 0,
  consent_reason: null,
  granted_rate: null,
};

const MINUTE_MS = 60_000;
const TOKEN_BYTES = 16;

/**
 * The receiver's consent, where the configuration asks for it (`handshake`). Until it is given nothing is claimed and no lane
 * moves. Somebody else asks: an object that waited for an answer would be paid for all that time.
 */
export class Consent {
  readonly #core: Core;
  readonly #leases: Leases;

  constructor(core: Core, leases: Leases) {
    this.#core = core;
    this.#leases = leases;
  }

  /** What a new configuration means for it: a url that has not consented yet is asked. */
  columns(before: Present | null, document: SubscriptionDocument): Partial<ConsentColumns> {
    const { delivery } = document;
    if (delivery.kind !== 'webhook' || !delivery.handshake) return NO_CONSENT;
    const stays = before?.row.consent != null && isSameTarget(before.document.delivery, delivery);
    if (stays) return before.row.consent === 'pending' ? this.#soon() : {};
    const consent_token = this.#core.token(TOKEN_BYTES);
    const consent_reason = 'The receiver has not been asked for its consent yet.';
    return { ...NO_CONSENT, consent: 'pending', consent_token, consent_reason, ...this.#soon() };
  }

  /** To be asked first by whoever changes the subscription; should that fail, a little later. */
  #soon() {
    return { consent_due: this.#core.now() + CONSENT_DELAY_FIRST_MS, consent_delay: CONSENT_DELAY_FIRST_MS };
  }

  /** The subscription is resumed: a receiver that did not consent is asked as if for the first time. Only inside `tx`. */
  askAgain(): void {
    if (this.#core.row?.consent === 'pending') this.#core.setRow(this.#soon());
  }

  /** When the receiver is to be asked again; a clock that jumped back makes it no later than the longest wait. */
  nextDue(now: number): number | null {
    const row = this.#core.present?.row;
    if (row?.consent !== 'pending' || row.consent_due === null || row.paused || row.disabled_reason !== null)
      return null;
    return Math.min(row.consent_due, now + CONSENT_DELAY_MAX_MS);
  }

  /** The alarm's part: has the receiver asked, and again after twice the time. */
  askWhenDue(): void {
    const now = this.#core.now();
    const due = this.nextDue(now);
    if (due === null || due > now) return;
    this.#core.tx(() => {
      const consent_delay = Math.min((this.#core.row?.consent_delay ?? 0) * 2, CONSENT_DELAY_MAX_MS);
      this.#core.setRow({ consent_due: now + consent_delay, consent_delay });
    });
    const { handshakes, name, background } = this.#core.ports;
    const sent = handshakes.send({ v: 1, handshake: name });
    background(sent.catch((error: unknown) => this.#core.warn('a handshake had to wait', { error: String(error) })));
  }

  /**
   * What the receiver is to be asked; null if nothing is.
   *
   * @param hub where the hub is reached, as a URL without a path; null where that isn't known: then it is where it was last
   */
  request(hub: string | null): ConsentRequest | null {
    const present = this.#core.present;
    if (present?.row.consent !== 'pending') return null;
    const { delivery } = present.document;
    if (delivery.kind !== 'webhook') return null;
    if (hub !== null && hub !== present.row.hub) this.#core.tx(() => this.#core.setRow({ hub }));
    const { url, rateLimit } = delivery;
    const perMinute = rateLimit && Math.max(1, Math.floor((rateLimit.count * MINUTE_MS) / rateLimit.spanMs));
    return { token: present.row.consent_token ?? '', url, hub: hub ?? present.row.hub, perMinute };
  }

  /** Notes what the receiver said; false if it was not asked, or not about what is so now. Saying it twice changes nothing. */
  answer({ token, consent }: ConsentAnswer): boolean {
    const { present } = this.#core;
    const row = present?.row;
    if (!present || row?.consent == null || row.consent_token !== token) return false;
    if (row.consent === 'given') return true;
    if (!consent.given) {
      this.#core.tx(() => this.#core.setRow({ consent_reason: consent.reason }));
      return true;
    }
    const leases = this.#core.tx(() => {
      const { perMinute } = consent;
      const granted = { ...row, granted_rate: perMinute };
      const rates = [present, { ...present, row: granted }].map(effectiveRate);
      const rate_cursor = cursorOf(row.rate_cursor, rates[0] ?? null, rates[1] ?? null);
      const given = { ...NO_CONSENT, consent: 'given' as const, consent_token: token };
      this.#core.setRow({ ...given, granted_rate: perMinute, rate_cursor });
      return this.#core.running ? this.#leases.resendAll() : [];
    });
    this.#core.progressAt = this.#core.now();
    this.#leases.send(leases);
    return true;
  }
}

/** The name that the hub gave when it asked, which goes with every delivery from then on. */
export function originOf({ row }: Present): string | null {
  return row.consent === null || row.hub === null ? null : hostOf(row.hub);
}

/** The host of a URL, without its port: to receivers it names a system, not a machine. */
export function hostOf(hub: string): string {
  return new URL(hub).hostname;
}
