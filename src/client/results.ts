import { parseDuration } from '../events/duration-text.ts';

/** What a handler throws to say more than that it failed. */

/** The event comes again, no sooner than after `delay` (`30s`, `5m`) if there is one. */
export class Retry extends Error {
  override readonly name = 'Retry';
  readonly delay: string | undefined;

  /** @throws TypeError if the delay is no duration */
  constructor(reason: string, delay?: string) {
    super(reason);
    if (delay !== undefined && parseDuration(delay) === null) {
      throw new TypeError(`"${delay}" is no duration such as "30s" or "5m".`);
    }
    this.delay = delay;
  }
}

/** The event can't be dealt with, and comes no more until a person redrives it. */
export class Reject extends Error {
  override readonly name = 'Reject';
}
