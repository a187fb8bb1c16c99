import { TAIL_CLOSED } from '../events/attribute-rules.ts';
import { headOf } from '../events/filters.ts';
import { type ClosingCode, lastWord } from '../tails/closing.ts';
import { SHARED_WRITTEN_BYTES_MAX, TAIL_STALL_MS } from '../tails/limits.ts';
import { Shared } from '../tails/shared.ts';
import { Stall } from '../tails/stall.ts';
import type { TailStep } from '../tails/tail.ts';
import type { Turns } from '../tails/turns.ts';
import { EVENT_STREAM_HEADERS, KEEP_ALIVE_MS, RECONNECT, textOf } from './event-stream.ts';

/** The id of the last event of a tail whose range is done: whoever comes back with it has seen all. */
export const DONE = 'done';

const ENCODER = new TextEncoder();
/** Lists of events as they are written: readers who are given the same list are sent the same bytes. */
const written = new Shared<TailStep['events'], Uint8Array>(SHARED_WRITTEN_BYTES_MAX);
/** Lists that were written once. Many are one reader's own, so that its bytes would be kept for nobody. */
const writtenOnce = new WeakSet<TailStep['events']>();

/**
 * A tail as server-sent events.
 *
 * @param start where the reader stands who was given nothing yet
 * @param isLatest that is where the topic ended: somewhere else each time that it is asked for, so that the reader is told at once
 * @param now milliseconds since the epoch
 */
export function tailStream(
  turns: Turns,
  start: number,
  isLatest: boolean,
  now: () => number,
  over: (code: ClosingCode) => void,
): Response {
  const body = new ReadableStream<Uint8Array>(new Events(turns, start, isLatest, now, over), { highWaterMark: 0 });
  return new Response(body, { headers: EVENT_STREAM_HEADERS });
}

/**
 * A step is read when the reader has taken the one before, as far as the platform's own buffers let that be seen: nothing
 * piles up here. One that takes nothing for 30 s is told that it is too slow, and finds that at the end of what it left.
 */
class Events implements UnderlyingSource<Uint8Array> {
  readonly #turns: Turns;
  readonly #now: () => number;
  readonly #over: (code: ClosingCode) => void;
  #through: number;
  readonly #isLatest: boolean;
  /** The id that the reader would resume with; 0: it was given none. */
  #known = 0;
  #stall: Stall | null = null;
  #beats: ReturnType<typeof setInterval> | null = null;

  constructor(turns: Turns, start: number, isLatest: boolean, now: () => number, over: (code: ClosingCode) => void) {
    this.#turns = turns;
    this.#now = now;
    this.#over = over;
    this.#through = start;
    this.#isLatest = isLatest;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#beats = setInterval(() => this.#turns.beat(), KEEP_ALIVE_MS);
    this.#stall = new Stall(TAIL_STALL_MS, this.#now, () => {
      this.#turns.end('too-slow');
      this.#end(controller, 'too-slow');
    });
    const id = this.#isLatest ? `id: ${this.#through}\n` : '';
    controller.enqueue(ENCODER.encode(`${id}${RECONNECT}`));
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#stall?.taken();
    for (;;) {
      const turn = await this.#turns.next();
      if (turn.kind === 'end') return this.#end(controller, turn.code);
      const bytes = turn.kind === 'quiet' ? this.#beat() : this.#given(turn.step);
      if (bytes === null) continue;
      controller.enqueue(bytes);
      this.#stall?.left();
      return;
    }
  }

  cancel(): void {
    this.#turns.end('hung-up');
    this.#finish('hung-up');
  }

  #given({ events, through }: TailStep): Uint8Array | null {
    this.#through = through;
    this.#known = events.at(-1)?.sequence ?? this.#known;
    return events.length === 0 ? null : bytesOf(events);
  }

  /** A comment; and where the filter let nothing through for a while, how far it is. */
  #beat(): Uint8Array {
    const moved = this.#through > this.#known;
    this.#known = this.#through;
    return ENCODER.encode(moved ? `:\nid: ${this.#through}\n\n` : ':\n\n');
  }

  #end(controller: ReadableStreamDefaultController<Uint8Array>, code: ClosingCode): void {
    this.#finish(code);
    if (code === 'hung-up') return;
    const id = code === 'done' ? { id: DONE } : {};
    controller.enqueue(ENCODER.encode(textOf({ ...id, event: TAIL_CLOSED, data: lastWord(code, this.#through) })));
    controller.close();
  }

  #finish(code: ClosingCode): void {
    if (this.#beats !== null) clearInterval(this.#beats);
    this.#stall?.end();
    this.#over(code);
  }
}

function bytesOf(events: TailStep['events']): Uint8Array {
  const known = written.get(events);
  if (known !== undefined) return known;
  const texts = events.map(({ sequence, json }) =>
    textOf({ id: String(sequence), event: headOf(json).type, data: json }),
  );
  const bytes = ENCODER.encode(texts.join(''));
  if (writtenOnce.has(events)) written.keep(events, bytes, bytes.length);
  writtenOnce.add(events);
  return bytes;
}
