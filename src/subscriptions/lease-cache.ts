import type { LogEvent } from '../topics/protocol.ts';
import { CACHE_BYTES_MAX } from './limits.ts';

/** The events of fresh leases, kept from the read to the claim so that the log isn't read twice. Only ever a copy. */
export class LeaseCache {
  readonly #entries = new Map<number, { events: LogEvent[]; bytes: number }>();
  #bytes = 0;

  put(lease: number, events: LogEvent[]): void {
    this.delete(lease);
    const bytes = events.reduce((sum, event) => sum + event.json.length, 0);
    this.#entries.set(lease, { events, bytes });
    this.#bytes += bytes;
    // Oldest first: a claim comes within milliseconds or not at all.
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= CACHE_BYTES_MAX) break;
      this.delete(oldest);
    }
  }

  /** The lease's events as they were read, or null. */
  get(lease: number): { events: LogEvent[]; gone: number[] } | null {
    const entry = this.#entries.get(lease);
    return entry ? { events: entry.events, gone: [] } : null;
  }

  delete(lease: number): void {
    this.#bytes -= this.#entries.get(lease)?.bytes ?? 0;
    this.#entries.delete(lease);
  }
}
