/** What look-ups of names have found, for as long as that holds. One for an isolate: facts only, no work under way. */

/** What was found holds for as long as DNS says (TTL), but within these. */
export const NAME_TTL_MIN_MS = 5_000;
export const NAME_TTL_MAX_MS = 300_000;
/** Names remembered by an isolate. */
export const NAMES_REMEMBERED_MAX = 1_000;

interface Entry<Fact> {
  fact: Fact;
  from: number;
  until: number;
}

export class NameCache<Fact> {
  /** The one remembered longest is first. */
  readonly #entries = new Map<string, Entry<Fact>>();

  get(name: string, now: number): Fact | null {
    const entry = this.#entries.get(name);
    // A clock that was set back must not make it hold for longer.
    if (entry === undefined || now < entry.from || now >= entry.until) return null;
    return entry.fact;
  }

  /** @param ms how long it holds, milliseconds. */
  set(name: string, fact: Fact, now: number, ms: number): void {
    this.#entries.delete(name);
    if (this.#entries.size >= NAMES_REMEMBERED_MAX) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(name, { fact, from: now, until: now + ms });
  }
}
