import { FILTER_BYTES, hasFirstBits, mayHold, type Probe, pageOf } from './identity-pages.ts';
import { FILTERS_KEPT } from './limits.ts';

/** Filters that lie together in memory, at most. */
const CHUNK_FILTERS = 64;
/** Of runs with more pages than this each filter lies alone: all of them may be more than there is room for. */
const CHUNKED_PAGES_MAX = 512;

/** Neighbours among the filters of a run. */
interface Chunk {
  run: number;
  number: number;
  /** Of each page its filter; all bits are set where it is not known. */
  filters: Uint8Array;
  /** Of each page whether its filter is known. */
  known: Uint8Array;
}

/**
 * The filters of pages of identities that are kept in memory, by run and page. An append asks one of each run, which would be
 * most of its work if each were an object somewhere in memory.
 */
export class KeptFilters {
  readonly #runs = new Map<number, (Chunk | undefined)[]>();
  /** In the order they were made. */
  readonly #chunks = new Set<Chunk>();
  /** Filters that there is memory for in all of them. */
  #room = 0;

  /**
   * Gives each of some identities that a run of 2 ** `bits` pages may hold the answer 1. The first two bits are looked at without
   * a branch, so that the processor fetches the filters of many identities at once: nine of ten end there.
   */
  mark(run: number, bits: number, probes: readonly Probe[], answers: Uint8Array): void {
    const size = chunkSize(2 ** bits);
    const chunks = this.#runs.get(run);
    for (let index = 0; index < probes.length; index += 1) {
      const probe = probes[index];
      if (probe === undefined) continue;
      const page = pageOf(probe, bits);
      const filters = chunks?.[Math.floor(page / size)]?.filters;
      const at = (page % size) * FILTER_BYTES;
      if (filters === undefined || (hasFirstBits(filters, at, probe) === 1 && mayHold(filters, at, probe))) {
        answers[index] = 1;
      }
    }
  }

  /** Whether the page may hold an identity; null: its filter is not known. */
  mayHold(run: number, pages: number, page: number, probe: Probe): boolean | null {
    const size = chunkSize(pages);
    const chunk = this.#runs.get(run)?.[Math.floor(page / size)];
    if (chunk === undefined || chunk.known[page % size] === 0) return null;
    return mayHold(chunk.filters, (page % size) * FILTER_BYTES, probe);
  }

  /** Where there is no room the chunks that were made first are forgotten: which is asked for next is chance. */
  set(run: number, pages: number, page: number, filter: Uint8Array): void {
    const size = chunkSize(pages);
    const chunk = this.#runs.get(run)?.[Math.floor(page / size)] ?? this.#make(run, Math.floor(page / size), size);
    chunk.filters.set(filter, (page % size) * FILTER_BYTES);
    chunk.known[page % size] = 1;
  }

  forget(run: number): void {
    for (const chunk of this.#runs.get(run) ?? []) if (chunk !== undefined) this.#drop(chunk);
    this.#runs.delete(run);
  }

  clear(): void {
    this.#runs.clear();
    this.#chunks.clear();
    this.#room = 0;
  }

  #make(run: number, number: number, size: number): Chunk {
    for (const oldest of this.#chunks) {
      if (this.#room + size <= FILTERS_KEPT) break;
      this.#drop(oldest);
    }
    const filters = new Uint8Array(size * FILTER_BYTES).fill(0xff);
    const chunk = { run, number, filters, known: new Uint8Array(size) };
    this.#room += size;
    this.#chunks.add(chunk);
    const own = this.#runs.get(run) ?? [];
    own[number] = chunk;
    this.#runs.set(run, own);
    return chunk;
  }

  #drop(chunk: Chunk): void {
    const own = this.#runs.get(chunk.run);
    if (own !== undefined) own[chunk.number] = undefined;
    this.#chunks.delete(chunk);
    this.#room -= chunk.known.length;
  }
}

/** How many filters of a run of so many pages lie together. */
function chunkSize(pages: number): number {
  return pages > CHUNKED_PAGES_MAX ? 1 : Math.min(pages, CHUNK_FILTERS);
}
