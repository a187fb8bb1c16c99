import { PAGE_BYTES_MAX, PAGE_EVENTS_MAX } from './limits.ts';
import { typesMatcher } from './parks.ts';
import type { TopicLogParts } from './parts.ts';
import type {
  AttachRequest,
  AttachResult,
  ReadOrParkRequest,
  ReadOrParkResult,
  ResolveResult,
  Standing,
} from './protocol.ts';
import type { Wakes } from './wakes.ts';

/** The subscriptions that have the topic: where each began, and which of them are parked. */
export class Subscribers {
  readonly #parts: TopicLogParts;
  readonly #wakes: Wakes;

  constructor(parts: TopicLogParts, wakes: Wakes) {
    this.#parts = parts;
    this.#wakes = wakes;
  }

  attach(request: AttachRequest, resolve: () => ResolveResult): AttachResult {
    const { sql, state, parks, transaction } = this.#parts;
    const { subscription: name, attachment } = request;
    const exact = request.exact ? 1 : 0;
    const present = sql.subscriber(name);
    if (present?.attachment === attachment) {
      if (present.exact !== exact) {
        transaction(() => sql.setExact(name, exact));
      }
      return { outcome: 'attached', next: present.start, lastSequence: state.lastSequence };
    }
    const resolved = resolve();
    if (resolved.outcome !== 'resolved') {
      return resolved;
    }
    const start = resolved.sequence;
    transaction(() =>
      sql.putSubscriber({
        name,
        attachment,
        exact,
        start,
        low: start,
        ticket: null,
        next: null,
        types: null,
        owed: null,
      }),
    );
    parks.delete(name);
    this.#wakes.reset(name);
    return { outcome: 'attached', next: start, lastSequence: state.lastSequence };
  }

  detach(name: string, attachment: string): void {
    const { sql, parks, transaction } = this.#parts;
    if (sql.subscriber(name)?.attachment === attachment) {
      transaction(() => sql.deleteSubscriber(name));
      parks.delete(name);
      this.#wakes.reset(name);
    }
  }

  /**
   * A page from `next` on. A park is made only here, where everything up to the head was looked at in the same turn, so
   * no event comes between; and reading alone ends none: if its answer is lost, the next wake still comes.
   */
  readOrPark(request: ReadOrParkRequest): ReadOrParkResult {
    const { sql, state, scanner, parks, transaction } = this.#parts;
    const { subscription: name, types } = request;
    if (sql.subscriber(name)?.attachment !== request.attachment) {
      return { outcome: 'not-attached' };
    }
    const lastSequence = state.lastSequence;
    if (request.next <= lastSequence) {
      const page = scanner.scan({
        from: request.next,
        to: lastSequence,
        order: 'asc',
        matches: typesMatcher(types),
        eventsMax: Math.max(1, Math.min(request.limit, PAGE_EVENTS_MAX)),
        bytesMax: PAGE_BYTES_MAX,
      });
      if (page.events.length > 0 || page.examined < lastSequence) {
        return { outcome: 'events', events: page.events, scannedTo: page.examined, lastSequence };
      }
    }
    const { attachment, ticket, low } = request;
    const next = lastSequence + 1;
    transaction(() => sql.park(name, { ticket, next, types: JSON.stringify(types), owed: null, low }));
    parks.put({ name, attachment, ticket, next, low, types, owed: null });
    this.#wakes.reset(name);
    return { outcome: 'parked', next, lastSequence };
  }

  unpark(name: string, ticket: number): { next: number } | null {
    const { sql, state, parks, transaction } = this.#parts;
    const park = parks.get(name);
    if (park?.ticket !== ticket) {
      return null;
    }
    transaction(() => sql.clearPark(name));
    parks.delete(name);
    this.#wakes.reset(name);
    // Up to the first event owed nothing matched.
    return { next: park.owed === null ? state.lastSequence + 1 : Math.max(park.next, park.owed) };
  }

  standing(name: string, low?: number): Standing {
    const { state, parks, sql } = this.#parts;
    const park = parks.get(name);
    const oldest = park !== undefined && low !== undefined && low >= park.next ? park.owed : (low ?? null);
    const there = oldest !== null && oldest >= state.firstSequence && oldest <= state.lastSequence;
    return {
      firstSequence: state.firstSequence,
      lastSequence: state.lastSequence,
      parked: park === undefined ? null : { ticket: park.ticket, next: park.next, owed: park.owed },
      recordedAt: there ? (sql.segmentAt(oldest)?.recorded_at ?? null) : null,
    };
  }
}
