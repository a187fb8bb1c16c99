import type { ApiClient, DeadLetter, Replay, Subscription } from '../../../../scripts/hub/api-client.ts';
import type { Read, SeenEvent } from '../../../history/operations.ts';
import { type Given, seen } from './events.ts';
import type { Recorder } from './recorder.ts';

/** A call to a hub that may be dead or frozen is given up after this. */
const ANSWER_WITHIN_MS = 4_000;
const PAGE_EVENTS = 200;

interface Page {
  events: Given[];
  next: number | null;
  lastSequence: number;
}

/** One read, written down; null if the hub did not answer, or has no such topic. */
export async function read(
  api: ApiClient,
  recorder: Recorder,
  request: { topic: string; after: number; type: string | null; wait: string },
): Promise<{ read: Read; next: number | null } | null> {
  const { topic, after, type, wait } = request;
  const start = recorder.now();
  const query = `after=${after}&limit=${PAGE_EVENTS}&wait=${wait}${type === null ? '' : `&type=${type}`}`;
  const page = await get<Page>(api, `/v1/topics/${topic}/events?${query}`);
  if (page === null) return null;
  const operation = recorder.add<Read>({
    kind: 'read',
    start,
    end: recorder.now(),
    topic,
    after,
    types: type === null ? [] : [type],
    events: page.events.map(seen),
    scannedTo: page.next ?? Math.max(after, page.lastSequence),
    lastSequence: page.lastSequence,
  });
  return { read: operation, next: page.next };
}

/** Everything in a topic, page by page. @throws if the hub does not answer */
export async function readAll(api: ApiClient, recorder: Recorder, topic: string): Promise<SeenEvent[]> {
  const events: SeenEvent[] = [];
  for (let after: number | null = 0; after !== null; ) {
    const page: Awaited<ReturnType<typeof read>> = await read(api, recorder, { topic, after, type: null, wait: '0s' });
    if (page === null) throw new Error(`${topic} could not be read.`);
    events.push(...page.read.events);
    after = page.next;
  }
  return events;
}

/** A look at a subscription, written down; null if the hub did not answer. */
export async function look(
  api: ApiClient,
  recorder: Recorder,
  name: string,
  bases: Record<string, number> | null,
): Promise<Subscription | null> {
  const start = recorder.now();
  const view = await get<Subscription>(api, `/v1/subscriptions/${name}`);
  // Without its logs a subscription does not know all of what is counted.
  if (view === null || view.unanswered > 0) return null;
  const [topic] = view.topics;
  recorder.add({
    kind: 'look',
    start,
    end: recorder.now(),
    subscription: name,
    counters: countersOf(view),
    lag: view.lag,
    cursor: view.cursor === null || topic === undefined ? null : { topic, sequence: view.cursor },
    bases,
  });
  return view;
}

export function countersOf(view: Subscription) {
  const { delivered, dead, pending, waiting, filtered, skipped, discarded } = view;
  return { delivered, dead, pending, waiting, filtered, skipped, discarded };
}

/** A look at a replay, written down; null if the hub did not answer. */
export async function lookAtReplay(api: ApiClient, recorder: Recorder, id: string): Promise<Replay | null> {
  const start = recorder.now();
  const view = await get<ReplayAnswer>(api, `/v1/replays/${id}`);
  if (view === null) return null;
  const { subscription, topic, from, to, status, total, delivered, failed, filtered, remaining } = view;
  const counts = { status, total, delivered, failed, filtered, remaining };
  recorder.add({ kind: 'replay', start, end: recorder.now(), id, subscription, topic, from, to, types: [], ...counts });
  return view;
}

interface ReplayAnswer extends Replay {
  status: 'running' | 'done' | 'cancelled' | 'failed';
  subscription: string;
  topic: string;
  from: number;
  to: number;
}

/** Redrives or discards an open letter, if the hub answers. */
export async function intervene(
  api: ApiClient,
  recorder: Recorder,
  letter: DeadLetter,
  action: 'redrive' | 'discard',
): Promise<void> {
  const { id, subscription, topic, sequence } = letter;
  // Whatever comes of it may come at any time from now on.
  const end = Number.POSITIVE_INFINITY;
  recorder.add({ kind: 'intervene', start: recorder.now(), end, subscription, topic, sequence, action });
  const path = `/v1/dead-letters/${id}`;
  const call: [string, string] = action === 'redrive' ? ['POST', `${path}/redrive`] : ['DELETE', path];
  await api.request(...call, { withinMs: ANSWER_WITHIN_MS }).catch(() => null);
}

/** The JSON of a 2xx, else null. */
export async function get<T>(api: ApiClient, path: string): Promise<T | null> {
  const reply = await api.request('GET', path, { withinMs: ANSWER_WITHIN_MS }).catch(() => null);
  return reply === null || reply.status !== 200 ? null : JSON.parse(reply.text);
}
