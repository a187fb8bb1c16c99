import { hasWildcard, topicMatches } from '../events/names.ts';
import type { Position } from '../events/position.ts';
import type { AttachResult } from '../topics/protocol.ts';
import type { Core, Present } from './core.ts';
import type { SubscriptionDocument } from './document.ts';
import type { Leases } from './leases.ts';
import { ATTACH_AT_ONCE, ATTACHMENT_GRACE_MS, VIEW_CONCURRENCY } from './limits.ts';
import { inParallel } from './parallel.ts';
import type { PutRequest, PutResult, SecretView, SubscriptionView } from './protocol.ts';
import type { LaneRow, SubscriptionRow } from './sql.ts';

/** A pattern's lane on a topic starts this much before the subscription was made: clocks differ. */
const PATTERN_SLACK_MS = 1_000;
/** Topics held against the patterns in one look-up. */
const TOPICS_PAGE = 500;
const SECRET_BYTES = 32;

interface Attached {
  topic: string;
  attachment: string;
  exact: boolean;
  result: AttachResult;
}

/** Making, changing, pausing and deleting the subscription, and the lanes that come and go with its topics. */
export class Configuration {
  readonly #core: Core;
  readonly #leases: Leases;

  constructor(core: Core, leases: Leases) {
    this.#core = core;
    this.#leases = leases;
  }

  /**
   * Makes or replaces the subscription. The named topics are attached before anything is committed, so that a refusal
   * changes nothing; the patterns after, so that a topic that appears meanwhile sees them.
   */
  async put(request: PutRequest, view: () => Promise<SubscriptionView>): Promise<PutResult> {
    const before = this.#core.present;
    if (request.ifMatch !== null && request.ifMatch !== etag(before)) return { outcome: 'precondition-failed' };
    const exact = request.document.topics.filter((topic) => !hasWildcard(topic));
    const added = exact.filter((topic) => this.#core.sql.liveLane(topic) === null);
    const attached = await this.#attachNamed(added, request.document.from);
    const refusal = attached.find((entry) => entry.result.outcome !== 'attached');
    if (refusal) {
      this.#core.tx(() => {
        for (const entry of attached) this.#core.sql.addDetachment(entry.attachment, entry.topic, this.#core.now());
      });
      return refused(refusal);
    }
    await this.#bringParkedLanesUpToDate(request.document);

