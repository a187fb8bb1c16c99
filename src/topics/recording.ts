import { type AppendPlan, decideAppends } from './append.ts';
import { Arrivals } from './arrivals.ts';
import { together } from './batch.ts';
import { DEDUPLICATION_WINDOW_DEFAULT_MS, TOPIC_FULL_BYTES, WAKE_SAFETY_MS } from './limits.ts';
import { watchSize } from './notices.ts';
import type { TopicLogParts } from './parts.ts';
import type { AppendRequest, AppendResult, TopicConfig } from './protocol.ts';
import { cutSegments, type Head } from './segments.ts';
import { createTopic } from './topic.ts';

/** The configuration of a topic made by publishing to it. */
const DEFAULT_CONFIG: TopicConfig = { description: '', deduplicationWindowMs: DEDUPLICATION_WINDOW_DEFAULT_MS };

/** What a commit brought. */
export interface Commit {
  /** One for each request, in order. */
  results: AppendResult[];
  /** Null: no event. */
  arrivals: Arrivals | null;
  /** The subscriptions that are owed a wake by it. */
  owed: string[];
}

/**
 * Decides a group of appends and commits what they bring in one transaction: the events with their keys and identities, what
 * is owed to parked subscriptions, and an alarm in case this object dies before it has woken them.
 *
 * @throws if nothing was committed
 */
export function record(parts: TopicLogParts, requests: AppendRequest[]): Commit {
  const { ports, sql, state, size, identities, parks, scanner, transaction } = parts;
  const head = state.head();
  const recordedAt = Math.max(head.recordedAt, ports.clock.now());
  const committed = transaction(() => {
    const bytes = size.at(head.bytes);
    const plan = decideAppends(requests, {
      exists: state.exists,
      lastSequence: head.lastSequence,
      full: bytes >= (ports.fullBytes ?? TOPIC_FULL_BYTES),
      recorder: (hashes, first) => identities.recorder(hashes, first, recordedAt),
      takeBack: (sequence) => identities.takeBack(sequence),
      stored: (sequence) => scanner.line(sequence),
      unmarkedThrough: state.meta().unmarked_through,
    });
    // No row for what goes well: `published` is the last sequence.
    if (plan.duplicates > 0) sql.count('duplicates', plan.duplicates);
    return plan.count === 0
      ? { plan, head, changed: {}, arrivals: null, concerned: [] }
      : store(parts, plan, head, recordedAt, bytes);
  });
  state.moved(committed.head);
  state.changed(committed.changed);
  for (const { park, sequence } of committed.concerned) {
    parks.put({ ...park, owed: sequence });
  }
  const { arrivals, concerned } = committed;
  return { results: committed.plan.results, arrivals, owed: concerned.map(({ park }) => park.name) };
}

function store(parts: TopicLogParts, plan: AppendPlan, head: Head, recordedAt: number, bytes: number) {
  const { ports, sql, state, identities, keys, parks, alarm } = parts;
  const now = ports.clock.now();
  const created = plan.creates ? createTopic(parts, DEFAULT_CONFIG) : {};
  const watched = watchSize(parts, bytes);
  const windowMs = created.window_ms ?? state.meta().window_ms;
  // Before the new events are stored, which are none of those to be sealed.
  const sealed = identities.makeRoom(plan.count, head.lastSequence, recordedAt, windowMs);
  const keyed = keys.work(head.lastSequence);

  const events = together(plan.taken);
  let end = head;
  for (const segment of cutSegments(events, head, recordedAt)) {
    sql.addSegment(segment);
    end = {
      lastSequence: segment.first + segment.count - 1,
      recordedAt,
      bytes: segment.bytes_before + segment.bytes,
    };
  }

  const arrivals = new Arrivals(head.lastSequence + 1, events);
  const concerned = parks.concerned(arrivals);
  if (concerned.length > 0) {
    sql.setOwed(concerned.map(({ park, sequence }) => [park.name, sequence]));
    alarm.need(now + WAKE_SAFETY_MS);
  }
  return { plan, head: end, changed: { ...created, ...watched, ...sealed, ...keyed }, arrivals, concerned };
}
