import type { CallOptions, Connection, Query } from './connection.ts';
import type { EventOf } from './delivery.ts';

type ReadRoute = 'GET /v1/topics/{topic}/events';

/** Which events of a topic: a start (`from`, `after` or `since`), an end, filters. */
export interface ReadOptions extends CallOptions, Omit<Query<ReadRoute>, 'limit' | 'wait'> {
  /** How many events at most, of all pages together. */
  limit?: number;
  /** How many in one request: 1 to 1,000, which is the default. */
  pageSize?: number;
}

export interface EventPage<Data> {
  events: EventOf<Data>[];
  /** Pass it as `after` (with `order: 'desc'` as `until`); null: the range is done. */
  next: number | null;
  lastSequence: number;
}

const PAGE_SIZE = 1000;

/** One page. With `wait` the hub waits so many milliseconds at most for a first event. @throws MillraceError */
export async function readPage<Data>(
  connection: Connection,
  topic: string,
  query: Query<ReadRoute>,
  { signal, waitMs }: CallOptions & { waitMs?: number },
): Promise<EventPage<Data>> {
  const page = await connection.call('GET /v1/topics/{topic}/events', {
    params: { topic },
    query: { ...query, ...(waitMs !== undefined && { wait: `${waitMs}ms` }) },
    waitMs: waitMs ?? 0,
    signal,
  });
  // What an event's data is, its reader knows.
  return page as EventPage<Data>;
}

/**
 * The events of a range, page by page, as it was at the first page: it ends, however fast events come.
 *
 * @throws MillraceError
 */
export async function* readEvents<Data>(
  connection: Connection,
  topic: string,
  { limit = Number.POSITIVE_INFINITY, pageSize = PAGE_SIZE, signal, ...asked }: ReadOptions,
): AsyncGenerator<EventOf<Data>, void, undefined> {
  const { from, after, since, until, ...filters } = asked;
  let range: Query<ReadRoute> = { from, after, since, until };
  let end: Query<ReadRoute>['until'] = until;
  for (let left = limit; left > 0; ) {
    const query = { ...filters, ...range, limit: Math.min(left, pageSize) };
    const page = await readPage<Data>(connection, topic, query, { signal });
    yield* page.events;
    left -= page.events.length;
    end ??= page.lastSequence;
    if (page.next === null) return;
    if (asked.order !== 'desc' && typeof end === 'number' && page.next >= end) return;
    range = asked.order === 'desc' ? { from, after, since, until: page.next } : { after: page.next, until: end };
  }
}
