import type { DeadLetter, DeathReason } from '../dead-letters/letters.ts';
import { headOf, typeMatches } from '../events/filters.ts';
import { deadLetterId } from '../events/ids.ts';
import type { OvertakeRequest } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import { JOB_STEP, LETTERS_PER_FLUSH } from './limits.ts';
import type { LetterJob } from './protocol.ts';
import type { LaneRow, LetterRow } from './sql.ts';

export interface Death {
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
  firstAttemptAt: number | null;
  /** The event, whole, where the log may not have it when the letter is written; else null. */
  event: string | null;
}

/** Takes a delivery out of the lease that holds it. */
export type TakeBack = (lane: number, sequence: number) => boolean;

/** Dead letters: how deliveries die, come back, and reach D1 through the outbox. */
export class Deaths {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Dying is one transaction: exception out, outbox row in, counted dead. The caller takes the event out of `in_flight` or
   * `retrying`. Only inside `tx`.
   */
  die(lane: LaneRow, sequence: number, reason: DeathReason, death: Death): void {
    const { sql } = this.#core;
    const before = sql.letter(lane.topic, sequence);
    sql.deleteException(lane.id, sequence);
    sql.moveLane(lane.id, { dead: 1 });
    // A replay's death opens a letter too, but the live lane's books are not touched by it.
    const counted = lane.replay === null ? lane.id : (before?.lane ?? null);
    sql.putLetter({
      topic: lane.topic,
      sequence,
      lane: counted,
      state: 'open',
      reason,
      attempts: death.attempts,
      last_status: death.lastStatus,
      last_error: death.lastError,
      first_attempt_at: before?.first_attempt_at ?? death.firstAttemptAt,
      died_at: this.#core.now(),
      redriven_at: null,
      resolved_at: null,
      discarded_at: null,
      event: death.event ?? before?.event ?? null,
      version: (before?.version ?? 0) + 1,
      dirty: 1,
    });
    this.endIfDone(lane.id);
  }

  /** A delivery succeeded: the letter that it answers, if there is one, is resolved. Only inside `tx`. */
  delivered(lane: LaneRow, sequence: number): void {
    const { sql } = this.#core;
    const letter = sql.letter(lane.topic, sequence);
    if (!letter || letter.state === 'resolved' || letter.state === 'discarded') return;
    const answered = letter.lane === null || (letter.lane === lane.id && letter.state === 'redriven');
    if (!answered) return;
    sql.putLetter({
      ...letter,
      state: 'resolved',
      lane: null,
      resolved_at: this.#core.now(),
      version: letter.version + 1,
      dirty: 1,
    });
  }

  /** A replay whose range is examined and settled is done. Only inside `tx`. */
  endIfDone(laneId: number): void {
    const lane = this.#core.sql.lane(laneId);
    if (!lane || lane.replay === null || lane.status !== 'active' || lane.until === null) return;
    if (lane.next <= lane.until || lane.in_flight > 0 || lane.retrying > 0) return;
    this.#core.sql.setLane(laneId, { status: 'done', ended_at: this.#core.now() });
  }

  /**
   * Puts a dead letter back into the live lane; the schedule starts afresh, attempts count on. Resolved, discarded or
   * pending already: nothing changes. Only inside `tx`.
   */
  redrive(letter: { topic: string; sequence: number; event: string }): void {
    const { sql } = this.#core;
    const row = sql.letter(letter.topic, letter.sequence);
    if (row?.state !== 'open') return;
    const lane = this.#letterLane(letter.topic);
    if (!lane) return;
    const now = this.#core.now();
    sql.putLetter({ ...row, lane: lane.id, state: 'redriven', redriven_at: now, version: row.version + 1, dirty: 1 });
    if (row.lane === null && this.#pending(lane, letter.sequence)) return;
    // One that the lane doesn't count any more (a seek, a replay's) enters its books anew.
    const counted = row.lane === lane.id;
    sql.moveLane(lane.id, { retrying: 1, ...(counted ? { dead: -1 } : { origin: -1 }) });
    sql.putException({
      lane: lane.id,
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
    });
  }

  /** The lane that a redriven letter goes through; one that reads nothing where the topic is not subscribed any more. */
  #letterLane(topic: string): LaneRow | null {
    const { sql } = this.#core;
    const present = sql.letterLane(topic);
    if (present) return present;
    const now = this.#core.now();
    const id = sql.addLane({
      topic,
      replay: null,
      status: 'removed',
      attachment: '',
      exact: 0,
      origin: 0,
      start: 1,
      next: 1,
      until: null,
      parked: null,
      types: '[]',
      rate_count: null,
      rate_span: null,
      rate_cursor: 0,
      created_at: now,
      ended_at: now,
      error: null,
      mirrored: 1,
    });
    return sql.lane(id);
  }

  /** Will the lane deliver this event anyway? */
  #pending(lane: LaneRow, sequence: number): boolean {
    if (lane.status !== 'removed' && sequence >= lane.next) return true;
    if (this.#core.sql.exception(lane.id, sequence)) return true;
    return this.#core.sql
      .leasesOf(lane.id)
      .some((lease) => (JSON.parse(lease.sequences) as number[]).includes(sequence));
  }

