import type { DeadLetter, DeathReason } from '../dead-letters/letters.ts';
import { deadLetterId } from '../events/ids.ts';
import { judge } from '../expressions/filter.ts';
import type { OvertakeRequest } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { Deaths } from './deaths.ts';
import { isHeld } from './decisions.ts';
import { FLUSH_BYTES_MAX, JOB_STEP, LETTERS_PER_FLUSH } from './limits.ts';
import type { LetterJob } from './protocol.ts';
import type { LaneRow, LetterRow } from './rows.ts';
import type { Withdrawing } from './withdrawing.ts';

/** What is done to dead letters beyond a single delivery: discarding, jobs, the way to D1, and what a log lets go of. */
export class LetterWork {
  readonly #core: Core;
  readonly #deaths: Deaths;
  readonly #withdrawing: Withdrawing;

  constructor(core: Core, deaths: Deaths, withdrawing: Withdrawing) {
    this.#core = core;
    this.#deaths = deaths;
    this.#withdrawing = withdrawing;
  }

  /** A person gives a letter up for good; a redrive of it that is pending is taken back. Only inside `tx`. */
  discard(letter: { topic: string; sequence: number }): void {
    const { sql } = this.#core;
    const row = sql.letter(letter.topic, letter.sequence);
    if (!row || row.state === 'resolved' || row.state === 'discarded') return;
    const lane = row.lane === null ? null : sql.lane(row.lane);
    if (lane && row.state === 'open') sql.moveLane(lane.id, { dead: -1, discarded: 1 });
    if (lane && row.state === 'redriven' && this.#takeOut(lane, letter.sequence) !== null)
      sql.moveLane(lane.id, { discarded: 1 });
    // It may have died in the books while it was on its way beside them.
    const aside = sql.redrivenAside(letter.topic, letter.sequence);
    const asideLane = aside && sql.lane(aside.lane);
    if (asideLane) this.#takeOut(asideLane, letter.sequence);
    const version = this.#core.letterVersion();
    const counting = lane?.status === 'uncounted' ? null : row.lane;
    sql.putLetter({ ...row, lane: counting, state: 'discarded', discarded_at: this.#core.now(), version, dirty: 1 });
  }

  /** Takes one delivery out of a lane, leased or retrying; null if it is neither. */
  #takeOut(lane: LaneRow, sequence: number): 'leased' | 'retrying' | null {
    const { sql } = this.#core;
    const leased = this.#withdrawing.takeBack(lane.id, new Set([sequence])).has(sequence);
    const exception = sql.exception(lane.id, sequence);
    sql.deleteException(lane.id, sequence);
    if (leased) return 'leased';
    if (!exception) return null;
    sql.moveLane(lane.id, { retrying: -1 });
    return 'retrying';
  }

  /** The log lets go of events: what was still owed of them becomes dead letters that carry the event. Only inside `tx`. */
  overtake(request: OvertakeRequest): void {
    const { sql } = this.#core;
    const { topic, from, to } = request;
    const events = new Map(request.events.map((event) => [event.sequence, event.json]));
    for (const letter of sql.unsentLetters(topic, from, to)) {
      const event = events.get(letter.sequence);
      if (event !== undefined) sql.putLetter({ ...letter, event });
    }
    for (const replay of sql.activeReplays(topic)) {
      if ((replay.until ?? 0) >= from) this.#withdrawing.endReplay(replay, 'failed', 'The topic let go of the events.');
    }
    const lane = sql.liveLane(topic);
    if (lane?.attachment === request.attachment) this.#overtakeLane(lane, request);
  }

  #overtakeLane(lane: LaneRow, { events, from, to }: OvertakeRequest): void {
    const { sql } = this.#core;
    const { filter } = this.#core.document;
    const held = new Set(events.filter((event) => isHeld(this.#core, lane, event)).map((event) => event.sequence));
    const retrying = new Map(sql.exceptionsIn(lane.id, from, to).map((row) => [row.sequence, row]));
    // A redriven one carries its event itself.
    const owed = events.filter((event) => retrying.get(event.sequence)?.redriven !== 1);
    const leased = this.#withdrawing.takeBack(lane.id, new Set(owed.map((event) => event.sequence)));
    // Whatever lies between is neither here nor there: the log knows that nothing of it is needed.
    let filtered = Math.max(0, Math.min(from, to + 1) - lane.next);
    for (const { sequence, json } of owed) {
      const waiting = sequence >= lane.next;
      if (waiting && judge(filter, json).verdict.kind === 'no-match') {
        filtered++;
        continue;
      }
      const exception = retrying.get(sequence);
      const owedHere = exception !== undefined || leased.has(sequence) || held.has(sequence);
      if (!waiting && !owedHere) continue;
      // What was leased is in no count any more; dying enters it anew.
      const place = leased.has(sequence) ? 'waiting' : exception ? 'retrying' : held.has(sequence) ? 'held' : 'waiting';
      this.#deaths.die(lane, sequence, 'expired', place, {
        attempts: exception?.attempts ?? 0,
        lastStatus: exception?.last_status ?? null,
        lastError: exception?.last_error ?? null,
        firstAttemptAt: exception?.first_attempt_at ?? null,
        event: json,
      });
    }
    if (lane.held > 0) sql.cutHolds(lane.id, to, lane.next);
    if (lane.next <= to) sql.moveLane(lane.id, { filtered }, { next: to + 1, parked: null });
  }

  /** The outbox to D1, a batch at a time; false if it is empty. @throws if D1 or a log fails */
  async flush(): Promise<boolean> {
    const { sql } = this.#core;
    const rows = sql.dirtyLetters(LETTERS_PER_FLUSH);
    if (rows.length === 0) return false;
    const letters = await this.#whole(rows);
    await this.#core.ports.letters.put(letters);
    this.#core.tx(() => {
      for (const row of rows.slice(0, letters.length)) {
        const now = sql.letter(row.topic, row.sequence);
        if (now?.version !== row.version) continue;
        if (now.state === 'resolved') sql.deleteLetter(row.topic, row.sequence);
        else sql.putLetter({ ...now, event: null, dirty: 0 });
      }
    });
    return true;
  }

