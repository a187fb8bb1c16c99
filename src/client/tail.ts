import { TAIL_CLOSED } from '../events/attribute-rules.ts';
import { sleep } from './backoff.ts';
import { type CallOptions, type Connection, isPassing, type Query } from './connection.ts';
import type { EventOf } from './delivery.ts';
import { MillraceError } from './errors.ts';
import { readPage } from './reading.ts';
import { streamOf } from './stream.ts';

/** A topic's events as they come: a stream of server-sent events that is taken up again wherever it broke off. */

const ROUTE = 'GET /v1/topics/{topic}/events';
type ReadRoute = typeof ROUTE;

export interface TailOptions
  extends CallOptions,
    Pick<Query<ReadRoute>, 'from' | 'after' | 'since' | 'type' | 'source' | 'subject' | 'filter'> {}

/**
 * Every event from the start on (`from`, `after` or `since`; by default those that come from now on), in order, without a gap
 * or a repetition over any number of broken connections. Ends when `signal` aborts, or by an error that no other try mends.
 *
 * @throws MillraceError `sequence-expired`: what comes next is no longer in the topic.
 */
export async function* tailEvents<Data>(
  connection: Connection,
  topic: string,
  { signal, ...asked }: TailOptions,
): AsyncGenerator<EventOf<Data>, void, undefined> {
  const { from, after, since, ...filters } = asked;
  const starts = [from, after, since].filter((start) => start !== undefined);
  if (starts.length > 1) throw new TypeError('Give one of from, after and since.');
  let start: Query<ReadRoute> = { from, after, since };
  let lastId = '';
  let failures = 0;
  try {
    // `latest` means another place each time: where it is now is where a broken stream has to go on.
    if (starts.length === 0 || from === 'latest') {
      const { lastSequence } = await readPage(connection, topic, { from: 'latest', limit: 1 }, { signal });
      start = { after: lastSequence };
    }
    for (;;) {
      let retryAfterMs: number | null = null;
      try {
        const stream = streamOf(connection, ROUTE, {
          params: { topic },
          // The id wins, but a start at a time that is to come still says from when on.
          query: { ...filters, ...start },
          ...(lastId !== '' && { headers: { 'last-event-id': lastId } }),
          signal,
        });
        for await (const sent of stream) {
          failures = 0;
          lastId = sent.lastId === '' ? lastId : sent.lastId;
          if (sent.data === null) continue;
          if (sent.event === TAIL_CLOSED) {
            // Whatever the reason, coming back tells whether that is possible.
            const { after: through }: { after?: number | null } = JSON.parse(sent.data);
            lastId = typeof through === 'number' ? String(through) : lastId;
            break;
          }
          const event: EventOf<Data> = JSON.parse(sent.data);
          yield event;
        }
      } catch (error) {
        if (!(error instanceof MillraceError) || !isPassing(error, true)) throw error;
        retryAfterMs = error.retryAfterMs;
      }
      failures += 1;
      await sleep(connection.backoff.delayMs(failures, retryAfterMs), signal);
    }
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return;
    throw error;
  }
}
