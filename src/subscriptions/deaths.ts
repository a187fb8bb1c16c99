import type { DeathReason } from '../dead-letters/letters.ts';
import { orderingKey } from '../events/ordering-key.ts';
import type { Core } from './core.ts';
import { decisionsOf, isHeld } from './decisions.ts';
import { LAST_ERROR_CHARACTERS_MAX } from './limits.ts';
import type { Notices } from './notices.ts';
import { tellReplayEnded } from './replays.ts';
import type { LaneRow, LetterRow } from './rows.ts';
import { tellDeath } from './told-deaths.ts';

/** What is known of a delivery when it dies. */
export interface Death {
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  firstAttemptAt: number | null;
  /** The event, whole, where the log may not have it when the letter is written; else null. */
  event: string | null;
}

/** Dead letters: how deliveries die and come back. Each method is a part of a transition: only inside `tx`. */
export class Deaths {
  readonly #core: Core;
  readonly #notices: Notices;

  constructor(core: Core, notices: Notices) {
    this.#core = core;
    this.#notices = notices;
  }

  /** Dying is one transaction: exception out, outbox row in, counted dead and not where it was before. */
  die(
    lane: LaneRow,
    sequence: number,
    reason: DeathReason,
    from: 'in_flight' | 'retrying' | 'held' | 'delivered' | 'waiting',
    death: Death,
  ): void {
    const { sql } = this.#core;
    const before = sql.letter(lane.topic, sequence);
    sql.deleteException(lane.id, sequence);
    sql.moveLane(lane.id, { dead: 1, ...(from === 'waiting' ? {} : { [from]: -1 }) });
    // What dies in a replay or uncounted opens a letter too. What another lane has under way again keeps its letter to
    // itself; what it counted as discarded is open again, and so counted as dead.
    const isAside = lane.replay !== null || lane.status === 'uncounted';
    const counting = before && before.lane !== lane.id ? before.lane : null;
    if (isAside && before?.state === 'redriven' && counting !== null) {
      this.endIfDone(lane.id);
      return;
    }
    if (isAside && before?.state === 'discarded' && counting !== null) {
      sql.moveLane(counting, { dead: 1, discarded: -1 });
    }
    const wasReplayed = before === null || before.state === 'resolved' || before.replayed === 1;
    const letter: LetterRow = {
      topic: lane.topic,
      sequence,
      lane: isAside ? counting : lane.id,
      state: 'open',
      reason,
      attempts: death.attempts,
      last_status: death.lastStatus,
      last_error: death.lastError?.slice(0, LAST_ERROR_CHARACTERS_MAX) ?? null,
      first_attempt_at: before?.first_attempt_at ?? death.firstAttemptAt,
      died_at: this.#core.now(),
      redriven_at: null,
      resolved_at: null,
      discarded_at: null,
      event: death.event ?? before?.event ?? null,
      version: this.#core.letterVersion({ deaths: this.#oneMore(reason) }),
      dirty: 1,
      replayed: isAside && wasReplayed ? 1 : 0,
    };
    sql.putLetter(letter);
    tellDeath(this.#core, this.#notices, letter);
    // The log has to keep the event until D1 has it: the live lane tells it where it parks anew.
    const live = isAside ? sql.liveLane(lane.topic) : null;
    if (live && live.parked !== null) sql.setLane(live.id, { parked: null });
    this.endIfDone(lane.id);
  }

  #oneMore(reason: DeathReason): string {
    const deaths: Partial<Record<DeathReason, number>> = JSON.parse(this.#core.row?.deaths ?? '{}');
    return JSON.stringify({ ...deaths, [reason]: (deaths[reason] ?? 0) + 1 });
  }

  /** A delivery succeeded at this attempt: the letter that it answers, if there is one, is resolved. */
  delivered(lane: LaneRow, sequence: number, attempt: number): void {
    const { sql } = this.#core;
    const letter = sql.letter(lane.topic, sequence);
    if (!letter || letter.state === 'resolved' || letter.state === 'discarded') return;
    const answered = letter.lane === null || (letter.lane === lane.id && letter.state === 'redriven');
    // It died in the books while it was on its way beside them, and has arrived after all.
    const books = lane.status === 'uncounted' && letter.state === 'open' ? letter.lane : null;
    if (!answered && books === null) return;
    if (books !== null) sql.moveLane(books, { dead: -1, delivered: 1 });
    const version = this.#core.letterVersion();
    const attempts = Math.max(letter.attempts, attempt);
    const resolved = { state: 'resolved', lane: null, resolved_at: this.#core.now() } as const;
    sql.putLetter({ ...letter, ...resolved, attempts, version, dirty: 1 });
  }

  /** A replay whose range is examined and settled is done. */
  endIfDone(laneId: number): void {
    const lane = this.#core.sql.lane(laneId);
    if (!lane || lane.replay === null || lane.status !== 'active' || lane.until === null) return;
    if (lane.next <= lane.until || lane.in_flight + lane.retrying + lane.held > 0) return;
    const { sql } = this.#core;
    sql.forgetFrom(decisionsOf(lane), 0);
    if (sql.holdCount() > 0) sql.deleteHoldsOf(laneId);
    sql.setLane(laneId, { status: 'done', ended_at: this.#core.now() });
    tellReplayEnded(this.#core, this.#notices, laneId);
  }

  /**
   * Puts a dead letter back into the lane that counts it; the schedule starts afresh, attempts count on. One that no lane
   * counts (of a replay, from before a seek, of a former subscription) goes through a lane that is in no sums: what the
   * live books say of its event stays as it is. Resolved, discarded or pending already: nothing changes.
   */
  redrive(letter: { topic: string; sequence: number; event: string }): void {
    const { sql } = this.#core;
    const row = sql.letter(letter.topic, letter.sequence);
    if (row?.state !== 'open') return;
    // What comes anyway resolves the letter when it is delivered.
    if (row.lane === null && this.#isPending(letter)) return;
    // It died in the books while it was on its way beside them: one of the two is enough.
    const aside = sql.redrivenAside(letter.topic, letter.sequence);
    if (aside !== null && aside.lease !== null) return;
    if (aside !== null) {
      sql.deleteException(aside.lane, letter.sequence);
      sql.moveLane(aside.lane, { retrying: -1 });
    }
    const lane = row.lane ?? this.uncountedLane(letter.topic).id;
    const now = this.#core.now();
    const version = this.#core.letterVersion();
    sql.putLetter({ ...row, lane, state: 'redriven', redriven_at: now, version, dirty: 1 });
    sql.moveLane(lane, { retrying: 1, dead: row.lane === null ? 0 : -1 });
    sql.putException({
      lane,
      sequence: letter.sequence,
      attempts: row.attempts,
      tries: 0,
      due: now,
      lease: null,
      redriven: 1,
      event: letter.event,
      first_attempt_at: row.first_attempt_at,
      last_status: row.last_status,
      last_error: row.last_error,
      key: orderingKey(letter.event),
      batch: null,
      tokens: null,
    });
  }

  /** A lane that reads nothing and only carries letters that are in no sums. */
  uncountedLane(topic: string): LaneRow {
    const { sql } = this.#core;
    const present = sql.uncountedLane(topic);
    if (present) return present;
    const now = this.#core.now();
    const id = sql.addLane({
      topic,
      replay: null,
      status: 'uncounted',
      attachment: '',
      exact: 0,
      origin: 0,
      start: 1,
      next: 1,
      until: null,
      parked: null,
      types: '[]',
      cel: null,
      rate_count: null,
      rate_span: null,
      rate_cursor: 0,
      created_at: now,
      ended_at: now,
      error: null,
      mirrored: 1,
    });
    const lane = sql.lane(id);
    if (!lane) throw new Error('A lane that was just added is not there.');
    return lane;
  }

  /** Will live delivery bring this event anyway? */
  #isPending({ topic, sequence, event }: { topic: string; sequence: number; event: string }): boolean {
    const lane = this.#core.sql.liveLane(topic);
    if (!lane) return false;
    if (sequence >= lane.next) return true;
    if (this.#core.sql.exception(lane.id, sequence)) return true;
    if (isHeld(this.#core, lane, { sequence, json: event })) return true;
    return this.#core.sql
      .leasesOf(lane.id)
      .some((lease) => (JSON.parse(lease.sequences) as number[]).includes(sequence));
  }
}