  /** Letters with their events, as many of the first as fit. All are of one topic. */
  async #whole(rows: LetterRow[]): Promise<DeadLetter[]> {
    const asked = rows.filter((row) => row.event === null).map((row) => row.sequence);
    const topic = rows[0]?.topic ?? '';
    const answer =
      asked.length > 0 ? await this.#core.ask(topic, (log) => log.eventsAt(asked)) : { events: [], examined: 0 };
    const unread = new Set(asked.slice(answer.examined));
    const fromLog = new Map(answer.events.map((event) => [event.sequence, event.json]));
    const letters: DeadLetter[] = [];
    let bytes = 0;
    for (const row of rows) {
      // Gone from the log, too: D1 has it, and keeps it.
      const event = row.event ?? fromLog.get(row.sequence) ?? '';
      bytes += event.length;
      if (unread.has(row.sequence) || (letters.length > 0 && bytes > FLUSH_BYTES_MAX)) break;
      letters.push(letter(this.#core.ports.name, row, event));
    }
    return letters;
  }

  /** One step of the oldest job; false if there is none. @throws if D1 fails */
  async jobStep(): Promise<boolean> {
    const row = this.#core.sql.job();
    if (!row) return false;
    const job = JSON.parse(row.job) as LetterJob;
    const { name, letters } = this.#core.ports;
    const filter = { topic: job.topic, reason: job.reason, since: job.since, until: job.until };
    const page = await letters.openLetters(name, filter, row.after_id, JOB_STEP);
    this.#core.tx(() => {
      // The subscription was deleted, or the step was given up and done by another.
      if (this.#core.sql.job()?.id !== row.id || this.#core.sql.job()?.after_id !== row.after_id) return;
      for (const letter of page) {
        if (job.action === 'redrive') this.#deaths.redrive(letter);
        else this.discard(letter);
      }
      const last = page.at(-1);
      if (last) this.#core.sql.advanceJob(row.id, last.id);
      else this.#core.sql.deleteJob(row.id);
    });
    return true;
  }
}

function letter(subscription: string, row: LetterRow, event: string): DeadLetter {
  return {
    id: deadLetterId(subscription, row.topic, row.sequence),
    subscription,
    topic: row.topic,
    sequence: row.sequence,
    event,
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
