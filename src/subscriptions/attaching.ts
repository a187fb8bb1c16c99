import { hasWildcard, topicMatches } from '../events/names.ts';
import type { Position } from '../events/position.ts';
import type { AttachResult } from '../topics/protocol.ts';
import type { Core } from './core.ts';
import type { SubscriptionDocument } from './document.ts';
import { ATTACHMENT_GRACE_MS, CHORE_RETRY_MAX_MS, CLOCKS_APART_MS, TOPICS_PAGE, VIEW_CONCURRENCY } from './limits.ts';
import { inParallel } from './parallel.ts';
import type { LaneRow } from './rows.ts';

/** What a log answered to an attachment. */
export interface Attached {
  topic: string;
  attachment: string;
  exact: boolean;
  result: AttachResult;
}

/**
 * Makes logs know this subscription, and forget it. A log keeps the last attachment it was told of, so each topic has at
 * most one on its way; where two have met after all, the lane attaches again from where it stands.
 */
export class Attaching {
  readonly #core: Core;
  /** The last attachment under way, by topic. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(core: Core) {
    this.#core = core;
  }

  async #oneAtATime<T>(topic: string, attach: () => Promise<T>): Promise<T> {
    const before = this.#underWay.get(topic) ?? Promise.resolve();
    const result = before.then(attach);
    const ended = result.then(
      () => undefined,
      () => undefined,
    );
    this.#underWay.set(topic, ended);
    try {
      return await result;
    } finally {
      if (this.#underWay.get(topic) === ended) this.#underWay.delete(topic);
    }
  }

  /**
   * Attaches named topics that have no lane yet. Each attachment is noted as to be taken back until the configuration that
   * needs it is committed. @throws if a log fails
   */
  async named(topics: string[], from: Position): Promise<Attached[]> {
    const attached = await inParallel(topics, VIEW_CONCURRENCY, (topic) =>
      this.#oneAtATime(topic, async () => {
        if (this.#core.sql.liveLane(topic)) return null;
        const attachment = this.#note(topic);
        return { topic, attachment, exact: true, result: await this.#attach(topic, attachment, true, from) };
      }),
    );
    return attached.filter((entry) => entry !== null);
  }

