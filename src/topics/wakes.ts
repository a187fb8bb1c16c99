import type { Arrivals } from './arrivals.ts';
import {
  WAKE_BYTES_MAX,
  WAKE_EVENTS_MAX,
  WAKE_RETRY_MAX_MS,
  WAKE_RETRY_MS,
  WAKE_TIMEOUT_MS,
  WAKES_MAX,
} from './limits.ts';
import { type Park, typesMatcher } from './parks.ts';
import type { TopicLogParts } from './parts.ts';
import type { WakeAnswer, WakeRequest } from './protocol.ts';
import { withTimeout } from './timeout.ts';

/** A wake under way: the events it was made from, and the first one after them that matches, if one has come since. */
interface Flight {
  types: string[];
  examined: number;
  later: number | null;
}

/**
 * Wakes the parked subscriptions that are owed an event: at most one wake to each at a time, until its answer says that it
 * reads by itself or parked behind the event. What is owed is in the row; who is waiting for a retry only in memory.
 */
export class Wakes {
  readonly #parts: TopicLogParts;
  readonly #flights = new Map<string, Flight>();
  readonly #retries = new Map<string, { tries: number; due: number }>();
  /** Owed, and not yet tried or due again. */
  #ready = new Set<string>();
  #started = false;

  constructor(parts: TopicLogParts) {
    this.#parts = parts;
  }

  /** New events were committed: those on their way with a wake have to look again. */
  appended(arrivals: Arrivals): void {
    for (const flight of this.#flights.values()) {
      if (flight.later === null) {
        flight.later = arrivals.firstOfTypes(flight.types);
      }
    }
  }

  /** These are owed a wake. */
  owe(names: Iterable<string>): void {
    for (const name of names) {
      if (!this.#retries.has(name)) {
        this.#ready.add(name);
      }
    }
  }

  /** A new park, or the end of one: what was tried before does not count for it. */
  reset(name: string): void {
    this.#retries.delete(name);
    this.#ready.delete(name);
    if (this.#parts.parks.owed().has(name)) {
      this.#ready.add(name);
    }
  }

  /** Starts as many wakes as may run at once; the first time also those that were owed when the object started. */
  pump(): void {
    if (!this.#started) {
      this.#started = true;
      this.owe(this.#parts.parks.owed());
    }
    for (const name of this.#ready) {
      if (this.#flights.size >= WAKES_MAX) {
        return;
      }
      if (!this.#flights.has(name)) {
        this.#ready.delete(name);
        this.#tryStart(name);
      }
    }
  }

  /** Starts what is due, whatever was forgotten in between. */
  runDue(): void {
    const now = this.#parts.ports.clock.now();
    for (const name of this.#parts.parks.owed()) {
      const retry = this.#retries.get(name);
      // A due time further away than any retry was set by a clock that has jumped since.
      if (retry === undefined || retry.due <= now || retry.due > now + WAKE_RETRY_MAX_MS) {
        this.#ready.add(name);
      }
    }
    this.pump();
  }

  /** When something here has to be looked at next; null: nothing is owed. */
  nextDue(now: number): number | null {
    let earliest: number | null = null;
    // The end of a wake starts the next; the alarm only has to see that it happens.
    const untried = this.#flights.size >= WAKES_MAX ? now + WAKE_TIMEOUT_MS : now;
    for (const name of this.#parts.parks.owed()) {
      const due = this.#flights.has(name)
        ? now + WAKE_TIMEOUT_MS
        : Math.min(this.#retries.get(name)?.due ?? untried, now + WAKE_RETRY_MAX_MS);
      earliest = Math.min(earliest ?? due, due);
    }
    return earliest;
  }

  /** One that can't even be started waits like one that failed: the alarm must not come back for it at once, for ever. */
  #tryStart(name: string): void {
    try {
      this.#start(name);
    } catch (error) {
      this.#failed(name, this.#parts.parks.get(name)?.ticket ?? null, error);
    }
  }

  #start(name: string): void {
    const park = this.#parts.parks.get(name);
    if (park === undefined || park.owed === null) {
      return;
    }
    const request = this.#request(park, park.owed);
    if (request === null) {
      return;
    }
    const flight: Flight = { types: park.types, examined: this.#parts.state.lastSequence, later: null };
    this.#flights.set(name, flight);
    this.#parts.ports.background(this.#fly(name, request, flight));
  }

  /** What to wake a subscription with; null if nothing matches after all, which is noted. */
  #request(park: Park, owed: number): WakeRequest | null {
    const { state, scanner, ports } = this.#parts;
    const lastSequence = state.lastSequence;
    const base = {
      v: 1 as const,
      topic: ports.topic,
      attachment: park.attachment,
      ticket: park.ticket,
      from: park.next,
      lastSequence,
    };
    const from = Math.max(owed, park.next);
    if (from > lastSequence) {
      this.#note({ ...park, owed: null });
      return null;
    }
    const found = scanner.scan({
      from,
      to: lastSequence,
      order: 'asc',
      matches: typesMatcher(park.types),
      eventsMax: WAKE_EVENTS_MAX,
      bytesMax: WAKE_BYTES_MAX,
    });
    if (found.examined === lastSequence && found.events.length === 0) {
      this.#note({ ...park, owed: null });
      return null;
    }
    const carried = found.examined === lastSequence && found.bytes <= WAKE_BYTES_MAX;
    const first = found.events[0]?.sequence ?? from;
    return { ...base, first, events: carried ? found.events : null, scannedTo: lastSequence };
  }

