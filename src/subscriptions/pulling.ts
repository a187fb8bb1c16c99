import { patternCovers } from '../events/names.ts';
import { settledWithin } from '../topics/timeout.ts';
import type { Claiming, Wanted } from './claiming.ts';
import type { Configuration } from './configuration.ts';
import type { Core } from './core.ts';
import type { SubscriptionDocument } from './document.ts';
import type { Lanes } from './lanes.ts';
import {
  LEASE_BYTES_MAX,
  LOG_LATE_MS,
  PULL_GATHER_MS,
  PULL_LOOK_MAX_MS,
  PULL_TRANSFORMED_MAX,
  PULLERS_MAX,
  VIEW_CONCURRENCY,
} from './limits.ts';
import { packed } from './packed-deliveries.ts';
import { inParallel } from './parallel.ts';
import type { PulledDelivery, PullRequest, PullResult } from './protocol-acks.ts';
import type { LaneRow } from './rows.ts';

/** How long deliveries are held, and how they are given out. */
type Terms = Pick<Extract<PullResult, { outcome: 'pulled' }>, 'ackDeadlineMs' | 'target'>;

/** Somebody who waits. */
interface Puller {
  wanted: Wanted;
  mayRead: string[] | null;
  deliveries: PulledDelivery[];
  /** As the configuration had them when something was handed out last: it may have changed while he waited. */
  terms: Terms;
  /** It has a delivery, or will have none. */
  first: PromiseWithResolvers<void>;
}

/** Leases of one lane on their way to somebody. */
interface Handing {
  leases: number[];
  /** Their log takes its time: others are leased in their stead. */
  late: boolean;
}

interface PullingParts {
  claiming: Claiming;
  lanes: Lanes;
  configuration: Configuration;
}

/**
 * Those who pull, in the order in which they came. Lanes lease what they ask for and no more, and each lease is handed to who
 * has waited longest; what nobody asks for stays in the logs. Only memory: whoever waits asks again.
 */
export class Pulling {
  readonly #core: Core;
  readonly #claiming: Claiming;
  readonly #lanes: Lanes;
  readonly #configuration: Configuration;
  readonly #pullers = new Map<string, Puller>();
  /** By lane, so that one whose log does not answer holds up nothing of others. */
  readonly #handing = new Map<number, Handing>();
  /** Those who want to know when nothing more is on its way. */
  readonly #resting: (() => void)[] = [];

  constructor(core: Core, { claiming, lanes, configuration }: PullingParts) {
    this.#core = core;
    this.#claiming = claiming;
    this.#lanes = lanes;
    this.#configuration = configuration;
  }

  /** Hands out what there is; waits for the first delivery if there is none. @throws only if storage fails */
  async pull({ puller: name, max, waitMs, mayRead }: PullRequest): Promise<PullResult> {
    const terms = this.#termsFor(mayRead);
    if ('outcome' in terms) return terms;
    const events = terms.target.transform?.data == null ? max : Math.min(max, PULL_TRANSFORMED_MAX);
    const puller: Puller = {
      wanted: { events, bytes: LEASE_BYTES_MAX, isFirst: true },
      mayRead,
      deliveries: [],
      terms,
      first: Promise.withResolvers(),
    };
    const waits = waitMs > 0 && this.#pullers.size < PULLERS_MAX;
    this.#pullers.set(name, puller);
    this.#count();
    try {
      this.#start();
      await this.#wait(puller, waits ? waitMs : 0);
    } finally {
      this.#leave(name);
    }
    if (puller.deliveries.length === 0) {
      // He waited in vain: it may have been deleted or changed meanwhile.
      const now = this.#termsFor(mayRead);
      if ('outcome' in now) return now;
    }
    return { outcome: 'pulled', deliveries: packed(puller.deliveries), ...puller.terms };
  }

