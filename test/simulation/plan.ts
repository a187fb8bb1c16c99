import type { DeliveryKind, Ordering, RateLimit, WebhookFormat } from '../../src/subscriptions/document.ts';
import { type NetworkFaults, NO_NETWORK_FAULTS } from './network.ts';
import type { SeededRandom } from './random.ts';
import { MANNERS } from './receivers.ts';

/** What a seed is about: drawn first, so that seeds differ in kind and not only in order. */
export interface Plan {
  topics: string[];
  subscriptions: string[];
  producers: number;
  /** Batches of each producer. */
  publishes: number;
  /** Changes made by whoever administers. */
  changes: number;
  /** How long clients rest between two calls, at most. */
  restMs: number;
  /** How long faults go on after the last call of a client. */
  lingerMs: number;
  faults: NetworkFaults;
  killChance: number;
  /** Milliseconds between two faults of a larger kind, at most; null: none. */
  faultEveryMs: number | null;
  /** What receivers may be like while faults are on. */
  manners: string[];
  /** The rate limits that subscriptions are given. */
  rates: (RateLimit | null)[];
  seeks: boolean;
  recreations: boolean;
  removals: boolean;
  clockJumps: boolean;
  changesOfFilter: boolean;
  /** Orderings that subscriptions are made with. */
  orderings: Ordering[];
  changesOfOrdering: boolean;
  formats: WebhookFormat[];
  replays: boolean;
  /** Filters in CEL and transforms, some of which fail on some events. */
  expressions: boolean;
  interventions: boolean;
  /** Every subscription asks its receiver for its consent. */
  handshakes: boolean;
  /** How subscriptions are to be delivered to. */
  kinds: DeliveryKind[];
  /** How many of a log's events wait until their identities and keys are put in order. */
  youngEventsMax: number;
}

const TOPICS = ['orders', 'billing.a', 'billing.b', 'late.x'];

/** None so low that a seed's events could not all be sent in time. */
const RATES: RateLimit[] = [
  { count: 1, spanMs: 1_000 },
  { count: 5, spanMs: 1_000 },
  { count: 50, spanMs: 1_000 },
  { count: 120, spanMs: 60_000 },
];

const KINDS: DeliveryKind[][] = [
  ['webhook'],
  ['webhook'],
  ['pull'],
  ['service'],
  ['queue'],
  ['webhook', 'pull'],
  ['webhook', 'service', 'queue', 'pull'],
];

export function drawPlan(random: SeededRandom): Plan {
  const calm = random.chance(0.1);
  const faults = (): NetworkFaults => ({
    callLost: random.pick([0, 0, 0.01, 0.05]),
    answerLost: random.pick([0, 0, 0.01, 0.05]),
    messageRefused: random.pick([0, 0, 0.05]),
    messageLost: random.pick([0, 0, 0.1, 0.3]),
    messageRepeated: random.pick([0, 0, 0.2]),
    messageDelayed: random.pick([0, 0, 0.1]),
    d1Before: random.pick([0, 0, 0.1]),
    d1After: random.pick([0, 0, 0.1]),
  });
  return {
    topics: TOPICS.slice(0, random.between(1, TOPICS.length)),
    subscriptions: ['s1', 's2', 's3'].slice(0, random.between(1, 3)),
    producers: random.between(1, 3),
    publishes: random.between(2, 8),
    changes: random.between(2, 16),
    restMs: random.pick([50, 1_000, 10_000]),
    lingerMs: random.pick([0, 0, 20_000, 60_000]),
    faults: calm ? NO_NETWORK_FAULTS : faults(),
    killChance: calm ? 0 : random.pick([0, 0, 0.002, 0.01, 0.03]),
    faultEveryMs: calm ? null : random.pick([500, 5_000, 20_000]),
    manners: random.pick([['healthy'], ['healthy', 'failing'], Object.keys(MANNERS), Object.keys(MANNERS)]),
    rates: random.chance(0.6)
      ? [null]
      : random.chance(0.7)
        ? [random.pick(RATES)]
        : [null, random.pick(RATES), random.pick(RATES)],
    seeks: random.chance(0.25),
    recreations: random.chance(0.2),
    removals: random.chance(0.1),
    clockJumps: random.chance(0.15),
    changesOfFilter: random.chance(0.3),
    orderings: random.pick([['none'], ['key'], ['key'], ['topic'], ['none', 'key', 'topic']]),
    changesOfOrdering: random.chance(0.25),
    formats: random.pick([['structured'], ['structured'], ['batch'], ['structured', 'batch']]),
    replays: random.chance(0.4),
    interventions: random.chance(0.5),
    youngEventsMax: random.pick([1, 3, 8, 1_000]),
    expressions: random.chance(0.4),
    handshakes: random.chance(0.2),
    kinds: random.pick(KINDS),
  };
}
