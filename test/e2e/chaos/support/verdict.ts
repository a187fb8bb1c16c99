import type { ApiClient, Attempt, DeadLetter, Page, Replay } from '../../../../scripts/hub/api-client.ts';
import { eventually } from '../../../../scripts/hub/eventually.ts';
import type { StoredEvent } from '../../../../src/events/stored.ts';
import { check } from '../../../history/checker.ts';
import type { Fate, FinalLetter, FinalSubscription, SeenEvent, Violation } from '../../../history/operations.ts';
import { checkRates } from '../../../history/rate-rules.ts';
import { sent } from './events.ts';
import { CONSUMERS, MEASURED, MEASURED_PER_SECOND } from './load.ts';
import { countersOf, look, lookAtReplay, readAll } from './observers.ts';
import type { Recorder } from './recorder.ts';

/** Events whose deliveries are asked for at the same time. */
const ASKED_AT_ONCE = 8;

const FATES: Record<string, Fate> = {
  pending: 'pending',
  held: 'pending',
  delivering: 'pending',
  retrying: 'pending',
  delivered: 'delivered',
  dead: 'dead',
  filtered: 'filtered',
  skipped: 'skipped',
  discarded: 'discarded',
};

/**
 * Waits until nothing is under way any more: no lag, nothing pending, every replay done, every dead letter in D1.
 *
 * @throws after `withinMs`, with what still is
 */
export async function drained(api: ApiClient, withinMs: number): Promise<void> {
  let left: string[] = ['the hub did not answer'];
  const isDrained = async () => {
    const open: string[] = [];
    for (const { name } of CONSUMERS) {
      const { unanswered, lag, pending, waiting, dead } = await api.subscription(name);
      const letters = await api.deadLetters({ subscription: name });
      if (pending + waiting + lag > 0) open.push(`${name} has ${pending} pending, ${waiting} waiting, a lag of ${lag}`);
      if (unanswered > 0) open.push(`${name} can't ask ${unanswered} of its logs`);
      if (letters.length !== dead) open.push(`${name} has ${dead} dead, and ${letters.length} letters are in D1`);
    }
    const replays = await api.json<Page<Replay>>('GET', '/v1/replays?limit=1000');
    open.push(
      ...replays.items.filter(({ status }) => status !== 'done').map(({ id, status }) => `replay ${id} is ${status}`),
    );
    left = open;
    return open.length === 0;
  };
  await eventually('everything is drained', isDrained, withinMs).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${left.join('; ')}`);
  });
}

/** Looks at everything once more and judges the whole history. */
export async function verdict(api: ApiClient, recorder: Recorder, topics: Iterable<string>): Promise<Violation[]> {
  const logs = new Map<string, SeenEvent[]>();
  for (const topic of topics) logs.set(topic, await readAll(api, recorder, topic));
  const { items: replays } = await api.json<Page<Replay>>('GET', '/v1/replays?limit=1000');
  for (const { id } of replays) await lookAtReplay(api, recorder, id);

  const fates = new Map<string, FinalSubscription['fates']>(CONSUMERS.map(({ name }) => [name, []]));
  const events = [...logs].flatMap(([topic, log]) => log.map(({ sequence }) => ({ topic, sequence })));
  const ask = async () => {
    for (let event = events.shift(); event !== undefined; event = events.shift()) {
      const { topic, sequence } = event;
      const path = `/v1/topics/${topic}/events/${sequence}/deliveries?limit=1000`;
      const { items } = await api.json<Page<{ subscription: string; status: string }>>('GET', path);
      for (const { subscription, status } of items) {
        const fate = FATES[status];
        if (fate === undefined) throw new Error(`${subscription} says that ${topic} ${sequence} is ${status}.`);
        fates.get(subscription)?.push({ topic, sequence, fate });
      }
    }
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask));

  const subscriptions: FinalSubscription[] = [];
  for (const { name, bases } of CONSUMERS) {
    const view = await look(api, recorder, name, bases);
    if (view === null) throw new Error(`${name} could not be looked at.`);
    const all = fates.get(name) ?? [];
    subscriptions.push({
      name,
      running: view.status === 'active',
      counters: countersOf(view),
      lag: view.lag,
      sequences: null,
      exact: true,
      fates: all,
    });
  }
  const letters = (await api.deadLetters({ state: 'all' })).map(finalLetter);
  const attempts = await api.attempts(MEASURED);
  // From here on nothing is asked any more: to judge takes so long that connections are given up meanwhile.
  const broken = check({ operations: recorder.operations, final: { subscriptions, letters } });
  checkMeasured(attempts, broken);
  return broken;
}

/** By the sender's own times, as far as it came to tell of them: what a receiver sees is the network's doing, too. */
function checkMeasured(attempts: Attempt[], violations: Violation[]): void {
  const subscription = MEASURED;
  const starts = attempts.map(({ at }) => ({ subscription, at: Date.parse(at) }));
  const limit = { count: MEASURED_PER_SECOND, spanMs: 1_000 };
  checkRates(starts, [{ subscription, limit, from: 0, madeAt: 0 }], { graceMs: 0, breaks: [] }, violations);
}

function finalLetter(letter: DeadLetter & { discardedAt?: string | null }): FinalLetter {
  const { subscription, topic, sequence, event, diedAt, redrivenAt, resolvedAt, discardedAt } = letter;
  const redriven = redrivenAt !== null && redrivenAt >= diedAt;
  const state = discardedAt ? 'discarded' : resolvedAt !== null ? 'resolved' : redriven ? 'redriven' : 'open';
  return { subscription, topic, sequence, state, ...whole(event) };
}

/** A letter carries its event whole. */
function whole(event: StoredEvent): { identity: string; content: string } {
  const { id, source, type, data } = event;
  if (!isOurs(data)) throw new Error(`A letter has lost its event's data: ${JSON.stringify(event)}`);
  const { identity, content } = sent({ id, source, type, data });
  return { identity, content };
}

function isOurs(data: unknown): data is { by: string; number: number } {
  return typeof data === 'object' && data !== null && 'by' in data && 'number' in data;
}