  /** How deliveries are given out to who may read this, or why they are not. */
  #termsFor(mayRead: readonly string[] | null): Terms | Exclude<PullResult, { outcome: 'pulled' }> {
    const { present } = this.#core;
    if (present === null) return { outcome: 'unknown-subscription' };
    const { topics, delivery } = present.document;
    const terms = termsOf(present.document);
    if (terms === null) return { outcome: 'not-pulled', kind: delivery.kind };
    return this.#mayHave(mayRead) ? terms : { outcome: 'unreadable', topics };
  }

  async #wait(puller: Puller, waitMs: number): Promise<void> {
    const { clock } = this.#core.ports;
    const { promise } = puller.first;
    if (waitMs > 0) await settledWithin(clock, promise, waitMs);
    else await settledWithin(clock, Promise.race([promise, this.#nothingMore()]), PULL_LOOK_MAX_MS);
    if (puller.deliveries.length > 0 && puller.wanted.events > 0)
      await settledWithin(clock, this.#atRest(), PULL_GATHER_MS);
  }

  /** Who waited under this name is gone: what comes is for others. */
  hangUp(name: string): void {
    const puller = this.#pullers.get(name);
    this.#leave(name);
    puller?.first.resolve();
  }

  /** Nobody is to wait any more for what will not come: it is gone, of another kind, or has topics that he may not read. */
  answerInVain(): void {
    const { isPulled } = this.#core;
    for (const [name, { first, mayRead }] of this.#pullers) {
      if (isPulled && this.#mayHave(mayRead)) continue;
      this.#leave(name);
      first.resolve();
    }
  }

  /** May whatever the subscription has be handed out to who may read this? */
  #mayHave(mayRead: readonly string[] | null): boolean {
    const topics = this.#core.present?.document.topics ?? [];
    return mayRead === null || topics.every((topic) => mayRead.some((pattern) => patternCovers(pattern, topic)));
  }

  #start(): void {
    // What was leased for somebody who is gone comes first.
    const { sql } = this.#core;
    const left = sql.unclaimed() === 0 ? [] : sql.leases().flatMap(({ id, token }) => (token === null ? [id] : []));
    if (left.length > 0) this.offer(left);
    this.#lanes.pump();
    // While somebody waits, what is due is due to somebody.
    this.#core.arm();
  }

  /** From here on it gets nothing more. */
  #leave(name: string): void {
    this.#pullers.delete(name);
    this.#count();
  }

  #count(): void {
    const wanted = [...this.#pullers.values()].reduce((sum, puller) => sum + puller.wanted.events, 0);
    const late = [...this.#handing.values()].flatMap((handing) => (handing.late ? handing.leases : []));
    const inTheirStead = late.reduce((sum, id) => sum + (this.#core.sql.lease(id)?.count ?? 0), 0);
    this.#core.asked = wanted === 0 ? 0 : wanted + inTheirStead;
    this.#core.askedNext = this.#next?.wanted.events ?? 0;
  }

  /** Gives leases to those who wait, as far as they want them; the rest waits for the next who asks. */
  offer(made: readonly number[]): void {
    if (this.#pullers.size === 0) return;
    for (const id of made) {
      const lane = this.#core.sql.lease(id)?.lane;
      if (lane === undefined) continue;
      const present = this.#handing.get(lane);
      if (present !== undefined) {
        if (!present.leases.includes(id)) present.leases.push(id);
        continue;
      }
      const handing = { leases: [id], late: false };
      this.#handing.set(lane, handing);
      this.#core.ports.background(this.#handOut(lane, handing));
    }
  }

  /** Never throws: a lease that could not be handed out is offered again. */
  async #handOut(lane: number, handing: Handing): Promise<void> {
    // More may have been offered, or asked for, since the last was handed out.
    while (handing.leases.length > 0 && this.#next !== undefined) {
      const handed = this.#hand(handing.leases).catch((error) => {
        handing.leases = [];
        this.#core.warn('a lease could not be handed out', { error: String(error) });
      });
      if (await settledWithin(this.#core.ports.clock, handed, LOG_LATE_MS)) continue;
      handing.late = true;
      this.#core.silence.late(lane);
      this.#count();
      this.#lanes.pump();
      await handed;
    }
    this.#handing.delete(lane);
    this.#count();
    for (const { deliveries, first } of this.#pullers.values()) if (deliveries.length > 0) first.resolve();
    this.#lanes.pump();
    this.tellWhoRests();
  }

  async #hand(leases: number[]): Promise<void> {
    for (let [id] = leases; id !== undefined && this.#next !== undefined; [id] = leases) {
      let first: Puller | undefined;
      const left = await this.#claiming.hold(
        id,
        () => {
          first = this.#next;
          return first?.wanted ?? null;
        },
        (deliveries) => first && this.#give(first, deliveries),
      );
      // Nothing more fits into what he gets.
      if (left[0] === id && first !== undefined) {
        first.wanted = { ...first.wanted, events: 0 };
        this.#count();
      }
      leases.splice(0, 1, ...left);
    }
  }

  /** Who has waited longest and wants more. The topics may have changed a moment ago. */
  get #next(): Puller | undefined {
    return [...this.#pullers.values()].find(({ wanted, mayRead }) => wanted.events > 0 && this.#mayHave(mayRead));
  }

  #give(puller: Puller, deliveries: PulledDelivery[]): void {
    puller.deliveries.push(...deliveries);
    puller.terms = termsOf(this.#core.document) ?? puller.terms;
    const bytes = puller.wanted.bytes - deliveries.reduce((sum, { json }) => sum + json.length, 0);
    const events = puller.wanted.events - deliveries.length;
    puller.wanted = { events, bytes, isFirst: puller.deliveries.length === 0 };
    this.#count();
  }

  /** Resolves when all is handed out that is there. A parked lane may not have been told yet of what its log has. */
  async #nothingMore(): Promise<void> {
    await this.#atRest();
    const parked = [...this.#configuration.liveLanes()].filter((lane) => lane.parked !== null);
    const owed = await inParallel(parked, VIEW_CONCURRENCY, (lane) => this.#takeOutIfOwed(lane));
    if (!owed.includes(true)) return;
    this.#lanes.pump();
    await this.#atRest();
  }

  /** Takes a lane out of its park if its log has something for it: true if it has. */
  async #takeOutIfOwed({ id, topic, parked }: LaneRow): Promise<boolean> {
    const { name } = this.#core.ports;
    try {
      const standing = await this.#core.ask(topic, (log) => log.standing(name));
      const isAsleep = standing.parked?.ticket === parked && standing.parked?.owed === null;
      if (isAsleep || this.#core.sql.lane(id)?.parked !== parked) return false;
      this.#core.tx(() => this.#core.sql.setLane(id, { parked: null }));
      return true;
    } catch (error) {
      this.#core.silence.failed(id, error);
      return false;
    }
  }

  #atRest(): Promise<void> {
    return new Promise((resolve) => {
      this.#resting.push(resolve);
      this.tellWhoRests();
    });
  }

  /** Those who want to know when nothing more is on its way, if that is so. */
  tellWhoRests(): void {
    if (this.#handing.size > 0 || !this.#lanes.areAtRest) return;
    for (const tell of this.#resting.splice(0)) tell();
  }
}

/** Null: it is not pulled. */
function termsOf({ delivery, transform }: SubscriptionDocument): Terms | null {
  if (delivery.kind !== 'pull') return null;
  return { ackDeadlineMs: delivery.ackDeadlineMs, target: { kind: 'pull', transform } };
}
