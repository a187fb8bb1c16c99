import { TAIL_CLOSED } from '../events/attribute-rules.ts';

/** Answers as server-sent events (WHATWG HTML, 9.2). */

export const EVENT_STREAM = 'text/event-stream';

/** A comment goes out this often, so that nothing on the way takes the stream for dead. Milliseconds. */
export const KEEP_ALIVE_MS = 15_000;
/** How soon a browser whose stream has ended comes back. */
const RECONNECT_MS = 1_000;
export const RECONNECT = `retry: ${RECONNECT_MS}\n\n`;

export const EVENT_STREAM_HEADERS = { 'content-type': EVENT_STREAM, 'cache-control': 'no-store' };

export interface ServerSentEvent {
  id?: string;
  event?: string;
  /** One line. */
  data?: string;
}

export type Send = (event: ServerSentEvent) => void;

/**
 * A stream of what `run` sends until it returns; what it throws cuts the stream off. It runs once the answer is read, and
 * `hungUp` aborts when nobody reads it any more. What is sent piles up if the reader is slow, so `run` has to bound it.
 *
 * @param watch begins to watch over who reads: `ended` says why they may no more; the answer ends the watch
 */
export function eventStream(
  run: (send: Send, hungUp: AbortSignal) => Promise<void>,
  watch: (ended: (code: string) => void) => () => void,
): Response {
  const hangUp = new AbortController();
  const encoder = new TextEncoder();
  let started = false;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (started) return;
        started = true;
        const write = (text: string) => {
          if (!hangUp.signal.aborted) controller.enqueue(encoder.encode(text));
        };
        const beat = setInterval(() => write(':\n\n'), KEEP_ALIVE_MS);
        const unwatch = watch((code) => {
          write(textOf({ event: TAIL_CLOSED, data: JSON.stringify({ code }) }));
          hangUp.abort();
          controller.close();
        });
        const over = () => {
          clearInterval(beat);
          unwatch();
        };
        hangUp.signal.addEventListener('abort', over);
        write(RECONNECT);
        run((event) => write(textOf(event)), hangUp.signal)
          .then(
            () => hangUp.signal.aborted || controller.close(),
            (error: unknown) => hangUp.signal.aborted || controller.error(error),
          )
          .finally(over);
      },
      cancel() {
        hangUp.abort();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: EVENT_STREAM_HEADERS });
}

/** One event, as the stream has it. */
export function textOf(event: ServerSentEvent): string {
  const lines = (['id', 'event', 'data'] as const).flatMap((name) => {
    const value = event[name];
    return value === undefined ? [] : [`${name}: ${value}\n`];
  });
  return `${lines.join('')}\n`;
}
