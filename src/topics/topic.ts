import { NAMED_SUBSCRIBERS_MAX } from './limits.ts';
import { owe } from './notices.ts';
import type { TopicLogParts } from './parts.ts';
import type { ConfigureResult, RemoveResult, TopicConfig, TopicDescription, TopicMetrics } from './protocol.ts';
import type { MetaRow } from './rows.ts';

/** The topic itself: made, configured, described, deleted; whatever becomes of its events. */

/** Makes the topic, or makes it again. Part of a transaction; answers the columns of `meta` that changed. */
export function createTopic(parts: TopicLogParts, config: TopicConfig): Partial<MetaRow> {
  const { ports, sql, state, alarm } = parts;
  const { incarnation, version } = state.meta();
  const now = ports.clock.now();
  const columns = {
    created_at: now,
    description: config.description,
    window_ms: config.deduplicationWindowMs,
    version: version + 1,
    incarnation: incarnation + 1,
  };
  sql.setMeta(columns);
  owe(parts, 'millrace.topic.created', { topic: ports.topic });
  alarm.need(now);
  return columns;
}

/** Makes the topic or replaces its configuration. `ifMatch` null: unguarded. */
export function configureTopic(parts: TopicLogParts, config: TopicConfig, ifMatch: string | null): ConfigureResult {
  const { state, sql, transaction } = parts;
  const before = describeTopic(parts);
  if (ifMatch !== null && ifMatch !== before?.etag) {
    return { outcome: 'precondition-failed' };
  }
  if (before === null) {
    state.changed(transaction(() => createTopic(parts, config)));
  } else if (!isSameConfig(before.config, config)) {
    const columns = {
      description: config.description,
      window_ms: config.deduplicationWindowMs,
      version: state.meta().version + 1,
    };
    transaction(() => sql.setMeta(columns));
    state.changed(columns);
  }
  const topic = describeTopic(parts);
  if (topic === null) {
    throw new Error('A topic that was just made is not there.');
  }
  return { outcome: before === null ? 'created' : 'replaced', topic };
}

/** Deletes the topic, and arms the alarm for its events; `force`: even where subscriptions name it. */
export function removeTopic(parts: TopicLogParts, force: boolean): RemoveResult {
  const { ports, sql, state, alarm, transaction } = parts;
  if (!state.exists) {
    return { outcome: 'unknown-topic' };
  }
  const subscriptions = force ? [] : sql.exactSubscribers(NAMED_SUBSCRIBERS_MAX);
  if (subscriptions.length > 0) {
    return { outcome: 'topic-has-subscriptions', subscriptions };
  }
  const { lastSequence, recordedAt } = state.head();
  const columns = {
    created_at: null,
    incarnation: state.meta().incarnation + 1,
    removed_through: lastSequence,
    removed_recorded_at: recordedAt,
  };
  transaction(() => {
    sql.setMeta(columns);
    owe(parts, 'millrace.topic.deleted', { topic: ports.topic, lastSequence });
    alarm.need(ports.clock.now());
  });
  state.changed(columns);
  return { outcome: 'removed' };
}

/** Null: there is none. */
export function describeTopic({ ports, sql, state }: TopicLogParts): TopicDescription | null {
  const { created_at, description, window_ms, version } = state.meta();
  if (created_at === null) {
    return null;
  }
  const { firstSequence, lastSequence } = state;
  const events = lastSequence - firstSequence + 1;
  const before = events === 0 ? 0 : (sql.segmentAt(firstSequence)?.bytes_before ?? 0);
  return {
    name: ports.topic,
    config: { description, deduplicationWindowMs: window_ms },
    etag: `v${version}`,
    firstSequence,
    lastSequence,
    events,
    bytes: events === 0 ? 0 : state.head().bytes - before,
    subscriptions: sql.subscriberCount(),
    createdAt: created_at,
  };
}

/** Null: there is no topic. */
export function topicMetrics({ ports, sql, state }: TopicLogParts): TopicMetrics | null {
  if (!state.exists) {
    return null;
  }
  const counters = sql.counters();
  const counted = (name: string) => counters.get(name) ?? 0;
  return {
    published: state.lastSequence,
    duplicates: counted('duplicates'),
    bytes: ports.storage.sql.databaseSize,
    healed: counted('healed'),
    failures: counted('alarm-failures') + counted('sweep-failures'),
  };
}

function isSameConfig(a: TopicConfig, b: TopicConfig): boolean {
  return a.description === b.description && a.deduplicationWindowMs === b.deduplicationWindowMs;
}
