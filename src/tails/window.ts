import {
  SOCKET_BLIND_CHARS_MAX,
  SOCKET_BLIND_CHARS_PER_SECOND,
  SOCKET_BLIND_SLACK_MS,
  SOCKET_WINDOW_CHARS,
  SOCKET_WINDOW_EVENTS,
  TAIL_STALL_MS,
} from './limits.ts';
import { sleep } from './waiting.ts';

/** Events sent one after the other, which count as taken when the last of them is. */
interface Run {
  last: number;
  events: number;
  characters: number;
}

/** Small beside what a reader may leave unacknowledged, which is half of the window. */
const RUN_EVENTS_MAX = 50;
const RUN_CHARS_MAX = 16 * 1024;

/**
 * What went out over a WebSocket and may not have been taken. The runtime does not say how much of it lies in its memory
 * still, so only the reader can: by sending back the sequence of an event it has taken, now and then. Of one that never does
 * nothing is known; so much goes to it over one connection, at such a pace, and no more.
 */
export class Window {
  /** Ascending. A reader that acknowledges nothing would have as many as there are events, if each were one. */
  readonly #open: Run[] = [];
  #characters = 0;
  #events = 0;
  /** The last sequence acknowledged. */
  #taken = 0;
  /** The last sequence sent, or where the reader began. */
  #last: number;
  #acknowledges = false;
  readonly #now: () => number;
  /** When all that was sent blindly would have gone out at its pace. */
  #pacedUntil = 0;
  #wake: () => void = () => {};

  /**
   * @param start where the reader stands who was sent nothing yet
   * @param now milliseconds since the epoch
   */
  constructor(start: number, now: () => number) {
    this.#last = start;
    this.#now = now;
  }

  sent(sequence: number, characters: number): void {
    this.#last = sequence;
    this.#characters += characters;
    this.#events += 1;
    const run = this.#open.at(-1);
    if (run === undefined || run.events === RUN_EVENTS_MAX || run.characters + characters > RUN_CHARS_MAX) {
      this.#open.push({ last: sequence, events: 1, characters });
      return;
    }
    run.last = sequence;
    run.events += 1;
    run.characters += characters;
  }

  /** The reader has taken everything up to there; false: so much was not sent to it. */
  acknowledged(sequence: number): boolean {
    if (sequence > this.#last) return false;
    this.#acknowledges = true;
    if (sequence <= this.#taken) return true;
    this.#taken = sequence;
    const kept = this.#open.findIndex(({ last }) => last > sequence);
    for (const { events, characters } of this.#open.splice(0, kept < 0 ? this.#open.length : kept)) {
      this.#events -= events;
      this.#characters -= characters;
    }
    this.#wake();
    return true;
  }

  /**
   * Resolves when more may be sent, or with why nothing more may.
   *
   * @param justSent characters since the last time
   */
  async room(justSent: number, stop: AbortSignal): Promise<'too-slow' | 'reconnect' | null> {
    if (!this.#acknowledges) {
      if (this.#characters > SOCKET_BLIND_CHARS_MAX) return 'reconnect';
      const now = this.#now();
      this.#pacedUntil = Math.max(this.#pacedUntil, now) + (justSent / SOCKET_BLIND_CHARS_PER_SECOND) * 1000;
      const aheadMs = this.#pacedUntil - now;
      if (aheadMs > SOCKET_BLIND_SLACK_MS) await sleep(aheadMs, stop);
      return null;
    }
    while (this.#isFull() && !stop.aborted) {
      const before = this.#taken;
      await this.#acknowledgement(stop);
      if (this.#isFull() && this.#taken === before) return stop.aborted ? null : 'too-slow';
    }
    return null;
  }

  #isFull(): boolean {
    return this.#characters > SOCKET_WINDOW_CHARS || this.#events > SOCKET_WINDOW_EVENTS;
  }

  /** Waits for one, as long as a reader may take nothing. */
  async #acknowledgement(stop: AbortSignal): Promise<void> {
    const early = new AbortController();
    const wake = () => early.abort();
    this.#wake = wake;
    stop.addEventListener('abort', wake);
    await sleep(TAIL_STALL_MS, early.signal);
    stop.removeEventListener('abort', wake);
    this.#wake = () => {};
  }
}
