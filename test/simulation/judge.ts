import { DeadLetters, letterState } from '../../src/dead-letters/letters.ts';
import type { DeliveryStatus } from '../../src/subscriptions/protocol-views.ts';
import { check } from '../history/checker.ts';
import type { Fate, FinalLetter, FinalSubscription, History, SeenEvent, Violation } from '../history/operations.ts';
import { checkRates } from '../history/rate-rules.ts';
import type { Administrator, Asked } from './administrator.ts';
import type { Plan } from './plan.ts';
import { contentOf, dataOf, readOnce } from './readers.ts';
import type { Recorder } from './recorder.ts';
import type { World } from './world.ts';

/** A changed rate binds everybody by then: consumers whose claim is not renewed start nothing more after 15 s. */
const CHANGE_GRACE_MS = 40_000;

const FATES: Record<DeliveryStatus, Fate | null> = {
  pending: 'pending',
  held: 'pending',
  delivering: 'pending',
  retrying: 'pending',
  delivered: 'delivered',
  dead: 'dead',
  filtered: 'filtered',
  skipped: 'skipped',
  discarded: 'discarded',
  'not-subscribed': null,
};

/** An event as it was read at the end, whole. */
type ReadEvent = SeenEvent & { json: string };
type Values = Map<string, Map<number, ReadEvent>>;

/** Looks at everything once more, with nothing failing any more, and judges the whole history. */
export async function judge(
  world: World,
  plan: Plan,
  administrator: Administrator,
  recorder: Recorder,
): Promise<Violation[]> {
  world.network.instant = true;
  const violations: Violation[] = [];
  const values: Values = new Map();
  for (const topic of plan.topics) {
    values.set(topic, await readAll(world, recorder, topic));
  }
  for (const replay of administrator.replays) {
    const status = await administrator.lookAtReplay(replay);
    const paused = await world.subscription(world.outsider('judge'), replay.subscription).describe();
    if (status === 'running' && paused?.status === 'active') {
      violations.push({ rule: 'drained', detail: `replay ${replay.id} still runs` });
    }
  }
  const subscriptions: FinalSubscription[] = [];
  for (const name of plan.subscriptions) {
    await administrator.look(name);
    const final = await finalOf(world, plan, administrator, name, values, recorder, violations);
    if (final !== null) {
      subscriptions.push(final);
    }
  }
  const letters = await allLetters(world);
  checkLetterRows(world, letters, violations);
  const forward = world.scheduler.jumps.filter(({ ms }) => ms > 0).map(({ at }) => at);
  // Without its clock a consumer notices late that nobody renews its claim.
  const graceMs = plan.clockJumps ? 2 * CHANGE_GRACE_MS : CHANGE_GRACE_MS;
  checkRates(world.receivers.starts, administrator.rateChanges, { graceMs, breaks: forward }, violations);
  for (const host of plan.handshakes ? world.receivers.unasked : []) {
    violations.push({ rule: 'consent', detail: `${host} was sent something before it had consented to anything` });
  }
  const operations = [
    ...recorder.operations,
    ...world.receivers.books.map((book) => ({
      ...book,
      event: { ...book.event, content: dataOf(book.event.content) },
    })),
  ];
  const history: History = { operations, final: { subscriptions, letters } };
  return [...violations, ...check(history)];
}

async function readAll(world: World, recorder: Recorder, topic: string): Promise<Map<number, ReadEvent>> {
  const log = new Map<number, ReadEvent>();
  const party = world.outsider('judge');
  const described = await world.topicLog(party, topic).describe();
  for (let after: number | null = (described?.firstSequence ?? 1) - 1; described !== null && after !== null; ) {
    const page: Awaited<ReturnType<typeof readOnce>> = await readOnce(world, party, recorder, {
      topic,
      after,
      types: [],
      waitMs: 0,
      limit: 100,
    });
    for (const event of page?.events ?? []) {
      log.set(event.sequence, { ...contentOf(event.json), json: event.json });
    }
    after = page?.next ?? null;
  }
  return log;
}

async function finalOf(
  world: World,
  plan: Plan,
  administrator: Administrator,
  name: string,
  values: Values,
  recorder: Recorder,
  violations: Violation[],
): Promise<FinalSubscription | null> {
  const party = world.outsider('judge');
  const subscription = world.subscription(party, name);
  const view = await subscription.describe();
  if (view === null) {
    return null;
  }
  const { sql } = world.subscriptionHost(name).storage;
  const lanes = sql
    .exec<{ topic: string; start: number }>(
      "SELECT topic, start FROM lanes WHERE replay IS NULL AND status IN ('active', 'attaching')",
    )
    .toArray();
  checkLanes(plan, view.document.topics, lanes, values, name, violations);
  checkBarrier(lanes, plan, administrator.asked.get(name), name, recorder, violations);
  const fates: FinalSubscription['fates'] = [];
  for (const lane of lanes) {
    for (const event of values.get(lane.topic)?.values() ?? []) {
      if (event.sequence < lane.start) {
        continue;
      }
      const { status } = await subscription.delivery(lane.topic, event.sequence, event.json);
      const fate = FATES[status];
      if (fate === null) {
        violations.push({ rule: 'one-fate', detail: `${name} says ${lane.topic} ${event.sequence} is ${status}` });
      } else {
        fates.push({ topic: lane.topic, sequence: event.sequence, fate });
      }
    }
  }
  const asked = administrator.asked.get(name);
  const { delivered, dead, pending, waiting, filtered, skipped, discarded, lag } = view;
  const sameTopics = new Set(asked?.documents.map((document) => JSON.stringify(document.topics))).size === 1;
  return {
    name,
    running: view.status === 'active',
    exact: sameTopics && !asked?.sought && !asked?.replayed && !asked?.deleted && !plan.removals,
    counters: { delivered, dead, pending, waiting, filtered, skipped, discarded },
    lag,
    sequences: await sequencesOf(world, name, administrator),
    fates,
  };
}

