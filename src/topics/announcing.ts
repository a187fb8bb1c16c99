import { topicMatches } from '../events/names.ts';
import { CHORE_CALLS_MAX, CHORE_TIMEOUT_MS } from './limits.ts';
import type { LogState } from './log-state.ts';
import type { TopicLogParts } from './parts.ts';
import { withTimeout } from './timeout.ts';

/** Whether the catalogue has not been told yet that the topic was made or deleted. */
export function isUnannounced(state: LogState): boolean {
  const { incarnation, catalogued } = state.meta();
  return incarnation !== catalogued;
}

/**
 * Tells the catalogue that the topic was made or deleted, and a new topic's name to each subscription with a pattern that
 * matches. The topic is in the catalogue before the patterns are read, and a subscription's patterns are there before it
 * reads the topics: one side always sees the other.
 *
 * @throws if the catalogue or a subscription can't be reached
 */
export async function announce(parts: TopicLogParts): Promise<void> {
  const { ports, sql, state, transaction } = parts;
  while (isUnannounced(state)) {
    const { incarnation, created_at } = state.meta();
    if (created_at === null) {
      await timely(parts, ports.catalog.removeTopic(ports.topic, incarnation), 'The catalogue');
    } else {
      await timely(parts, ports.catalog.announceTopic(ports.topic, created_at, incarnation), 'The catalogue');
      await tellPatterns(parts, incarnation);
    }
    // Made or deleted again meanwhile: then there is something else to tell.
    if (state.meta().incarnation === incarnation) {
      transaction(() => sql.setMeta({ catalogued: incarnation }));
      state.changed({ catalogued: incarnation });
    }
  }
}

async function tellPatterns(parts: TopicLogParts, incarnation: number): Promise<void> {
  const { ports, state } = parts;
  let after = { subscription: '', pattern: '' };
  let told: string | null = null;
  while (state.meta().incarnation === incarnation) {
    const page = await timely(parts, ports.catalog.patternsAfter(after.subscription, after.pattern), 'The catalogue');
    const names: string[] = [];
    for (const { subscription, pattern } of page) {
      // By subscription: one that several patterns name comes once.
      if (subscription !== told && topicMatches(pattern, ports.topic)) {
        names.push(subscription);
        told = subscription;
      }
    }
    for (let start = 0; start < names.length; start += CHORE_CALLS_MAX) {
      await Promise.all(
        names
          .slice(start, start + CHORE_CALLS_MAX)
          .map((name) => timely(parts, ports.subscriptions(name).topicAppeared(ports.topic), 'A subscription')),
      );
    }
    const last = page.at(-1);
    if (last === undefined) {
      return;
    }
    after = last;
  }
}

function timely<T>(parts: TopicLogParts, call: Promise<T>, whom: string): Promise<T> {
  return withTimeout(parts.ports.clock, call, CHORE_TIMEOUT_MS, whom);
}
