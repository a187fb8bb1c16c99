import type { LogEvent } from '../topics/protocol.ts';
import type { Attempts } from './attempts.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import type { Held } from './held.ts';
import { contentOf } from './lease-content.ts';
import { CLOCKS_APART_MS } from './limits.ts';
import type { ConsumerDeath } from './protocol.ts';
import type { DeliveryView } from './protocol-views.ts';
import type { LaneRow } from './rows.ts';
import type { Views } from './views.ts';

interface ConsumerDeathsParts {
  attempts: Attempts;
  deaths: Deaths;
  held: Held;
  views: Views;
}

export const GIVEN_UP = "The consumer's queue gave up on it.";

/** What is on its way, or will be: its consumer gets it again. */
const COMES_AGAIN: readonly DeliveryView['status'][] = ['pending', 'held', 'delivering', 'retrying'];

/**
 * Deliveries that a consumer's own queue took and gave up on. Here they count as delivered, and become dead letters after all.
 * Idempotent: what is told twice, or of a delivery that another has followed, changes nothing.
 */
export class ConsumerDeaths {
  readonly #core: Core;
  readonly #attempts: Attempts;
  readonly #deaths: Deaths;
  readonly #held: Held;
  readonly #views: Views;

  constructor(core: Core, { attempts, deaths, held, views }: ConsumerDeathsParts) {
    this.#core = core;
    this.#attempts = attempts;
    this.#deaths = deaths;
    this.#held = held;
    this.#views = views;
  }

  /** False if there is no subscription. @throws if the log can't be read */
  async died(death: ConsumerDeath): Promise<boolean> {
    if (this.#core.present === null) return false;
    const { topic, sequence, ackId } = death;
    if (ackId !== null) {
      // Where it was confirmed or comes again already, there is nothing left of it here.
      this.#held.nack({ v: 1, ackIds: [ackId], delayMs: null, reason: GIVEN_UP, dead: 'consumer' });
      return true;
    }
    const { events } = await this.#core.ask(topic, (log) => log.eventsAt([sequence]));
    return this.#core.tx(() => {
      if (this.#core.present === null) return false;
      this.#die(death, events[0] ?? null);
      return true;
    });
  }

  #die(death: ConsumerDeath, inLog: LogEvent | null): void {
    const { topic, sequence, attempt, sentAt, json } = death;
    const event = inLog ?? (json === null ? null : { sequence, json });
    if (event === null) {
      this.#core.warn('a consumer gave up on an event of which nothing is left', { topic, sequence });
      return;
    }
    const lane = this.#laneOf(death, event);
    if (lane === 'comes-again' || this.#isOld(death)) return;
    this.#deaths.die(lane.row, sequence, 'consumer', lane.counts ? 'delivered' : 'waiting', {
      attempts: attempt,
      lastStatus: null,
      lastError: GIVEN_UP,
      firstAttemptAt: sentAt,
      event: inLog === null ? json : null,
    });
  }

  /** The lane whose delivery it was, and whether that counts it as delivered. What is in no sums any more dies uncounted. */
  #laneOf(
    { topic, sequence, replay, sentAt }: ConsumerDeath,
    event: LogEvent,
  ): { row: LaneRow; counts: boolean } | 'comes-again' {
    const { sql } = this.#core;
    const row = replay === null ? sql.liveLane(topic) : sql.replayLane(replay);
    if (row !== null && replay !== null) {
      return this.#isUnderWay(row, sequence) ? 'comes-again' : { row, counts: row.delivered > 0 };
    }
    const { status } = this.#views.delivery(topic, event);
    if (COMES_AGAIN.includes(status)) return 'comes-again';
    // What lies before a seek is in its sums no more, and what a former subscription of the name delivered never was.
    const isOwn = sentAt >= (this.#core.present?.row.created_at ?? 0) - CLOCKS_APART_MS;
    return row !== null && status === 'delivered' && sequence >= row.start && isOwn
      ? { row, counts: true }
      : { row: this.#deaths.uncountedLane(topic), counts: false };
  }

  #isUnderWay(lane: LaneRow, sequence: number): boolean {
    const { sql } = this.#core;
    const isIn = (content: { sequence: number }[]) => content.some((entry) => entry.sequence === sequence);
    return sql.exception(lane.id, sequence) !== null || sql.leasesOf(lane.id).some((lease) => isIn(contentOf(lease)));
  }

  /** It is known already, or the event was delivered once more since. */
  #isOld({ topic, sequence, attempt, replay, sentAt }: ConsumerDeath): boolean {
    const letter = this.#core.sql.letter(topic, sequence);
    if (letter !== null && letter.died_at >= sentAt) return true;
    const newest = this.#attempts.newestOf(
      topic,
      sequence,
      (recorded) => recorded.replay === replay && recorded.outcome === 'delivered',
    );
    return newest !== null && newest.attempt > attempt;
  }
}
