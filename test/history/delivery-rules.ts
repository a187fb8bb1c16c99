import { noteValue, type Values } from './log-rules.ts';
import {
  type Configure,
  type Counters,
  type Delivery,
  type FinalLetter,
  type FinalSubscription,
  type Intervene,
  type Look,
  matchesType,
  type Publish,
  type ReplayLook,
  type Violation,
} from './operations.ts';

export interface DeliveryOperations {
  publishes: Publish[];
  deliveries: Delivery[];
  configures: Configure[];
  interventions: Intervene[];
  looks: Look[];
  replays: ReplayLook[];
}

/** What the receivers saw: the log's own events, under one `webhook-id` each, of types that the subscription was ever to have. */
export function checkDeliveries(
  operations: DeliveryOperations,
  values: Values,
  removed: ReadonlySet<string>,
  violations: Violation[],
): void {
  const ids = new Map<string, string>();
  const owners = new Map<string, string>();
  for (const delivery of operations.deliveries) {
    const log = values.get(delivery.topic) ?? new Map();
    values.set(delivery.topic, log);
    if (!log.has(delivery.event.sequence) && !removed.has(delivery.topic)) {
      violations.push({
        rule: 'delivered-read',
        detail: `${delivery.topic} ${delivery.event.sequence} was delivered and nobody ever read it`,
      });
    }
    noteValue(delivery.topic, log, delivery.event, 'a delivery', violations);

    const members = delivery.members ?? [delivery.event.sequence];
    const owner = `${delivery.subscription} ${delivery.topic} ${members.join()}`;
    const id = ids.get(owner) ?? delivery.webhookId;
    ids.set(owner, id);
    if (id !== delivery.webhookId || (owners.get(delivery.webhookId) ?? owner) !== owner) {
      violations.push({ rule: 'webhook-id', detail: `${owner} went out as ${id} and as ${delivery.webhookId}` });
    }
    owners.set(delivery.webhookId, owner);

    const filters = filtersBefore(operations.configures, delivery.subscription, delivery.end);
    if (filters.length > 0 && !filters.some((types) => matchesType(types, delivery.event.type))) {
      violations.push({ rule: 'filtered', detail: `${owner} of type ${delivery.event.type} was delivered` });
    }
  }
}

/** Every filter the subscription may have had by then. */
function filtersBefore(configures: Configure[], subscription: string, by: number): string[][] {
  return configures
    .filter(
      (configure) =>
        configure.subscription === subscription &&
        configure.action === 'put' &&
        configure.outcome !== 'failure' &&
        configure.start <= by,
    )
    .map((configure) => configure.types);
}

/** The looks at a subscription: sums that come out, cursors that neither go back nor pass what is not settled. */
export function checkLooks(operations: DeliveryOperations, letters: FinalLetter[], violations: Violation[]): void {
  const bySubscription = Map.groupBy(operations.looks, (look) => look.subscription);
  const settled = settledFrom(operations.deliveries, letters);
  const types = typesBySequence(operations.publishes);
  for (const [subscription, looks] of bySubscription) {
    // What starts the counting or the cursor anew, or puts a settled event back.
    const breaks = [
      ...operations.configures.filter((configure) => configure.action !== 'pause' && configure.action !== 'resume'),
      ...operations.interventions.filter((intervention) => intervention.action === 'redrive'),
    ].filter((operation) => operation.subscription === subscription);
    checkCursors(subscription, looks, breaks, violations);
    for (const look of looks) {
      checkSum(look, operations.publishes, violations);
      checkSettledBelow(look, operations.configures, { settled, types }, violations);
    }
  }
}

function checkCursors(
  subscription: string,
  looks: Look[],
  breaks: (Configure | Intervene)[],
  violations: Violation[],
): void {
  const sorted = looks.filter((look) => look.cursor !== null).sort((a, b) => a.start - b.start);
  sorted.forEach((look, index) => {
    const before = sorted[index - 1];
    if (before?.cursor === null || before?.cursor === undefined || look.cursor === null || before.end > look.start) {
      return;
    }
    const broken = breaks.some((operation) => operation.start < look.end && operation.end > before.start);
    if (!broken && look.cursor.topic === before.cursor.topic && look.cursor.sequence < before.cursor.sequence) {
      violations.push({
        rule: 'cursor',
        detail: `the cursor of ${subscription} went from ${before.cursor.sequence} back to ${look.cursor.sequence}`,
      });
    }
  });
}

export function sumOf(counters: Counters): number {
  const { delivered, dead, pending, waiting, filtered, skipped, discarded } = counters;
  return delivered + dead + pending + waiting + filtered + skipped + discarded;
}

