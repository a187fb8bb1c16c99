import type { LogEvent } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import { sequencesOf } from './lease-content.ts';
import type { Leases } from './leases.ts';
import { LEASE_BYTES_MAX, LOG_SILENT_MS } from './limits.ts';
import type { LaneRow, LeaseRow } from './rows.ts';

/** The events of a lease as far as they fit, and the sequences that the log has no more. */
export interface Loaded {
  events: LogEvent[];
  gone: number[];
}

/** Reads the events of leases that are in memory no more. */
export class Loading {
  readonly #core: Core;
  readonly #leases: Leases;

  constructor(core: Core, leases: Leases) {
    this.#core = core;
    this.#leases = leases;
  }

  /**
   * Null: its log does not answer. Then it is no lease any more, nor is any other that would have to be read from there: their
   * events wait outside, and keep nobody waiting.
   */
  async load(lane: LaneRow, lease: LeaseRow): Promise<Loaded | null> {
    try {
      return await this.#read(lane, lease);
    } catch (error) {
      this.#core.silence.failed(lane.id, error);
      const now = this.#core.now();
      const until = Math.max(now, this.#core.silence.untilOf(lane.id, now));
      this.#core.tx(() => {
        for (const other of this.#core.sql.leasesOf(lane.id))
          if (other.token === null && this.#leases.cache.get(other.id) === null) this.#leases.putOff(other, until);
      });
      return null;
    }
  }

  /** The events of a lease that is not in memory any more: from their exception rows, else from the log. */
  async #read(lane: LaneRow, lease: LeaseRow): Promise<Loaded> {
    const sequences = sequencesOf(lease);
    const own = new Map<number, string>();
    for (const sequence of lease.retry ? sequences : []) {
      const event = this.#core.sql.exception(lane.id, sequence)?.event;
      if (event) own.set(sequence, event);
    }
    const asked = sequences.filter((sequence) => !own.has(sequence));
    const answer = asked.length > 0 ? await this.#eventsAt(lane, asked) : { events: [], examined: 0 };
    for (const event of answer.events) own.set(event.sequence, event.json);
    const events: LogEvent[] = [];
    let bytes = 0;
    for (const sequence of sequences) {
      const json = own.get(sequence);
      if (json === undefined) continue;
      bytes += json.length;
      if (events.length > 0 && bytes > LEASE_BYTES_MAX) break;
      events.push({ sequence, json });
    }
    return { events, gone: asked.slice(0, answer.examined).filter((sequence) => !own.has(sequence)) };
  }

  /** @throws if the log does not answer, or not soon enough for others to wait for it */
  async #eventsAt(lane: LaneRow, sequences: number[]): Promise<{ events: LogEvent[]; examined: number }> {
    const answer = await this.#core.ask(lane.topic, (log) => log.eventsAt(sequences), LOG_SILENT_MS);
    this.#core.silence.answered(lane.id);
    return answer;
  }
}
