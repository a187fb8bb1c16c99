import { within } from './backoff.ts';
import { type Connection, checkMediaType, networkError, type Route, type Sent } from './connection.ts';
import { MillraceError } from './errors.ts';
import { type ServerSentEvent, serverSentEvents } from './sse.ts';

/** The hub sends something every 15 s: a stream that is silent for this long is dead. Milliseconds. */
export const SILENCE_MS = 45_000;

/**
 * What a route sends as server-sent events until it ends. Whoever stops reading hangs up.
 *
 * @throws MillraceError also when it breaks off, or is silent for too long; the signal's reason
 */
export async function* streamOf(
  connection: Connection,
  route: Route,
  { signal, headers, ...sent }: Sent,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const hangUp = new AbortController();
  try {
    const response = await connection.open(route, {
      ...sent,
      headers: { accept: 'text/event-stream', ...headers },
      signal: signal === undefined ? hangUp.signal : AbortSignal.any([signal, hangUp.signal]),
    });
    if (response.body === null || response.status === 204) return;
    checkMediaType(response, /^text\/event-stream/, 'a stream of events');
    const events = serverSentEvents(response.body);
    for (;;) {
      const next = await within(events.next(), SILENCE_MS, signal);
      if (next === 'late') throw networkError(`Nothing came for ${SILENCE_MS} ms.`);
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof MillraceError ? error : networkError(error);
  } finally {
    hangUp.abort();
  }
}