    const secret = this.#secretFor(request.document, before);
    this.#core.tx(() => this.#commit(request.document, attached, secret.sealed));
    // A new url ends a failing and a disabling: what waited goes out.
    if (before && before.document.delivery.url !== request.document.delivery.url) {
      this.#leases.send(this.#core.tx(() => this.#leases.resendAll()));
    }
    await this.mirrorNow();
    if (request.document.topics.some(hasWildcard)) {
      if (this.#core.row?.mirror_dirty) {
        return {
          outcome: 'unavailable',
          detail: 'The catalogue could not be reached; the topic patterns will be followed once it can.',
        };
      }
      await this.attachPatterns(ATTACH_AT_ONCE);
    }
    return { outcome: before ? 'replaced' : 'created', view: await view(), secret: secret.plain };
  }

  /** Attaches named topics to their logs. An attachment is noted as to be taken back until the configuration that needs it is committed. */
  async #attachNamed(topics: string[], from: Position): Promise<Attached[]> {
    const wanted = topics.map((topic) => ({ topic, attachment: this.#newAttachment() }));
    if (wanted.length === 0) return [];
    this.#core.tx(() => {
      for (const { topic, attachment } of wanted)
        this.#core.sql.addDetachment(attachment, topic, this.#core.now() + ATTACHMENT_GRACE_MS);
    });
    return inParallel(wanted, VIEW_CONCURRENCY, async ({ topic, attachment }) => {
      const { name } = this.#core.ports;
      const result = await this.#core.ports
        .topicLog(topic)
        .attach({ v: 1, subscription: name, attachment, exact: true, from });
      return { topic, attachment, exact: true, result };
    });
  }

  #newAttachment(): string {
    return Array.from(this.#core.ports.random.bytes(12), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  /** A new filter counts from here on: what a parked lane has passed by the old one stays passed. */
  async #bringParkedLanesUpToDate(document: SubscriptionDocument): Promise<void> {
    const before = this.#core.present?.document;
    if (!before || JSON.stringify(before.filter) === JSON.stringify(document.filter)) return;
    for (const lane of this.liveLanes()) await this.unpark(lane);
  }

  /** Takes a lane out of its park and moves it over what its filter let pass. */
  async unpark(lane: LaneRow): Promise<void> {
    if (lane.parked === null) return;
    const answer = await this.#core.ports.topicLog(lane.topic).unpark(this.#core.ports.name, lane.parked);
    this.#core.tx(() => {
      const now = this.#core.sql.lane(lane.id);
      if (!now || now.parked !== lane.parked || now.status !== 'active') return;
      const next = Math.max(now.next, answer?.next ?? now.next);
      this.#core.sql.moveLane(lane.id, { filtered: next - now.next }, { next, parked: null });
    });
  }

  #secretFor(document: SubscriptionDocument, before: Present | null): { plain: string; sealed: string } {
    const present = before?.row.secret ?? null;
    if (document.delivery.secret === null && present !== null)
      return { plain: this.#core.open(present), sealed: present };
    const plain = document.delivery.secret ?? this.makeSecret();
    return { plain, sealed: this.#core.seal(plain) };
  }

  /** A Standard Webhooks secret: `whsec_` and the base64 of 32 random bytes. */
  makeSecret(): string {
    return `whsec_${btoa(String.fromCharCode(...this.#core.ports.random.bytes(SECRET_BYTES)))}`;
  }

  #commit(given: SubscriptionDocument, attached: Attached[], secret: string): void {
    const { sql } = this.#core;
    const now = this.#core.now();
    const before = this.#core.present;
    const document = { ...given, delivery: { ...given.delivery, secret: null } };
    const row = this.#core.row;
    const sameUrl = before?.document.delivery.url === document.delivery.url;
    const base = before?.row ?? freshRow(row, now);
    this.#core.putRow({
      ...base,
      document: JSON.stringify(document),
      version: base.version + 1,
      target_version: base.target_version + (sameUrl ? 0 : 1),
      updated_at: now,
      secret,
      ...(sameUrl ? {} : { disabled_reason: null, streak: 0, probe_at: null, probe_delay: 0, slow: 0 }),
      mirror_version: base.mirror_version + 1,
      mirror_dirty: 1,
      attach_after: document.topics.some(hasWildcard) ? '' : null,
    });
    for (const lane of this.liveLanes()) {
      const exact = document.topics.includes(lane.topic);
      if (!exact && !document.topics.some((pattern) => topicMatches(pattern, lane.topic))) this.#endLane(lane);
      else if (exact !== (lane.exact === 1)) sql.setLane(lane.id, { exact: exact ? 1 : 0 });
    }
    if (before && JSON.stringify(before.document.filter) !== JSON.stringify(document.filter)) {
      for (const lane of this.liveLanes()) {
        sql.forgetFrom(lane.topic, lane.next);
        sql.decide(lane.topic, lane.next, JSON.stringify(document.filter.types));
        if (lane.parked !== null) sql.setLane(lane.id, { parked: null });
      }
    }
    for (const entry of attached) this.#addLane(entry, document);
  }

  #addLane({ topic, attachment, exact, result }: Attached, document: SubscriptionDocument): void {
    if (result.outcome !== 'attached') return;
    const { sql } = this.#core;
    sql.deleteDetachment(attachment);
    // Another PUT or the topic's own announcement was first.
    if (sql.liveLane(topic)) {
      sql.addDetachment(attachment, topic, this.#core.now());
      return;
    }
    const { next } = result;
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
      rate_count: null,
      rate_span: null,
      rate_cursor: 0,
      created_at: this.#core.now(),
      ended_at: null,
      error: null,
      mirrored: 1,
    });
    sql.forgetFrom(topic, 0);
    sql.decide(topic, next, JSON.stringify(document.filter.types));
  }

  /** A topic is not the subscription's any more: what was on its way is skipped, its letters stay. Only inside `tx`. */
  #endLane(lane: LaneRow): void {
    const { sql } = this.#core;
    const leased = this.#leases.dropAll(lane.id);
    sql.reopenLetters(lane.topic, lane.id);
    const now = sql.lane(lane.id);
    sql.deleteExceptionsOf(lane.id);
    sql.uncountLetters(lane.id);
    sql.moveLane(
      lane.id,
      { skipped: leased.length + (now?.retrying ?? 0) },
      { status: 'removed', parked: null, retrying: 0, ended_at: this.#core.now() },
    );
    sql.addDetachment(lane.attachment, lane.topic, this.#core.now());
    for (const replay of sql.activeReplays(lane.topic))
      this.endReplay(replay, 'failed', 'The subscription no longer has the topic.');
  }

  /** Only inside `tx`. */
  endReplay(lane: LaneRow, status: 'cancelled' | 'failed', error: string | null): void {
    this.#leases.dropAll(lane.id);
    this.#core.sql.deleteExceptionsOf(lane.id);
    this.#core.sql.setLane(lane.id, { status, error, ended_at: this.#core.now(), retrying: 0 });
  }

  *liveLanes(): Generator<LaneRow> {
    for (let after = 0; ; ) {
      const page = this.#core.sql.liveLanesAfter(after, 200);
      yield* page;
      const last = page.at(-1);
      if (!last || page.length < 200) return;
      after = last.id;
    }
  }

  /** Writes the catalogue's row now, if it can be; the alarm does it otherwise. */
  async mirrorNow(): Promise<void> {
    try {
      await this.mirror();
      this.#core.choreDone('mirror');
    } catch (error) {
      this.#core.choreFailed('mirror', error);
    }
  }

  /** @throws if D1 fails */
  async mirror(): Promise<void> {
    const row = this.#core.row;
    if (!row?.mirror_dirty) return;
    const document = this.#core.present?.document ?? null;
    await this.#core.ports.catalog.putSubscription({
      name: this.#core.ports.name,
      createdAt: row.created_at,
      version: row.mirror_version,
      deleted: document === null,
      patterns: document?.topics.filter(hasWildcard) ?? [],
      stalledAt: row.stalled_at,
    });
    this.#core.tx(() => {
      if (this.#core.row?.mirror_version === row.mirror_version) this.#core.setRow({ mirror_dirty: 0 });
    });
  }

  /** Holds the catalogue's topics against the patterns, at most about `limit` of them. @throws if D1 or a log fails */
  async attachPatterns(limit: number): Promise<void> {
    for (let seen = 0; seen < limit; ) {
      const after = this.#core.row?.attach_after ?? null;
      if (after === null || !this.#core.present) return;
      // A lane that its log forgot is attached again by the same pass.
      for (const lane of [...this.liveLanes()].filter((lane) => lane.status === 'attaching'))
        await this.#attachAgain(lane);
      const topics = await this.#core.ports.catalog.topicsAfter(after, TOPICS_PAGE);
      const matching = topics.filter((topic) => this.#matchesPattern(topic));
      await inParallel(matching, VIEW_CONCURRENCY, (topic) => this.topicAppeared(topic));
      this.#core.tx(() => {
        if (this.#core.row?.attach_after === after)
          this.#core.setRow({ attach_after: topics.length < TOPICS_PAGE ? null : (topics.at(-1) ?? null) });
      });
      seen += topics.length;
      if (topics.length < TOPICS_PAGE) return;
    }
  }

  async #attachAgain(lane: LaneRow): Promise<void> {
    const { topicLog, name } = this.#core.ports;
    const from: Position = { kind: 'sequence', sequence: lane.next };
    const request = { v: 1 as const, subscription: name, attachment: lane.attachment, exact: lane.exact === 1 };
    const result = await topicLog(lane.topic).attach({ ...request, from });
    if (result.outcome !== 'attached') await topicLog(lane.topic).attach({ ...request, from: { kind: 'earliest' } });
    this.#core.tx(() => this.#core.sql.setLane(lane.id, { status: 'active' }));
  }

  #matchesPattern(topic: string): boolean {
    return (
      this.#core.present?.document.topics.some((pattern) => hasWildcard(pattern) && topicMatches(pattern, topic)) ??
      false
    );
  }

  /** A topic that a pattern matches gets its lane. Idempotent. @throws if the log fails */
  async topicAppeared(topic: string): Promise<void> {
    if (!this.#matchesPattern(topic) || this.#core.sql.liveLane(topic)) return;
    const present = this.#core.present;
    if (!present) return;
    const attachment = this.#newAttachment();
    this.#core.tx(() => this.#core.sql.addDetachment(attachment, topic, this.#core.now() + ATTACHMENT_GRACE_MS));
    const { from } = present.document;
    // Where `latest` was when the subscription was made can only be told by time.
    const made: Position = { kind: 'time', time: present.row.created_at - PATTERN_SLACK_MS };
    const log = this.#core.ports.topicLog(topic);
    const request = { v: 1 as const, subscription: this.#core.ports.name, attachment, exact: false };
    let result = await log.attach({ ...request, from: from.kind === 'latest' ? made : from });
    // One position can't fit every topic a pattern matches: past the end means what comes, expired what is left.
    if (result.outcome !== 'attached') {
      result = await log.attach({
        ...request,
        from: { kind: result.outcome === 'position-ahead' ? 'latest' : 'earliest' },
      });
    }
    this.#core.tx(() => {
      const now = this.#core.present;
      if (now && this.#matchesPattern(topic)) this.#addLane({ topic, attachment, exact: false, result }, now.document);
      else this.#core.sql.addDetachment(attachment, topic, this.#core.now());
    });
  }

  /** Tells the logs to forget what is not attached any more. @throws if a log fails */
  async detach(): Promise<boolean> {
    const first = this.#core.sql.firstDetachment();
    if (!first || first.due > this.#core.now()) return false;
    await this.#core.ports.topicLog(first.topic).detach(this.#core.ports.name, first.attachment);
    this.#core.tx(() => this.#core.sql.deleteDetachment(first.attachment));
    return true;
  }

  pause(): void {
    this.#core.tx(() => {
      if (!this.#core.present?.row.paused) this.#core.setRow({ paused: 1, updated_at: this.#core.now() });
    });
  }

  /** Ends a pause, a disabling and a failing. */
  resume(): void {
    const leases = this.#core.tx(() => {
      this.#core.setRow({
        paused: 0,
        disabled_reason: null,
        streak: 0,
        probe_at: null,
        probe_delay: 0,
        slow: 0,
        updated_at: this.#core.now(),
      });
      return this.#leases.resendAll();
    });
    this.#leases.send(leases);
  }

  /** False if there is none. The letters stay, in D1 and as rows, for a subscription of the same name to come. */
  remove(): boolean {
    if (!this.#core.present) return false;
    this.#core.tx(() => {
      const { sql } = this.#core;
      for (const lane of this.liveLanes()) {
        sql.reopenLetters(lane.topic, lane.id);
        sql.addDetachment(lane.attachment, lane.topic, this.#core.now());
      }
      for (const lease of sql.leases()) this.#leases.dropAll(lease.lane);
      sql.clear();
      const mirror_version = (this.#core.row?.mirror_version ?? 0) + 1;
      this.#core.setRow({
        document: null,
        secret: null,
        previous_secret: null,
        mirror_version,
        mirror_dirty: 1,
        attach_after: null,
        probe_at: null,
      });
    });
    return true;
  }

  secrets(): SecretView | null {
    const row = this.#core.present?.row;
    if (!row?.secret) return null;
    const expiresAt = row.previous_expires_at ?? 0;
    const previous =
      row.previous_secret && expiresAt > this.#core.now()
        ? { secret: this.#core.open(row.previous_secret), expiresAt }
        : null;
    return { secret: this.#core.open(row.secret), previous };
  }

  rotateSecret(overlapMs: number): { secret: string; previousExpiresAt: number } | null {
    const row = this.#core.present?.row;
    if (!row) return null;
    const secret = this.makeSecret();
    const previousExpiresAt = this.#core.now() + overlapMs;
    const sealed = this.#core.seal(secret);
    this.#core.tx(() =>
      this.#core.setRow({
        secret: sealed,
        previous_secret: row.secret,
        previous_expires_at: previousExpiresAt,
        updated_at: this.#core.now(),
      }),
    );
    return { secret, previousExpiresAt };
  }
}

