const BAR_WIDTH = 40;
/** Without a terminal: a line at each of these shares. */
const PLAIN_STEPS = 4;

/** A bar that fills where a person watches, and a few plain lines where none does. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  #plainSteps = 0;

  constructor(label: string, total: number) {
    this.#label = label;
    this.#total = total;
    this.show(0);
  }

  show(done: number): void {
    const share = this.#total === 0 ? 1 : Math.min(1, done / this.#total);
    if (process.stdout.isTTY) {
      const filled = Math.round(share * BAR_WIDTH);
      const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
      process.stdout.write(`\r  ${this.#label.padEnd(28)} ${bar} ${done}/${this.#total} `);
      return;
    }
    const steps = Math.floor(share * PLAIN_STEPS);
    if (steps > this.#plainSteps) {
      this.#plainSteps = steps;
      console.log(`  ${this.#label.padEnd(28)} ${done}/${this.#total}`);
    }
  }

  end(): void {
    this.show(this.#total);
    if (process.stdout.isTTY) process.stdout.write('\n');
  }
}