/** The counters sum up to the sequences since the start: no fewer than were acknowledged before, no more than were attempted. */
function checkSum(look: Look, publishes: Publish[], violations: Violation[]): void {
  if (look.bases === null) {
    return;
  }
  let least = 0;
  let most = 0;
  for (const [topic, base] of Object.entries(look.bases)) {
    const acknowledged = publishes
      .filter((publish) => publish.topic === topic && publish.outcome === 'success' && publish.end < look.start)
      .flatMap((publish) => publish.receipts.map((receipt) => receipt.sequence));
    const attempted = new Set(
      publishes
        .filter((publish) => publish.topic === topic && publish.outcome !== 'failure' && publish.start <= look.end)
        .flatMap((publish) => publish.events.map((event) => event.identity)),
    );
    least += Math.max(0, Math.max(0, ...acknowledged) - base);
    most += Math.max(0, attempted.size - base);
  }
  const sum = sumOf(look.counters);
  if (sum < least || sum > most) {
    violations.push({
      rule: 'sum',
      detail: `${look.subscription} sums up to ${sum} where there are ${least} to ${most}: ${JSON.stringify(look.counters)}`,
    });
  }
}

const eventOf = (subscription: string, topic: string, sequence: number) => `${subscription} ${topic} ${sequence}`;

/** From when on each event may be settled at each subscription: its first request that was not refused, or any time if it died. */
function settledFrom(deliveries: Delivery[], letters: FinalLetter[]): Map<string, number> {
  const from = new Map<string, number>();
  for (const { subscription, topic, event, outcome, start } of deliveries) {
    const key = eventOf(subscription, topic, event.sequence);
    if (outcome !== 'failure') from.set(key, Math.min(start, from.get(key) ?? start));
  }
  for (const { subscription, topic, sequence } of letters) {
    from.set(eventOf(subscription, topic, sequence), Number.NEGATIVE_INFINITY);
  }
  return from;
}

function checkSettledBelow(
  look: Look,
  configures: Configure[],
  known: { settled: ReadonlyMap<string, number>; types: ReadonlyMap<string, ReadonlyMap<number, string>> },
  violations: Violation[],
): void {
  const { cursor } = look;
  if (cursor === null || look.bases?.[cursor.topic] === undefined) {
    return;
  }
  const filters = filtersBefore(configures, look.subscription, look.end);
  const types = known.types.get(cursor.topic);
  for (let sequence = look.bases[cursor.topic] ?? 0; sequence < cursor.sequence; ) {
    sequence += 1;
    const type = types?.get(sequence);
    const wanted = type !== undefined && filters.length > 0 && filters.every((filter) => matchesType(filter, type));
    const settledAt = known.settled.get(eventOf(look.subscription, cursor.topic, sequence));
    if (wanted && (settledAt === undefined || settledAt > look.end)) {
      violations.push({
        rule: 'cursor',
        detail: `the cursor of ${look.subscription} is ${cursor.sequence}, and ${cursor.topic} ${sequence} was not settled`,
      });
    }
  }
}

/** The type of each event that was acknowledged, by topic. */
function typesBySequence(publishes: Publish[]): Map<string, Map<number, string>> {
  const topics = new Map<string, Map<number, string>>();
  for (const { topic, receipts, events } of publishes) {
    const types = topics.get(topic) ?? new Map<number, string>();
    topics.set(topic, types);
    receipts.forEach(({ sequence }, index) => {
      const event = events[index];
      if (event !== undefined) types.set(sequence, event.type);
    });
  }
  return topics;
}

/** A replay's sums come out whenever it is looked at, and a done one has reached the receiver with all it counts as delivered. */
export function checkReplays(operations: DeliveryOperations, violations: Violation[]): void {
  for (const replay of operations.replays) {
    const sum = replay.delivered + replay.failed + replay.filtered + replay.remaining;
    if (sum !== replay.total || replay.total !== replay.to - replay.from + 1) {
      violations.push({ rule: 'replay-sum', detail: `replay ${JSON.stringify(replay)}` });
    }
    if (replay.status === 'done' && replay.remaining !== 0) {
      violations.push({ rule: 'replay-sum', detail: `replay ${replay.id} is done with ${replay.remaining} remaining` });
    }
    const accepted = new Set<number>();
    for (const delivery of operations.deliveries) {
      if (delivery.replay === replay.id && delivery.outcome !== 'failure' && delivery.start <= replay.end) {
        accepted.add(delivery.event.sequence);
      }
    }
    if (replay.delivered > accepted.size) {
      violations.push({
        rule: 'replay-books',
        detail: `replay ${replay.id} counts ${replay.delivered} delivered, the receiver has taken ${accepted.size}`,
      });
    }
    const outside = [...accepted].filter((sequence) => sequence < replay.from || sequence > replay.to);
    if (outside.length > 0) {
      violations.push({ rule: 'replay-range', detail: `replay ${replay.id} delivered ${outside.join(', ')}` });
    }
  }
}