/** Of the configuration, without quotes: those are HTTP's. */
export function etag(present: Present | null): string | null {
  return present ? `${present.row.incarnation}-${present.row.version}` : null;
}

function refused({ topic, result }: Attached): PutResult {
  switch (result.outcome) {
    case 'position-ahead':
      return { outcome: 'position-ahead', topic, lastSequence: result.lastSequence };
    case 'sequence-expired':
      return { outcome: 'sequence-expired', topic, firstSequence: result.firstSequence };
    case 'attached':
      throw new Error('An attachment that succeeded is no refusal.');
  }
}

/** The row of a subscription that is made now; counters that outlive a deletion go on. */
function freshRow(old: SubscriptionRow | null, now: number): SubscriptionRow {
  return {
    document: null,
    incarnation: (old?.incarnation ?? 0) + 1,
    version: 0,
    target_version: old?.target_version ?? 0,
    paused: 0,
    disabled_reason: null,
    created_at: now,
    updated_at: now,
    secret: null,
    previous_secret: null,
    previous_expires_at: null,
    streak: 0,
    probe_at: null,
    probe_delay: 0,
    slow: 0,
    mirror_version: old?.mirror_version ?? 0,
    mirror_dirty: 0,
    stalled_at: null,
    attach_after: null,
    healed: 0,
    alarm_failures: old?.alarm_failures ?? 0,
  };
}
