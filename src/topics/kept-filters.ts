import { FILTER_BYTES, hasFirstBits, mayHold, type Probe } from './identity-pages.ts';
import { FILTERS_KEPT } from './limits.ts';

/** Filters that lie together in memory, at most. */
const CHUNK_FILTERS = 64;

/** Neighbours among the filters of a run. */
interface Chunk {
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
  readonly #runs = new Map<number, Chunk[]>();
  #count = 0;

  /** Whether a filter has the first bits of a probe, or is not known: 0 or 1. */
  mayHaveFirst(run: number, page: number, probe: Probe): number {
    const chunk = this.#runs.get(run)?.[chunkOf(page)];
    return chunk === undefined ? 1 : hasFirstBits(chunk.filters, placeOf(page), probe);
  }

  /** Whether the page may hold an identity; null: its filter is not known. */
  mayHold(run: number, page: number, probe: Probe): boolean | null {
    const chunk = this.#runs.get(run)?.[chunkOf(page)];
    if (chunk === undefined || chunk.known[page % CHUNK_FILTERS] === 0) return null;
    return mayHold(chunk.filters, placeOf(page), probe);
  }

  /** `pages`: how many the run has. Where there are too many filters, all others are forgotten: which are asked next is chance. */
  set(run: number, pages: number, page: number, filter: Uint8Array): void {
    const chunk = this.#chunk(run, pages, page);
    chunk.filters.set(filter, placeOf(page));
    chunk.known[page % CHUNK_FILTERS] = 1;
  }

  forget(run: number): void {
    const chunks = this.#runs.get(run) ?? [];
    this.#count -= chunks.reduce((sum, { known }) => sum + known.length, 0);
    this.#runs.delete(run);
  }

  clear(): void {
    this.#runs.clear();
    this.#count = 0;
  }

  #chunk(run: number, pages: number, page: number): Chunk {
    const found = this.#runs.get(run)?.[chunkOf(page)];
    if (found !== undefined) return found;
    const room = Math.min(pages, CHUNK_FILTERS);
    if (this.#count + room > FILTERS_KEPT) this.clear();
    this.#count += room;
    const chunk = { filters: new Uint8Array(room * FILTER_BYTES).fill(0xff), known: new Uint8Array(room) };
    const chunks = this.#runs.get(run) ?? [];
    chunks[chunkOf(page)] = chunk;
    this.#runs.set(run, chunks);
    return chunk;
  }
}

function chunkOf(page: number): number {
  return Math.floor(page / CHUNK_FILTERS);
}

/** Where the filter of a page begins in its chunk. */
function placeOf(page: number): number {
  return (page % CHUNK_FILTERS) * FILTER_BYTES;
}