  /** A person gives a letter up for good; a redrive of it that is pending is taken back. Only inside `tx`. */
  discard(letter: { topic: string; sequence: number }, takeBack: TakeBack): void {
    const { sql } = this.#core;
    const row = sql.letter(letter.topic, letter.sequence);
    if (!row || row.state === 'resolved' || row.state === 'discarded') return;
    const now = this.#core.now();
    const lane = row.lane === null ? null : sql.lane(row.lane);
    if (lane && row.state === 'open') sql.moveLane(lane.id, { dead: -1, discarded: 1 });
    if (lane && row.state === 'redriven') {
      const exception = sql.exception(lane.id, letter.sequence);
      const leased = takeBack(lane.id, letter.sequence);
      if (exception && !leased) sql.moveLane(lane.id, { retrying: -1 });
      sql.deleteException(lane.id, letter.sequence);
      if (exception || leased) sql.moveLane(lane.id, { discarded: 1 });
    }
    sql.putLetter({ ...row, state: 'discarded', discarded_at: now, version: row.version + 1, dirty: 1 });
  }

  /** The log lets go of events: what was still owed of them becomes dead letters that carry the event. Only inside `tx`. */
  overtake(request: OvertakeRequest, takeBack: TakeBack): void {
    const { sql } = this.#core;
    const live = sql.liveLane(request.topic);
    const events = new Map(request.events.map((event) => [event.sequence, event.json]));
    for (const letter of sql.dirtyLettersIn(request.topic, request.from, request.to)) {
      sql.putLetter({ ...letter, event: events.get(letter.sequence) ?? null });
    }
    for (const replay of sql.activeReplays(request.topic)) {
      for (const { sequence } of request.events) takeBack(replay.id, sequence);
      if ((replay.until ?? 0) < request.from) continue;
      sql.setLane(replay.id, {
        status: 'failed',
        error: 'The topic let go of the events.',
        ended_at: this.#core.now(),
        retrying: 0,
      });
      sql.deleteExceptionsOf(replay.id);
    }
    if (!live || live.attachment !== request.attachment) return;
    const types = this.#core.present?.document.filter.types ?? [];
    let filtered = 0;
    for (const { sequence, json } of request.events) {
      const exception = sql.exception(live.id, sequence);
      const leased = takeBack(live.id, sequence);
      const waiting = sequence >= live.next;
      if (exception && !leased) sql.moveLane(live.id, { retrying: -1 });
      if (!exception && !leased && !waiting) continue;
      if (waiting && !typeMatches(types, headOf(json).type)) {
        filtered++;
        continue;
      }
      this.die(live, sequence, 'expired', {
        attempts: exception?.attempts ?? 0,
        lastStatus: exception?.last_status ?? null,
        lastError: exception?.last_error ?? null,
        firstAttemptAt: exception?.first_attempt_at ?? null,
        event: json,
      });
    }
    sql.moveLane(live.id, { filtered }, live.next <= request.to ? { next: request.to + 1, parked: null } : {});
  }

  /** The outbox to D1, a batch at a time; true if there is more. @throws if D1 or a log fails */
  async flush(): Promise<boolean> {
    const rows = this.#core.sql.dirtyLetters(LETTERS_PER_FLUSH);
    const letters = await Promise.all(rows.map((row) => this.#letter(row)));
    await this.#core.ports.letters.put(letters);
    this.#core.tx(() => {
      for (const row of rows) {
        const now = this.#core.sql.letter(row.topic, row.sequence);
        if (now?.version !== row.version) continue;
        if (now.state === 'resolved') this.#core.sql.deleteLetter(row.topic, row.sequence);
        else this.#core.sql.putLetter({ ...now, event: null, dirty: 0 });
      }
    });
    return this.#core.sql.hasDirtyLetters();
  }

  async #letter(row: LetterRow): Promise<DeadLetter> {
    const { name } = this.#core.ports;
    return {
      id: deadLetterId(name, row.topic, row.sequence),
      subscription: name,
      topic: row.topic,
      sequence: row.sequence,
      event: row.event ?? (await this.#event(row)),
      reason: row.reason as DeathReason,
      attempts: row.attempts,
      lastStatus: row.last_status,
      lastError: row.last_error,
      firstAttemptAt: row.first_attempt_at,
      diedAt: row.died_at,
      redrivenAt: row.redriven_at,
      resolvedAt: row.resolved_at,
      discardedAt: row.discarded_at,
      version: row.version,
    };
  }

  /** From the log; empty where it is gone from there: D1 has it then, and keeps it. */
  async #event(row: LetterRow): Promise<string> {
    const { events } = await this.#core.ports.topicLog(row.topic).eventsAt([row.sequence]);
    return events[0]?.json ?? '';
  }

  /** One step of the oldest job; true if there is more to do. @throws if D1 fails */
  async jobStep(takeBack: TakeBack): Promise<boolean> {
    const row = this.#core.sql.job();
    if (!row) return false;
    const job = JSON.parse(row.job) as LetterJob;
    const { name, letters } = this.#core.ports;
    const filter = { topic: job.topic, reason: job.reason, since: job.since, until: job.until };
    const page = await letters.openLetters(name, filter, row.after_id, JOB_STEP);
    this.#core.tx(() => {
      for (const letter of page) {
        if (job.action === 'redrive') this.redrive(letter);
        else this.discard(letter, takeBack);
      }
      const last = page.at(-1);
      if (last) this.#core.sql.advanceJob(row.id, last.id);
      else this.#core.sql.deleteJob(row.id);
    });
    return this.#core.sql.job() !== null;
  }
}
