/** Notices that something is left lying for too long. One timer serves for many things, as most are taken at once. */
export class Stall {
  readonly #limitMs: number;
  readonly #now: () => number;
  readonly #stalled: () => void;
  #since: number | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param now milliseconds since the epoch */
  constructor(limitMs: number, now: () => number, stalled: () => void) {
    this.#limitMs = limitMs;
    this.#now = now;
    this.#stalled = stalled;
  }

  /** Something lies there, from now on. */
  left(): void {
    this.#since = this.#now();
    if (this.#timer === null) this.#look(this.#limitMs);
  }

  /** It was taken. */
  taken(): void {
    this.#since = null;
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #look(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#since === null) return;
      const leftMs = this.#since + this.#limitMs - this.#now();
      if (leftMs > 0) this.#look(leftMs);
      else this.#stalled();
    }, ms);
  }
}