  async #fly(name: string, request: WakeRequest, flight: Flight): Promise<void> {
    const { ports } = this.#parts;
    try {
      const call = ports.subscriptions(name).wake(request);
      const answer = await withTimeout(ports.clock, call, WAKE_TIMEOUT_MS, 'A wake');
      this.#flights.delete(name);
      this.#answered(name, request, flight, answer);
    } catch (error) {
      this.#flights.delete(name);
      this.#failed(name, request.ticket, error);
    }
    this.pump();
  }

  #answered(name: string, request: WakeRequest, flight: Flight, answer: WakeAnswer): void {
    const { sql, parks, transaction } = this.#parts;
    if (answer.state === 'gone') {
      const row = sql.subscriber(name);
      if (row?.attachment === request.attachment) {
        transaction(() => sql.deleteSubscriber(name));
        parks.delete(name);
      }
      this.reset(name);
      return;
    }
    const park = parks.get(name);
    if (park === undefined || park.ticket !== request.ticket || park.attachment !== request.attachment) {
      // The lane has parked anew, or left its park, while the answer was under way: it says nothing about that.
      this.reset(name);
      return;
    }
    if (answer.state === 'reading') {
      transaction(() => sql.clearPark(name));
      parks.delete(name);
      this.reset(name);
      return;
    }
    const next = Math.max(park.next, answer.next);
    if (park.owed !== null && next <= park.owed) {
      throw new Error('The subscription parked again in front of the event it was woken for.');
    }
    this.#note({ ...park, next, low: answer.low, owed: this.#owedFrom(park, next, flight) });
  }

  /** The first event from `next` on that matches, as far as it is known; if in doubt the first that may. */
  #owedFrom(park: Park, next: number, flight: Flight): number | null {
    const { state, scanner } = this.#parts;
    if (next > state.lastSequence) {
      return null;
    }
    if (next === flight.examined + 1) {
      return flight.later;
    }
    const matches = typesMatcher(park.types);
    const found = scanner.scan({
      from: next,
      to: state.lastSequence,
      order: 'asc',
      matches,
      eventsMax: 1,
      bytesMax: WAKE_BYTES_MAX,
    });
    const first = found.events[0]?.sequence;
    return first ?? (found.examined < state.lastSequence ? found.examined + 1 : null);
  }

  /** Writes what became of a park. */
  #note(after: Park): void {
    const { sql, parks, transaction, alarm, ports } = this.#parts;
    transaction(() => {
      sql.park(after.name, { ...after, types: JSON.stringify(after.types) });
      if (after.owed !== null) {
        alarm.need(ports.clock.now() + WAKE_TIMEOUT_MS);
      }
    });
    parks.put(after);
    this.reset(after.name);
  }

  /** @param ticket of the park that the wake was for */
  #failed(name: string, ticket: number | null, error: unknown): void {
    const { ports, parks, alarm } = this.#parts;
    const park = parks.get(name);
    if (park === undefined || park.owed === null || park.ticket !== ticket) {
      this.reset(name);
      return;
    }
    const tries = (this.#retries.get(name)?.tries ?? 0) + 1;
    const delay = Math.min(WAKE_RETRY_MS * 2 ** (tries - 1), WAKE_RETRY_MAX_MS);
    const due = ports.clock.now() + delay;
    this.#retries.set(name, { tries, due });
    ports.log('warn', 'A subscription could not be woken; it will be tried again.', {
      topic: ports.topic,
      subscription: name,
      tries,
      error,
    });
    alarm.need(due);
  }
}
