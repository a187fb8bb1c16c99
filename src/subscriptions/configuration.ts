import { hasWildcard, topicMatches } from '../events/names.ts';
import type { Attached, Attaching } from './attaching.ts';
import { type Consent, NO_CONSENT } from './consent.ts';
import type { Core, Present } from './core.ts';
import { decideFrom } from './decisions.ts';
import { isSameTarget, withoutSecret } from './delivery-kinds.ts';
import type { SubscriptionDocument } from './document.ts';
import { freshRow, HEALTHY } from './fresh-row.ts';
import type { Leases } from './leases.ts';
import { ATTACH_AT_ONCE, TOPICS_PAGE, VIEW_CONCURRENCY } from './limits.ts';
import type { Notices } from './notices.ts';
import { inParallel } from './parallel.ts';
import type { PutRequest, PutResult } from './protocol.ts';
import type { ConfigurationView, SubscriptionView } from './protocol-views.ts';
import { cursorOf, effectiveRate } from './rate.ts';
import type { LaneRow } from './rows.ts';
import type { Secrets } from './secrets.ts';
import type { Withdrawing } from './withdrawing.ts';

interface ConfigurationParts {
  leases: Leases;
  withdrawing: Withdrawing;
  attaching: Attaching;
  secrets: Secrets;
  notices: Notices;
  consent: Consent;
}

/** Making, changing, pausing and deleting the subscription. */
export class Configuration {
  readonly #core: Core;
  readonly #leases: Leases;
  readonly #withdrawing: Withdrawing;
  readonly #attaching: Attaching;
  readonly #secrets: Secrets;
  readonly #notices: Notices;
  readonly #consent: Consent;

  constructor(core: Core, { leases, withdrawing, attaching, secrets, notices, consent }: ConfigurationParts) {
    this.#core = core;
    this.#leases = leases;
    this.#withdrawing = withdrawing;
    this.#attaching = attaching;
    this.#secrets = secrets;
    this.#notices = notices;
    this.#consent = consent;
  }

