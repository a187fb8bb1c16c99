/** What is made for one reader of this isolate and given to the others who ask for the same within moments. */

import { SHARED_MAX } from './limits.ts';

const memories: { forget(): void }[] = [];
let readers = 0;

/** A reader is there, until it calls what it is given. When the last one has gone nothing is remembered any more. */
export function joined(): () => void {
  readers += 1;
  return () => {
    readers -= 1;
    if (readers === 0) for (const memory of memories) memory.forget();
  };
}

/** The youngest values, as many as there is room for. Of those who share it none has to hold a value for it to be known. */
export class Shared<Key, Value> {
  readonly #sizeMax: number;
  /** The oldest first. */
  readonly #kept = new Map<Key, { value: Value; size: number }>();
  #size = 0;

  /** @param sizeMax of all that is kept together */
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
    memories.push(this);
  }

  get(key: Key): Value | undefined {
    return this.#kept.get(key)?.value;
  }

  keep(key: Key, value: Value, size: number): void {
    this.#drop(key);
    this.#kept.set(key, { value, size });
    this.#size += size;
    for (const [oldest] of this.#kept) {
      if (this.#kept.size <= SHARED_MAX && this.#size <= this.#sizeMax) return;
      this.#drop(oldest);
    }
  }

  forget(): void {
    this.#kept.clear();
    this.#size = 0;
  }

  #drop(key: Key): void {
    this.#size -= this.#kept.get(key)?.size ?? 0;
    this.#kept.delete(key);
  }
}
