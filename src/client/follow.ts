import { sleep } from './backoff.ts';
import { type Answer, type CallOptions, type Connection, isPassing } from './connection.ts';
import { MillraceError } from './errors.ts';
import { streamOf } from './stream.ts';

const ROUTE = 'GET /v1/topics/{topic}/events/{sequence}/deliveries';

/** What became of an event at one subscription. */
export type EventDelivery = Answer<typeof ROUTE>['items'][number];

/** The id that the stream of an event all of whose deliveries are settled ends with. */
const SETTLED = 'settled';

/**
 * What becomes of an event: a row for each subscription as it is, then each change, until all are settled. After a broken
 * connection the rows come again as they are.
 *
 * @throws MillraceError
 */
export async function* followDeliveries(
  connection: Connection,
  topic: string,
  sequence: number,
  { signal }: CallOptions,
): AsyncGenerator<EventDelivery, void, undefined> {
  for (let failures = 0; ; ) {
    let retryAfterMs: number | null = null;
    try {
      for await (const sent of streamOf(connection, ROUTE, { params: { topic, sequence }, signal })) {
        failures = 0;
        if (sent.event === 'delivery' && sent.data !== null) yield JSON.parse(sent.data);
        if (sent.lastId === SETTLED) return;
      }
    } catch (error) {
      if (!(error instanceof MillraceError) || !isPassing(error, true)) throw error;
      retryAfterMs = error.retryAfterMs;
    }
    failures += 1;
    await sleep(connection.backoff.delayMs(failures, retryAfterMs), signal);
  }
}