/**
 * No lane leaves out what was acknowledged after the subscription was made, whatever its position. A pattern tells after
 * from before by the times that events were recorded at, which say so only while clocks don't jump.
 */
function checkBarrier(
  lanes: { topic: string; start: number }[],
  plan: Plan,
  asked: Asked | undefined,
  name: string,
  recorder: Recorder,
  violations: Violation[],
): void {
  const topicSets = new Set(asked?.documents.map((document) => JSON.stringify(document.topics)));
  if (asked === undefined || asked.sought || asked.deleted || plan.removals || plan.clockJumps || topicSets.size > 1) {
    return;
  }
  const made = recorder.operations.find(
    (operation) =>
      operation.kind === 'configure' &&
      operation.subscription === name &&
      operation.action === 'put' &&
      operation.outcome === 'success',
  );
  for (const operation of made === undefined ? [] : recorder.operations) {
    if (operation.kind !== 'publish' || operation.start <= (made?.end ?? 0)) {
      continue;
    }
    const start = lanes.find((lane) => lane.topic === operation.topic)?.start ?? 0;
    const left = operation.receipts.find((receipt) => !receipt.duplicate && receipt.sequence < start);
    if (left !== undefined) {
      violations.push({ rule: 'barrier', detail: `${name} begins ${operation.topic} after ${left.sequence}` });
    }
  }
}

/**
 * How many sequences the subscription's books have to be about, by its logs: a topic's since its lane began, up to where it
 * was given up. Null where a seek's answer was lost, or a topic that was sought may have come anew since.
 */
async function sequencesOf(world: World, name: string, administrator: Administrator): Promise<number | null> {
  const asked = administrator.asked.get(name);
  const topicSets = new Set(asked?.documents.map((document) => JSON.stringify(document.topics)));
  const skipped = asked?.skipped ?? null;
  if (skipped === null || (skipped.size > 0 && topicSets.size > 1)) {
    return null;
  }
  const lanes = world
    .subscriptionHost(name)
    .storage.sql.exec<{ topic: string; status: string; start: number; next: number }>(
      "SELECT topic, status, start, next FROM lanes WHERE replay IS NULL AND status IN ('active', 'attaching', 'removed')",
    )
    .toArray();
  let sequences = 0;
  for (const { topic, status, start, next } of lanes) {
    const { lastSequence } = await world.topicLog(world.outsider('judge'), topic).standing(name);
    const last = status === 'removed' ? next - 1 : lastSequence;
    sequences += last - (start - 1) + (skipped.get(topic) ?? 0);
  }
  return sequences;
}

/** Every topic that the subscription names or matches has its lane. */
function checkLanes(
  plan: Plan,
  patterns: string[],
  lanes: { topic: string }[],
  values: Values,
  name: string,
  violations: Violation[],
): void {
  const matches = (topic: string) =>
    patterns.some(
      (pattern) =>
        pattern === topic || pattern === '>' || (pattern.endsWith('.*') && topic.startsWith(pattern.slice(0, -1))),
    );
  for (const topic of plan.topics) {
    const exists = (values.get(topic)?.size ?? 0) > 0;
    if (exists && matches(topic) && !lanes.some((lane) => lane.topic === topic)) {
      violations.push({ rule: 'attached', detail: `${name} has no lane in ${topic}` });
    }
  }
}

async function allLetters(world: World): Promise<FinalLetter[]> {
  const filter = { subscription: null, topic: null, reason: null, since: null, until: null, state: null };
  const { letters } = await new DeadLetters(world.network.d1).page(filter, 1000, null);
  return letters.map((letter) => ({
    subscription: letter.subscription,
    topic: letter.topic,
    sequence: letter.sequence,
    identity: '',
    content: letter.event,
    state: letterState(letter),
  }));
}

/** D1 agrees with each Subscription's own rows, and has the whole event. */
function checkLetterRows(world: World, letters: FinalLetter[], violations: Violation[]): void {
  for (const letter of letters) {
    if (letter.content === '') {
      violations.push({
        rule: 'letters',
        detail: `the letter of ${letter.subscription} for ${letter.topic} ${letter.sequence} has lost its event`,
      });
    }
  }
  for (const host of world.subscriptions.values()) {
    const rows = host.storage.sql
      .exec<{ topic: string; sequence: number; state: string }>(
        "SELECT topic, sequence, state FROM letters WHERE state <> 'resolved'",
      )
      .toArray();
    for (const row of rows) {
      const letter = letters.find(
        (candidate) =>
          candidate.subscription === host.name && candidate.topic === row.topic && candidate.sequence === row.sequence,
      );
      if (letter?.state !== row.state) {
        violations.push({
          rule: 'letters',
          detail: `${host.name} has ${row.topic} ${row.sequence} as ${row.state}, D1 as ${letter?.state ?? 'nothing'}`,
        });
      }
    }
    for (const letter of letters.filter((candidate) => candidate.subscription === host.name)) {
      const known = rows.some((row) => row.topic === letter.topic && row.sequence === letter.sequence);
      if (!known && letter.state !== 'resolved') {
        violations.push({
          rule: 'letters',
          detail: `D1 has ${letter.topic} ${letter.sequence} of ${host.name} as ${letter.state}, its Subscription knows nothing of it`,
        });
      }
    }
  }
}
