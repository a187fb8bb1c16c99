import { formatTime } from '../events/times.ts';
import { SYSTEM_TOPIC } from '../system/shapes.ts';
import type { Core } from './core.ts';
import { ERROR_TOLD_AFTER_MS, FAILING_TOLD_EVERY_MS } from './limits.ts';
import type { Notices } from './notices.ts';

/**
 * How an illness is told: that the receiver is failing, that it was disabled, that nothing can be delivered for another
 * reason, and that it is back. Once each: what was told stands in the subscription's row until the first success ends it. A subscription that listens to the hub's own topic is
 * told of only when it is disabled, which ends its deliveries; anything else would be delivered to it, and make the next.
 */
export class ToldHealth {
  readonly #core: Core;
  readonly #notices: Notices;

  constructor(core: Core, notices: Notices) {
    this.#core = core;
    this.#notices = notices;
  }

  /** Ends deliveries until a person resumes them or gives another url, and says so. Only inside `tx`. */
  disable(reason: string): void {
    const now = this.#core.now();
    this.#core.setRow({
      disabled_reason: reason,
      updated_at: now,
      probe_at: null,
      streak: 0,
      failing_since: null,
      ...(this.#listensToItself ? {} : { told: 'disabled', told_at: now }),
    });
    this.#notices.add('millrace.subscription.disabled', { subscription: this.#core.ports.name, reason });
  }

  /** After a settle that changed the row's health. Only inside `tx`. */
  settled(succeeded: boolean): void {
    const row = this.#core.row;
    if (!row || (row.told === null && !this.#core.failing) || this.#listensToItself) return;
    const subscription = this.#core.ports.name;
    const now = this.#core.now();
    if (succeeded && row.told !== null) {
      this.#core.setRow({ told: null, told_at: now });
      this.#notices.add('millrace.subscription.recovered', {
        subscription,
        after: row.told,
        since: formatTime(row.told_at),
      });
    } else if (this.#core.failing && this.#isNews('failing')) {
      this.#core.setRow({ told: 'failing', told_at: now });
      this.#notices.add('millrace.subscription.failing', {
        subscription,
        since: formatTime(row.failing_since ?? now),
        failures: row.streak,
      });
    }
  }

  /**
   * The alarm's part: tells of what keeps everything from being delivered and isn't the receiver's doing, once it has lasted.
   * Only inside `tx`.
   */
  handleDue(): void {
    const { row, locked, enabled } = this.#core;
    const now = this.#core.now();
    const lasts = now - (row?.obstacle_since ?? now) >= ERROR_TOLD_AFTER_MS;
    const reason = locked ?? (lasts ? (row?.obstacle ?? null) : null);
    if (!enabled || reason === null || this.#listensToItself || !this.#isNews('error')) return;
    this.#core.setRow({ told: 'error', told_at: now });
    this.#notices.add('millrace.subscription.error', { subscription: this.#core.ports.name, reason });
  }

  /** Was something else told, and not just now? */
  #isNews(kind: 'failing' | 'error'): boolean {
    const row = this.#core.row;
    const isRecent = Math.abs(this.#core.now() - (row?.told_at ?? 0)) < FAILING_TOLD_EVERY_MS;
    return row !== null && row.told !== kind && row.told !== 'disabled' && !isRecent;
  }

  get #listensToItself(): boolean {
    return this.#core.present?.document.topics.includes(SYSTEM_TOPIC) ?? false;
  }
}
