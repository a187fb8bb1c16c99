/** Work that is done in rounds: what comes while one is under way goes into the next, together. */
export class Rounds<Item> {
  readonly #work: (items: Item[]) => Promise<unknown>;
  readonly #atLeast: number;
  #gathered: Item[] = [];
  /** Settles when none is under way. */
  #running: Promise<void> | null = null;

  /**
   * @param work of one round; never throws
   * @param atLeast so many items make a round
   */
  constructor(work: (items: Item[]) => Promise<unknown>, atLeast = 1) {
    this.#work = work;
    this.#atLeast = atLeast;
  }

  add(item: Item): void {
    this.#gathered.push(item);
    this.#running ??= this.#run();
  }

  /** Once nothing more comes: does what is left, however little that is, and waits for all of it. */
  async end(): Promise<void> {
    await this.#running;
    if (this.#gathered.length > 0) await this.#round();
  }

  async #run(): Promise<void> {
    try {
      // What comes in the same turn goes together.
      await Promise.resolve();
      while (this.#gathered.length >= this.#atLeast) await this.#round();
    } finally {
      this.#running = null;
    }
  }

  #round(): Promise<unknown> {
    return this.#work(this.#gathered.splice(0));
  }
}
