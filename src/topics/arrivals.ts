import { headOf, typeMatches } from '../events/filters.ts';
import { linesOf } from './batch.ts';
import type { NewEvents } from './protocol.ts';

/** The events of a commit for those who may be waiting for them; taken apart only if somebody asks, and then once for all. */
export class Arrivals {
  /** The sequence of the first of them; the others follow without gaps. */
  readonly first: number;
  readonly #events: NewEvents;
  #texts: string[] | null = null;
  #types: string[] | null = null;

  constructor(first: number, events: NewEvents) {
    this.first = first;
    this.#events = events;
  }

  /** Each one's JSON. */
  get texts(): string[] {
    this.#texts ??= linesOf(this.#events.lines);
    return this.#texts;
  }

  /** The sequence of the first whose type matches; null if none does. No patterns: every type. */
  firstOfTypes(patterns: readonly string[]): number | null {
    if (patterns.length === 0) return this.first;
    this.#types ??= this.texts.map((json) => headOf(json).type);
    const index = this.#types.findIndex((type) => typeMatches(patterns, type));
    return index < 0 ? null : this.first + index;
  }
}