  /** Names an attachment, to be taken back unless a lane comes of it. */
  #note(topic: string): string {
    const attachment = this.#core.token(12);
    this.#core.tx(() => this.#core.sql.addDetachment(attachment, topic, this.#core.now() + ATTACHMENT_GRACE_MS));
    return attachment;
  }

  #attach(topic: string, attachment: string, exact: boolean, from: Position): Promise<AttachResult> {
    const subscription = this.#core.ports.name;
    return this.#core.ask(topic, (log) => log.attach({ v: 1, subscription, attachment, exact, from }));
  }

  /** As many topics as one look-up brings are held against the patterns; false if all were. @throws if D1 or a log fails */
  async followPatterns(): Promise<boolean> {
    const row = this.#core.row;
    // A topic that is made now has to find the patterns in the catalogue: only what comes after is nobody else's to find.
    if (!this.#core.present || !row || row.attach_after === null || row.mirror_dirty) return false;
    const after = row.attach_after;
    const topics = await this.#core.ports.catalog.topicsAfter(after, TOPICS_PAGE);
    await inParallel(topics, VIEW_CONCURRENCY, (topic) => this.topicAppeared(topic));
    this.#core.tx(() => {
      const now = this.#core.row;
      // Another configuration begins from the start again.
      if (now?.attach_after !== after || now.version !== row.version || now.incarnation !== row.incarnation) return;
      this.#core.setRow({ attach_after: topics.length < TOPICS_PAGE ? null : (topics.at(-1) ?? null) });
    });
    return true;
  }

  /** A topic that a pattern matches gets its lane. Idempotent. @throws if the log fails */
  async topicAppeared(topic: string): Promise<void> {
    if (!this.#followed(topic)) return;
    await this.#oneAtATime(topic, async () => {
      const { present } = this.#core;
      if (!present || !this.#followed(topic) || this.#core.sql.liveLane(topic)) return;
      const attachment = this.#note(topic);
      const from = await this.#start(topic, present.document.from);
      let result = await this.#attach(topic, attachment, false, from);
      // One position can't fit every topic a pattern matches: where it is expired, what is left. Ahead it is only where the
      // log's clock is behind: nothing has been recorded since.
      if (result.outcome !== 'attached') {
        const kind = result.outcome === 'position-ahead' ? 'latest' : 'earliest';
        result = await this.#attach(topic, attachment, false, { kind });
      }
      this.#core.tx(() => {
        if (this.#followed(topic)) this.addLane({ topic, attachment, exact: false, result }, this.#core.document);
        else this.#core.sql.addDetachment(attachment, topic, this.#core.now());
      });
    });
  }

  /** The patterns that match a topic. */
  #patterns(topic: string): string[] {
    const topics = this.#core.present?.document.topics ?? [];
    return topics.filter((pattern) => hasWildcard(pattern) && topicMatches(pattern, topic));
  }

  #followed(topic: string): boolean {
    return this.#patterns(topic).length > 0;
  }

  /**
   * Where a pattern's lane starts: at its position, yet never behind what was recorded since the pattern was made. Its topics
   * have events that were acknowledged since, before anybody attached them.
   */
  async #start(topic: string, from: Position): Promise<Position> {
    const since: Position = { kind: 'time', time: this.#since(topic) };
    switch (from.kind) {
      case 'earliest':
        return from;
      case 'latest':
        return since;
      case 'time':
        return { kind: 'time', time: Math.min(from.time, since.time) };
      case 'sequence': {
        const made = await this.#core.ask(topic, (log) => log.resolve(since, 'start'));
        return made.outcome === 'resolved' && made.sequence <= from.sequence ? since : from;
      }
    }
  }

  /** Where `latest` was when the pattern was made can only be told by time. */
  #since(topic: string): number {
    const row = this.#core.row;
    const since = JSON.parse(row?.patterns_since ?? '{}') as Record<string, number>;
    const made = row?.created_at ?? 0;
    const time = Math.min(...this.#patterns(topic).map((pattern) => since[pattern] ?? made));
    return time - CLOCKS_APART_MS;
  }

  /** Only inside `tx`. */
  addLane({ topic, attachment, exact, result }: Attached, document: SubscriptionDocument): void {
    if (result.outcome !== 'attached') return;
    const { sql } = this.#core;
    sql.deleteDetachment(attachment);
    const present = sql.liveLane(topic);
    if (present) {
      // Somebody was first, and the log knows this attachment now rather than that.
      sql.addDetachment(attachment, topic, this.#core.now());
      this.again(present);
      return;
    }
    const { next } = result;
    // Where the topic was the subscription's before, its books from then are closed: both would count the same events.
    const former = sql.countingLane(topic);
    if (former) {
      sql.uncountLetters(topic, former.id);
      sql.setLane(former.id, { status: 'uncounted' });
    }
    sql.addLane({
      topic,
      replay: null,
      status: 'active',
      attachment,
      exact: exact ? 1 : 0,
      origin: next - 1,
      start: next,
      next,
      until: null,
      parked: null,
      types: '[]',
      cel: null,
      rate_count: null,
      rate_span: null,
      rate_cursor: 0,
      created_at: this.#core.now(),
      ended_at: null,
      error: null,
      mirrored: 1,
    });
    sql.forgetFrom(topic, 0);
    sql.decide(topic, next, document.filter);
  }

  /** The lane's log may not know it: attaches it again, from where it stands. Only inside `tx`. */
  again(lane: LaneRow): void {
    this.#core.sql.setLane(lane.id, { status: 'attaching', parked: null });
  }

  /** Attaches all lanes again whose logs may not know them. @throws if a log fails, after all were tried */
  async attachAgain(): Promise<boolean> {
    const failures: unknown[] = [];
    let after = 0;
    for (;;) {
      const lanes = this.#core.sql.attachingAfter(after, VIEW_CONCURRENCY);
      const last = lanes.at(-1);
      if (!last) break;
      after = last.id;
      await Promise.all(lanes.map((lane) => this.#lane(lane).catch((error: unknown) => failures.push(error))));
    }
    if (failures.length > 0) throw failures[0];
    return after > 0;
  }

  #lane({ id, topic, attachment, exact }: LaneRow): Promise<void> {
    return this.#oneAtATime(topic, async () => {
      const { sql } = this.#core;
      const lane = sql.lane(id);
      if (lane?.status !== 'attaching') return;
      const from: Position = { kind: 'sequence', sequence: lane.next };
      const result = await this.#attach(topic, attachment, exact === 1, from);
      if (result.outcome !== 'attached') await this.#attach(topic, attachment, exact === 1, { kind: 'earliest' });
      this.#core.tx(() => {
        if (sql.lane(id)?.status === 'attaching') sql.setLane(id, { status: 'active' });
      });
    });
  }

  /** Tells a log to forget an attachment. One that can't be reached is left for later, and delays no other. */
  async detach(): Promise<boolean> {
    const { sql, ports } = this.#core;
    const first = sql.firstDetachment();
    if (!first || first.due > this.#core.now()) return false;
    const { attachment, topic } = first;
    // The log gives away what it deletes only to those it knows: it is needed until D1 has the events of dead letters.
    const needed = sql.firstUnsentLetter(topic) !== null;
    const told = !needed && (await this.#forgets(topic, attachment));
    this.#core.tx(() => {
      if (!told) {
        sql.addDetachment(attachment, topic, this.#core.now() + CHORE_RETRY_MAX_MS);
        return;
      }
      sql.deleteDetachment(attachment);
      // One that came late may have taken the place of the lane's own.
      const lane = sql.liveLane(topic);
      if (lane && lane.attachment !== attachment) this.again(lane);
    });
    if (!told) this.#core.warn('a topic was not told to forget this subscription yet', { topic, name: ports.name });
    return true;
  }

  async #forgets(topic: string, attachment: string): Promise<boolean> {
    try {
      await this.#core.ask(topic, (log) => log.detach(this.#core.ports.name, attachment));
      return true;
    } catch {
      return false;
    }
  }
}
