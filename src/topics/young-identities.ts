import {
  ENTRY_BYTES,
  isAt,
  type Probe,
  probeAt,
  type Recorded,
  readEntry,
  sequenceAt,
  writeEntry,
} from './identity-pages.ts';

/** Entries that there is room for at first. */
const ROOM = 64;
/** Slots for each entry that there is room for: the fewer of them are taken, the sooner a search ends. */
const SLOTS_AN_ENTRY = 4;

/**
 * The identities recorded last, in their order: entries as they are stored, and a hash table (open addressing, linear probing)
 * of their places. Thousands of them are no objects of the engine, which would look at each now and then.
 */
export class YoungIdentities {
  readonly #secret: number;
  #entries = new Uint8Array(ROOM * ENTRY_BYTES);
  #count = 0;
  /** Of each slot the number of an entry, from 1 on; 0: free. The last entry of an identity is in it. */
  #slots = new Int32Array(ROOM * SLOTS_AN_ENTRY);
  /** Of each entry what was in its slot before: an older entry of the same identity, or 0. */
  #before = new Int32Array(ROOM);

  /** @param secret makes places that nobody can choose ids for */
  constructor(secret: number) {
    this.#secret = secret;
  }

  /** What was recorded last under an identity. */
  find(probe: Probe): Recorded | null {
    const number = this.#slots[this.#slotOf(probe)] ?? 0;
    return number === 0 ? null : readEntry(this.#entries, (number - 1) * ENTRY_BYTES);
  }

  /** Adds an entry for an event, whose hashes stand in `hashes` from `at` on. */
  add(probe: Probe, hashes: Uint8Array, at: number, sequence: number, recordedAt: number): void {
    if (this.#count === this.#before.length) this.#grow();
    writeEntry(this.#entries, this.#count * ENTRY_BYTES, hashes, at, sequence, recordedAt);
    this.#take(probe);
  }

  /** Takes back what was added behind a sequence. */
  takeBack(sequence: number): void {
    while (this.#count > 0 && this.#sequenceAt(this.#count - 1) > sequence) {
      this.#count -= 1;
      this.#slots[this.#slotOf(this.#probe(this.#count))] = this.#before[this.#count] ?? 0;
    }
  }

  /** Removes the entries up to a sequence, and gives those of them that no later one of them replaced. */
  removeThrough(sequence: number): Uint8Array {
    let end = this.#count;
    while (end > 0 && this.#sequenceAt(end - 1) > sequence) end -= 1;
    const removed = without(this.#entries.slice(0, end * ENTRY_BYTES), this.#before.subarray(0, end));
    this.#entries.copyWithin(0, end * ENTRY_BYTES, this.#count * ENTRY_BYTES);
    this.#refill(this.#count - end);
    return removed;
  }

  /** Takes the slot of the entry behind the last. */
  #take(probe: Probe): void {
    const slot = this.#slotOf(probe);
    this.#before[this.#count] = this.#slots[slot] ?? 0;
    this.#count += 1;
    this.#slots[slot] = this.#count;
  }

  #grow(): void {
    const room = this.#before.length * 2;
    const entries = new Uint8Array(room * ENTRY_BYTES);
    entries.set(this.#entries);
    this.#entries = entries;
    this.#before = new Int32Array(room);
    this.#slots = new Int32Array(room * SLOTS_AN_ENTRY);
    this.#refill(this.#count);
  }

  /** Takes the slots for the first `count` entries anew. */
  #refill(count: number): void {
    this.#slots.fill(0);
    for (this.#count = 0; this.#count < count; ) this.#take(this.#probe(this.#count));
  }

  #sequenceAt(index: number): number {
    return sequenceAt(this.#entries, index * ENTRY_BYTES);
  }

  #probe(index: number): Probe {
    return probeAt(this.#entries, index * ENTRY_BYTES, this.#secret);
  }

  /** Where the identity is, or would be. */
  #slotOf(probe: Probe): number {
    const mask = this.#slots.length - 1;
    for (let slot = probe.place & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] ?? 0;
      if (number === 0 || isAt(this.#entries, (number - 1) * ENTRY_BYTES, probe)) return slot;
    }
  }
}

/** Some entries without those of these numbers; 0 is none. */
function without(entries: Uint8Array, numbers: Int32Array): Uint8Array {
  const replaced = new Set(numbers.filter((number) => number !== 0));
  if (replaced.size === 0) return entries;
  const rest = new Uint8Array(entries.length - replaced.size * ENTRY_BYTES);
  for (let at = 0, end = 0; at < entries.length; at += ENTRY_BYTES) {
    if (replaced.has(at / ENTRY_BYTES + 1)) continue;
    rest.set(entries.subarray(at, at + ENTRY_BYTES), end);
    end += ENTRY_BYTES;
  }
  return rest;
}
