/** How many lines a failing seed shows. */
const KEPT = 400;

/** What has happened, as lines: the last ones kept, all of them hashed, so that two runs can be compared. */
export class Trace {
  readonly #verbose: boolean;
  readonly #lines: string[] = [];
  #count = 0;
  #hash = 0x811c9dc5;

  constructor(verbose: boolean) {
    this.#verbose = verbose;
  }

  add(line: string): void {
    for (let index = 0; index < line.length; index += 1) {
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(index), 0x01000193);
    }
    if (this.#verbose) {
      console.log(line);
    }
    this.#lines[this.#count % KEPT] = line;
    this.#count += 1;
  }

  /** The same for the same run. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  /** The last lines, oldest first. */
  get tail(): string[] {
    const start = this.#count % KEPT;
    return this.#count <= KEPT ? this.#lines.slice() : [...this.#lines.slice(start), ...this.#lines.slice(0, start)];
  }
}