  /**
   * Makes or replaces the subscription. The named topics are attached before anything is committed, so that a refusal
   * changes nothing; the patterns after, so that a topic that appears meanwhile sees them.
   */
  async put(request: PutRequest, view: () => Promise<SubscriptionView>): Promise<PutResult> {
    const { document } = request;
    const before = this.#core.present;
    if (request.ifMatch !== null && request.ifMatch !== etag(before)) return { outcome: 'precondition-failed' };
    const { locked } = this.#core;
    if (locked !== null && this.#secrets.isKept(document.delivery)) return { outcome: 'locked', detail: locked };
    const attached = await this.#attachNamed(document);
    if (!Array.isArray(attached)) return attached;
    let secret: string | null;
    try {
      if (before && !sameFilter(before.document, document)) await this.#unparkAll();
      const wanted = this.#secrets.wanted(document.delivery);
      this.#core.tx(() => this.#commit(document, attached, wanted.sealed, request.paused ?? false));
      secret = wanted.plain;
    } finally {
      this.#core.readingHeld = false;
    }
    // A new target ends a failing and a disabling, a new secret that one could not be opened: what waited goes out.
    if (before && (!isSameTarget(before.document.delivery, document.delivery) || locked !== null)) {
      this.#leases.send(this.#core.tx(() => (this.#core.running ? this.#leases.resendAll() : [])));
    }
    const late = await this.#followPatterns(document);
    return late ?? { outcome: before ? 'replaced' : 'created', view: await view(), secret };
  }

  async #attachNamed(document: SubscriptionDocument): Promise<Attached[] | PutResult> {
    const named = document.topics.filter((topic) => !hasWildcard(topic));
    let attached: Attached[];
    try {
      attached = await this.#attaching.named(named, document.from);
    } catch (error) {
      return unavailable('A topic could not be reached; nothing was changed.', error, this.#core);
    }
    const refusal = attached.find((entry) => entry.result.outcome !== 'attached');
    if (!refusal) return attached;
    this.#core.tx(() => {
      for (const entry of attached) this.#core.sql.addDetachment(entry.attachment, entry.topic, this.#core.now());
    });
    return refused(refusal);
  }

  /** What a new configuration needs of the catalogue before it is a barrier; the rest goes on in the background. */
  async #followPatterns(document: SubscriptionDocument): Promise<PutResult | null> {
    try {
      await this.#core.inTime(this.mirror(), 'The catalogue');
      if (!document.topics.some(hasWildcard)) return null;
      for (let seen = 0; seen < ATTACH_AT_ONCE; seen += TOPICS_PAGE) {
        if (!(await this.#core.inTime(this.#attaching.followPatterns(), 'The catalogue'))) break;
      }
      return null;
    } catch (error) {
      if (!document.topics.some(hasWildcard)) return null;
      return unavailable('The patterns will be followed once the catalogue can be reached.', error, this.#core);
    }
  }

  /** A new filter counts from here on: what a parked lane has passed by the old one stays passed. */
  async #unparkAll(): Promise<void> {
    this.#core.readingHeld = true;
    // A log that can't be reached now takes part from where its lane parked.
    await inParallel([...this.liveLanes()], VIEW_CONCURRENCY, (lane) =>
      this.unpark(lane).catch((error: unknown) => this.#core.silence.failed(lane.id, error)),
    );
  }

  /** Takes a lane out of its park and moves it over what its filter let pass. @throws if the log fails */
  async unpark(lane: LaneRow): Promise<void> {
    const { parked } = lane;
    if (parked === null) return;
    const answer = await this.#core.ask(lane.topic, (log) => log.unpark(this.#core.ports.name, parked));
    this.#core.tx(() => {
      const now = this.#core.sql.lane(lane.id);
      if (!now || now.parked !== parked || now.status !== 'active') return;
      const next = Math.max(now.next, answer?.next ?? now.next);
      this.#core.sql.moveLane(lane.id, { filtered: next - now.next }, { next, parked: null });
    });
  }

  #commit(given: SubscriptionDocument, attached: Attached[], secret: string | null, pause: boolean): void {
    const { sql } = this.#core;
    const now = this.#core.now();
    const before = this.#core.present;
    const document = { ...given, delivery: withoutSecret(given.delivery) };
    const sameTarget = before !== null && isSameTarget(before.document.delivery, document.delivery);
    const base = before?.row ?? freshRow(this.#core.row, now);
    const text = JSON.stringify(document);
    const isAsBefore = text === base.document && secret === base.secret && (base.paused === 1 || !pause);
    this.#core.putRow({
      ...base,
      // One that can't be opened would go on to stand in the way; and a secret that is given holds at once, and alone.
      previous_secret: this.#core.locked === null && secret === base.secret ? base.previous_secret : null,
      document: text,
      version: base.version + (isAsBefore ? 0 : 1),
      target_version: base.target_version + (sameTarget ? 0 : 1),
      updated_at: isAsBefore ? base.updated_at : now,
      secret,
      ...(pause ? { paused: 1 } : {}),
      ordering: before ? base.ordering : document.ordering,
      ...(sameTarget ? {} : { disabled_reason: null, ...HEALTHY }),
      ...this.#consent.columns(before, document),
      mirror_version: base.mirror_version + 1,
      mirror_dirty: 1,
      attach_after: document.topics.some(hasWildcard) ? '' : null,
      patterns_since: JSON.stringify(patternsSince(document, before, now)),
    });
    // Who holds something by an ack id, or held it, and is this subscription's consumer no more can't settle it; and what
    // waits because that one did not take it need not wait for another.
    if (!sameTarget) {
      sql.freeHeld();
      sql.forgetTokens();
      sql.clampDue(now);
    }
    const { present } = this.#core;
    const [oldRate, newRate] = [before, present].map((state) => state && effectiveRate(state));
    this.#core.setRow({ rate_cursor: cursorOf(base.rate_cursor, oldRate ?? null, newRate ?? null) });
    for (const lane of this.liveLanes()) {
      const exact = document.topics.includes(lane.topic);
      if (!exact && !document.topics.some((pattern) => topicMatches(pattern, lane.topic))) this.#endLane(lane);
      else if (exact !== (lane.exact === 1)) {
        // The log has to know, too: it does not let go of a topic that is named.
        sql.setLane(lane.id, { exact: exact ? 1 : 0 });
        this.#attaching.again(lane);
      }
    }
    if (before && !sameFilter(before.document, document)) {
      for (const lane of this.liveLanes()) {
        for (const each of [lane, ...sql.activeReplays(lane.topic)])
          decideFrom(this.#core, each, before.document.filter, document.filter);
        if (lane.parked !== null) sql.setLane(lane.id, { parked: null });
      }
    }
    for (const entry of attached) this.#attaching.addLane(entry, document);
    this.#tellOf(before, document);
  }

  /** What a `PUT` did to the subscription; nothing where it changed nothing. Only inside `tx`. */
  #tellOf(before: Present | null, document: SubscriptionDocument): void {
    const subscription = this.#core.ports.name;
    const configured = { subscription, topics: document.topics };
    if (before === null) this.#notices.add('millrace.subscription.created', configured);
    else if (before.row.document !== JSON.stringify(document)) {
      this.#notices.add('millrace.subscription.updated', configured);
    }
    if (before && before.row.disabled_reason !== null && this.#core.row?.disabled_reason === null) {
      this.#notices.add('millrace.subscription.resumed', { subscription });
    }
  }

  /** A topic is not the subscription's any more: what was on its way is skipped, its letters stay. Only inside `tx`. */
  #endLane(lane: LaneRow): void {
    const { sql } = this.#core;
    const reopened = sql.reopenLetters(lane.topic, lane.id, this.#core.letterVersion());
    const skipped = this.#withdrawing.skipAll(lane, Number.MAX_SAFE_INTEGER, lane.held);
    sql.moveLane(lane.id, { skipped, dead: reopened }, { status: 'removed', parked: null, ended_at: this.#core.now() });
    sql.addDetachment(lane.attachment, lane.topic, this.#core.now());
    for (const replay of sql.activeReplays(lane.topic))
      this.#withdrawing.endReplay(replay, 'failed', 'The subscription no longer has the topic.');
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

  /** Writes the catalogue's row; false if it is as it should be. @throws if D1 fails */
  async mirror(): Promise<boolean> {
    const row = this.#core.row;
    if (!row?.mirror_dirty) return false;
    const document = this.#core.present?.document ?? null;
    await this.#core.ports.catalog.putSubscription({
      name: this.#core.ports.name,
      createdAt: row.created_at,
      version: row.mirror_version,
      deleted: document === null,
      patterns: document?.topics.filter(hasWildcard) ?? [],
      stalledAt: row.stalled_at,
      sealedUnder: document === null ? null : this.#core.safe.sealedUnder(this.#core.boxes),
    });
    this.#core.tx(() => {
      if (this.#core.row?.mirror_version === row.mirror_version) this.#core.setRow({ mirror_dirty: 0 });
    });
    return true;
  }

  /** Null if there is no subscription. */
  view(): ConfigurationView | null {
    const { present } = this.#core;
    const tag = etag(present);
    return present && tag !== null ? { document: present.document, etag: tag, paused: present.row.paused === 1 } : null;
  }

  pause(): void {
    this.#core.tx(() => {
      if (this.#core.present?.row.paused) return;
      this.#core.setRow({ paused: 1, updated_at: this.#core.now() });
      this.#notices.add('millrace.subscription.paused', { subscription: this.#core.ports.name });
    });
  }

  /** Ends a pause, a disabling and a failing. */
  resume(): void {
    this.#core.progressAt = this.#core.now();
    const leases = this.#core.tx(() => {
      // Whoever resumes one that was given up on says that it is well again.
      if (this.#core.row?.disabled_reason != null || this.#core.failing) this.#core.sql.clampDue(this.#core.now());
      if (!this.#core.enabled) {
        this.#notices.add('millrace.subscription.resumed', { subscription: this.#core.ports.name });
      }
      this.#core.setRow({ paused: 0, disabled_reason: null, ...HEALTHY, updated_at: this.#core.now() });
      this.#consent.askAgain();
      return this.#core.running ? this.#leases.resendAll() : [];
    });
    this.#leases.send(leases);
  }

  /** False if there is none. The letters stay, in D1 and as rows, for a subscription of the same name to come. */
  remove(): boolean {
    const row = this.#core.present?.row;
    if (!row) return false;
    this.#core.tx(() => {
      const { sql } = this.#core;
      for (const lane of this.liveLanes()) sql.addDetachment(lane.attachment, lane.topic, this.#core.now());
      sql.reopenAllLetters(this.#core.letterVersion());
      for (const lease of sql.leases()) this.#leases.drop(lease);
      sql.clear();
      this.#core.setRow({
        document: null,
        secret: null,
        previous_secret: null,
        mirror_version: row.mirror_version + 1,
        mirror_dirty: 1,
        stalled_at: null,
        attach_after: null,
        probe_at: null,
        ...NO_CONSENT,
      });
      this.#notices.add('millrace.subscription.deleted', { subscription: this.#core.ports.name });
    });
    return true;
  }
}

/** Of the configuration, without quotes: those are HTTP's. */
export function etag(present: Present | null): string | null {
  return present ? `${present.row.incarnation}-${present.row.version}` : null;
}

function sameFilter(a: SubscriptionDocument, b: SubscriptionDocument): boolean {
  return JSON.stringify(a.filter) === JSON.stringify(b.filter);
}

/** Since when each of a document's patterns has been one. */
function patternsSince(document: SubscriptionDocument, before: Present | null, now: number): Record<string, number> {
  const known = JSON.parse(before?.row.patterns_since ?? '{}') as Record<string, number>;
  const since: Record<string, number> = {};
  for (const pattern of document.topics.filter(hasWildcard)) {
    const sinceMaking = before?.document.topics.includes(pattern) ? before.row.created_at : now;
    since[pattern] = known[pattern] ?? sinceMaking;
  }
  return since;
}

function unavailable(detail: string, error: unknown, core: Core): PutResult {
  core.warn('a configuration had to wait', { error: String(error) });
  return { outcome: 'unavailable', detail };
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
