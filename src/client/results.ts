import { formatDuration, parseDuration } from '../events/duration-text.ts';
import { REASON_CHARACTERS_MAX, RETRY_DELAY_MAX_MS } from '../events/handing-limits.ts';

/** What a handler throws, to say more than that it failed, and what the hub is told of it. */

/**
 * The event comes again, no sooner than after `delay` (`30s`, `5m`) if there is one. No way of delivering takes more than 12 h:
 * a longer one is those 12 h, after which the handler may ask for more.
 */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly delay: string | undefined;

  /** @throws TypeError if the delay is no duration */
  constructor(reason: string, delay?: string) {
    super(reason);
    const ms = delay === undefined ? 0 : parseDuration(delay);
    if (ms === null) throw new TypeError(`"${delay}" is no duration such as "30s" or "5m".`);
    this.delay = ms > RETRY_DELAY_MAX_MS ? formatDuration(RETRY_DELAY_MAX_MS) : delay;
  }
}

/**
 * The event can't be dealt with, and comes no more until a person redrives it. Behind a queue without `confirm` that is the
 * queue's to decide: it comes again, as often as `max_retries` says.
 */
export class Reject extends Error {
  override readonly name = 'Reject';
}

/** What the hub is told of what was thrown: anything may be. Never throws. */
export function reasonOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).slice(0, REASON_CHARACTERS_MAX);
  } catch {
    return 'The handler threw something that can not be written.';
  }
}
