import { orderingKey } from '../events/ordering-key.ts';
import {
  CHORE_CALLS_MAX,
  CHORE_TIMEOUT_MS,
  EXAMINED_BYTES_MAX,
  REMOVAL_BYTES_MAX,
  REMOVAL_EVENTS_MAX,
  SUBSCRIBERS_PAGE,
} from './limits.ts';
import type { LogState } from './log-state.ts';
import type { TopicLogParts } from './parts.ts';
import type { LogEvent } from './protocol.ts';
import type { SubscriberRow } from './rows.ts';
import type { Statements } from './sql.ts';
import { withTimeout } from './timeout.ts';

/** Whether events of a deleted topic are still stored. */
export function isRemovalUnfinished(sql: Statements, state: LogState): boolean {
  const { removed_through } = state.meta();
  const first = removed_through === 0 ? null : sql.firstSegment();
  return first !== null && first.first <= removed_through;
}

/**
 * Clears away the events of a deleted topic, some segments a step: first each subscription that may still need them is
 * given them (it makes dead letters of what is pending), then they go. What is left to do is what is still stored, so it
 * goes on after any crash; new events of a topic made again lie behind and are not touched.
 *
 * @throws if a subscription can't be reached
 */
export async function removeEvents(parts: TopicLogParts): Promise<void> {
  const { sql, state, identities, transaction } = parts;
  while (isRemovalUnfinished(sql, state)) {
    await removeStep(parts);
  }
  if (!state.exists) {
    transaction(() => identities.clear());
  }
}

async function removeStep({ ports, sql, state, scanner, transaction }: TopicLogParts): Promise<void> {
  const { from, to, segments } = nextStep(sql, state);
  const events = new Map<number, LogEvent>();
  for (let sequence = from; sequence <= to; ) {
    const page = scanner.scan({
      from: sequence,
      to,
      order: 'asc',
      matches: null,
      eventsMax: REMOVAL_EVENTS_MAX,
      bytesMax: EXAMINED_BYTES_MAX,
    });
    for (const event of page.events) {
      events.set(event.sequence, event);
    }
    sequence = page.examined + 1;
  }
  const whole = [...events.values()];

  for (let after = ''; ; ) {
    const subscribers = sql.subscribersAfter(after, SUBSCRIBERS_PAGE);
    const concerned = subscribers.flatMap((subscriber) => {
      const low = firstNeeded(subscriber, from, to);
      return low === null ? [] : [{ subscriber, low }];
    });
    for (let start = 0; start < concerned.length; start += CHORE_CALLS_MAX) {
      await Promise.all(
        concerned.slice(start, start + CHORE_CALLS_MAX).map(({ subscriber, low }) => {
          const call = ports.subscriptions(subscriber.name).overtake({
            v: 1,
            topic: ports.topic,
            attachment: subscriber.attachment,
            events: whole.filter((event) => event.sequence >= low),
            from: low,
            to,
          });
          return withTimeout(ports.clock, call, CHORE_TIMEOUT_MS, 'A subscription');
        }),
      );
    }
    const last = subscribers.at(-1);
    if (last === undefined) {
      break;
    }
    after = last.name;
  }

  transaction(() => {
    const keys = new Set(whole.map(({ json }) => orderingKey(json)));
    sql.deletePostings(
      [...keys].filter((key) => key !== null),
      to,
    );
    sql.deleteSegments(segments.first, segments.last);
  });
  scanner.forget();
  if (sql.lastSegment() === null) {
    state.moved({ ...state.head(), bytes: 0 });
  }
}

/** The first segments that are to go, as many as make a step. */
function nextStep(
  sql: Statements,
  state: LogState,
): { from: number; to: number; segments: { first: number; last: number } } {
  const { removed_through } = state.meta();
  const from = sql.firstSegment()?.first ?? removed_through;
  const step = { from, to: from, segments: { first: from, last: from } };
  let bytes = 0;
  for (const segment of sql.segments(from, removed_through, 'asc', REMOVAL_EVENTS_MAX)) {
    const to = segment.first + segment.count - 1;
    bytes += segment.bytes;
    if (segment.first > from && (bytes > REMOVAL_BYTES_MAX || to - from >= REMOVAL_EVENTS_MAX)) {
      break;
    }
    step.to = to;
    step.segments.last = segment.first;
  }
  return step;
}

/**
 * The first sequence of a step that a subscription may still need. One that isn't parked may be anywhere, having sought
 * back since it was last heard of. Null: it needs none; behind its `next` nothing waits for a parked one that is owed nothing.
 */
function firstNeeded({ low, next, owed }: SubscriberRow, from: number, to: number): number | null {
  if (next === null) {
    return from;
  }
  const needsNone = low > to || (owed === null && (low >= next || from >= next));
  return needsNone ? null : Math.max(from, low);
}