/** At the end every event is exactly one of delivered, dead, …; the counters, the receivers' books and D1 say the same. */
export function checkFinal(
  subscription: FinalSubscription,
  operations: DeliveryOperations,
  letters: FinalLetter[],
  values: Values,
  violations: Violation[],
): void {
  const { name } = subscription;
  const filters = filtersBefore(operations.configures, name, Number.POSITIVE_INFINITY);
  const counted: Counters = { delivered: 0, dead: 0, pending: 0, waiting: 0, filtered: 0, skipped: 0, discarded: 0 };
  const seen = new Set<string>();
  for (const { topic, sequence, fate } of subscription.fates) {
    const what = `${name} ${topic} ${sequence}`;
    const type = values.get(topic)?.get(sequence)?.type;
    if (seen.has(what)) {
      violations.push({ rule: 'one-fate', detail: `${what} has two fates` });
    }
    seen.add(what);
    counted[fate] += 1;
    const accepted = operations.deliveries.some(
      (delivery) =>
        delivery.subscription === name &&
        delivery.topic === topic &&
        delivery.event.sequence === sequence &&
        delivery.outcome !== 'failure' &&
        delivery.replay === null &&
        delivery.end >= lastStart(operations.configures, name, topic),
    );
    const open = letters.some(
      (letter) =>
        letter.subscription === name &&
        letter.topic === topic &&
        letter.sequence === sequence &&
        letter.state === 'open',
    );
    if (fate === 'delivered' && !accepted) {
      violations.push({ rule: 'books', detail: `${what} counts as delivered and its receiver never took it` });
    }
    if (fate === 'dead' && !open) {
      violations.push({ rule: 'letters', detail: `${what} is dead and D1 has no open letter` });
    }
    if (subscription.exact && fate !== 'dead' && open) {
      violations.push({ rule: 'letters', detail: `${what} is ${fate} and D1 has an open letter` });
    }
    if (fate === 'filtered' && type !== undefined && filters.every((filter) => matchesType(filter, type))) {
      violations.push({ rule: 'filtered', detail: `${what} of type ${type} counts as filtered` });
    }
    if (fate === 'pending' && subscription.running) {
      violations.push({ rule: 'drained', detail: `${what} is still pending` });
    }
  }
  checkFinalCounters(subscription, counted, violations);
}

function checkFinalCounters(subscription: FinalSubscription, counted: Counters, violations: Violation[]): void {
  const { name, counters, running, lag, sequences } = subscription;
  if (sequences !== null && sumOf(counters) !== sequences) {
    violations.push({
      rule: 'sum',
      detail: `${name} sums up to ${sumOf(counters)} where there are ${sequences}: ${JSON.stringify(counters)}`,
    });
  }
  if (running && (counters.pending > 0 || counters.waiting > 0 || lag > 0)) {
    violations.push({
      rule: 'drained',
      detail: `${name} has ${counters.pending} pending, ${counters.waiting} waiting and a lag of ${lag}`,
    });
  }
  if (!subscription.exact) {
    return;
  }
  // What waits unexamined counts as waiting, though of a single event it can be said that it will be filtered.
  const open = counted.pending + counted.filtered;
  if (open !== counters.pending + counters.waiting + counters.filtered || counted.filtered < counters.filtered) {
    violations.push({
      rule: 'counters',
      detail: `${name} counts ${counters.pending} pending, ${counters.waiting} waiting and ${counters.filtered} filtered, of the single events ${counted.pending} are pending and ${counted.filtered} filtered`,
    });
  }
  for (const fate of ['delivered', 'dead', 'skipped', 'discarded'] as const) {
    if (counted[fate] !== counters[fate]) {
      violations.push({
        rule: 'counters',
        detail: `${name} counts ${counters[fate]} ${fate}, of the single events ${counted[fate]} are`,
      });
    }
  }
}

/** When the last successful making anew or seek began: what was accepted before does not count. */
function lastStart(configures: Configure[], subscription: string, topic: string): number {
  const own = configures.filter(
    (configure) => configure.subscription === subscription && configure.outcome === 'success',
  );
  const deletion = Math.max(
    Number.NEGATIVE_INFINITY,
    ...own.filter((configure) => configure.action === 'delete').map((configure) => configure.end),
  );
  const seek = Math.max(
    Number.NEGATIVE_INFINITY,
    ...own
      .filter((configure) => configure.action === 'seek' && (configure.topic ?? topic) === topic)
      .map((configure) => configure.start),
  );
  return Math.max(deletion, seek);
}
