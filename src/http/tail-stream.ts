import { TAIL_CLOSED } from '../events/attribute-rules.ts';
import { headOf } from '../events/filters.ts';
import { type ClosingCode, lastWord } from '../tails/closing.ts';
import { TAIL_STALL_MS } from '../tails/limits.ts';
import type { TailStep } from '../tails/tail.ts';
import type { Turns } from '../tails/turns.ts';
import { EVENT_STREAM_HEADERS, KEEP_ALIVE_MS, RECONNECT, textOf } from './event-stream.ts';

/** The id of the last event of a tail whose range is done: whoever comes back with it has seen all. */
export const DONE = 'done';

/**
 * A tail as server-sent events. A step is read when the reader has taken the one before, as far as the platform's own buffers
 * let that be seen: nothing piles up here. One that takes nothing for 30 s is told that it is too slow, and finds that at
 * the end of what it left.
 *
 * @param start where the reader stands who was given nothing yet
 */
export function tailStream(turns: Turns, start: number, over: (code: ClosingCode) => void): Response {
  const encoder = new TextEncoder();
  let through = start;
  /** The id that the reader would resume with; 0: it was given none. */
  let known = 0;
  let stall: ReturnType<typeof setTimeout> | null = null;

  const given = ({ events, through: to }: TailStep) => {
    through = to;
    known = events.at(-1)?.sequence ?? known;
    return events
      .map(({ sequence, json }) => textOf({ id: String(sequence), event: headOf(json).type, data: json }))
      .join('');
  };
  /** A comment; and where the filter let nothing through for a while, how far it is. */
  const beat = () => {
    const moved = through > known;
    known = through;
    return moved ? `:\nid: ${through}\n\n` : ':\n\n';
  };
  const closing = (code: ClosingCode) =>
    textOf({ ...(code === 'done' ? { id: DONE } : {}), event: TAIL_CLOSED, data: lastWord(code, through) });

  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode(RECONNECT));
      },
      async pull(controller) {
        if (stall !== null) clearTimeout(stall);
        const end = (code: ClosingCode) => {
          over(code);
          if (code === 'hung-up') return;
          controller.enqueue(encoder.encode(closing(code)));
          controller.close();
        };
        for (;;) {
          const turn = await turns.next(KEEP_ALIVE_MS);
          if (turn.kind === 'end') return end(turn.code);
          const text = turn.kind === 'quiet' ? beat() : given(turn.step);
          if (text === '') continue;
          controller.enqueue(encoder.encode(text));
          stall = setTimeout(() => {
            turns.end('too-slow');
            end('too-slow');
          }, TAIL_STALL_MS);
          return;
        }
      },
      cancel() {
        if (stall !== null) clearTimeout(stall);
        turns.end('hung-up');
        over('hung-up');
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: EVENT_STREAM_HEADERS });
}
