import { settledWithin } from '../topics/timeout.ts';
import type { Core } from './core.ts';
import { DELIVERIES_WATCHED_MAX, LOOK_AGAIN_MS, WATCH_MAX_MS } from './limits.ts';
import type { DeliveryView } from './protocol-views.ts';

/** Those who wait for what becomes of one delivery. They keep the object in memory, so that each waits for a while only. */
export class DeliveryWatch {
  readonly #core: Core;
  readonly #looks = new Set<() => void>();
  #lookingSoon = false;

  constructor(core: Core) {
    this.#core = core;
    core.onCommitted = () => this.#lookSoon();
  }

  /** What `look` finds, as soon as that differs from what is known, else after `waitMs`; at once if too many wait already. */
  async otherThan(known: DeliveryView, waitMs: number, look: () => DeliveryView): Promise<DeliveryView> {
    const now = look();
    if (isOther(now, known) || this.#looks.size >= DELIVERIES_WATCHED_MAX) return now;
    const change = Promise.withResolvers<void>();
    const lookAgain = () => {
      if (isOther(look(), known)) change.resolve();
    };
    this.#looks.add(lookAgain);
    try {
      await settledWithin(this.#core.ports.clock, change.promise, Math.min(waitMs, WATCH_MAX_MS));
    } finally {
      this.#looks.delete(lookAgain);
    }
    return look();
  }

  /** Transitions come thick and fast; those of a moment are looked at together. */
  #lookSoon(): void {
    if (this.#looks.size === 0 || this.#lookingSoon) return;
    this.#lookingSoon = true;
    this.#core.ports.background(
      this.#core.ports.clock.sleep(LOOK_AGAIN_MS).then(() => {
        this.#lookingSoon = false;
        for (const look of this.#looks) look();
      }),
    );
  }
}

const FIELDS = [
  'status',
  'attempts',
  'lastStatus',
  'lastError',
  'nextAttemptAt',
  'settledAt',
  'deadLetter',
] as const satisfies (keyof DeliveryView)[];

function isOther(now: DeliveryView, known: DeliveryView): boolean {
  return FIELDS.some((field) => now[field] !== known[field]);
}
