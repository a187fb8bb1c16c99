import { FEED_PING, type FeedMessage, type FrameHead, type LogEvent } from '../topics/protocol.ts';
import { FEED_PING_MS, TOOK_CHARS } from './limits.ts';
import type { Socket } from './ports.ts';
import { sleep } from './waiting.ts';

/** What a log sent; `events` null: it only says that there is more. */
export interface Frame {
  after: number;
  through: number;
  events: LogEvent[] | null;
  characters: number;
}

export type Heard =
  | { kind: 'frame'; frame: Frame }
  | { kind: 'closed'; code: number }
  /** The time is up, or the reader is gone. */
  | { kind: 'nothing' };

/** Stands for a feed that answers no more. */
const SILENT = 1006;

/** The reader's end of a feed. What waits here is bounded by what the log sends before it is told that something was taken. */
export class Feed {
  readonly #socket: Socket;
  readonly #frames: Frame[] = [];
  #closed: number | null = null;
  /** Something came since the last ping. */
  #alive = true;
  #taken = 0;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.listen({
      message: (text) => {
        this.#alive = true;
        const frame = frameOf(text);
        if (frame === null) return;
        this.#frames.push(frame);
        this.#wake();
      },
      closed: (code) => {
        this.#closed ??= code;
        this.#wake();
      },
    });
  }

  say(message: FeedMessage): void {
    this.#send(JSON.stringify(message));
  }

  /** These characters of frames were given on. */
  took(characters: number): void {
    this.#taken += characters;
    if (this.#taken < TOOK_CHARS) return;
    this.say({ v: 1, took: this.#taken });
    this.#taken = 0;
  }

  /** The next that comes, until `deadline` (milliseconds since the epoch). Frames come before the end of their feed. */
  async next(now: () => number, deadline: number, stop: AbortSignal): Promise<Heard> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return { kind: 'frame', frame };
      if (this.#closed !== null) return { kind: 'closed', code: this.#closed };
      const left = deadline - now();
      if (stop.aborted || left <= 0) return { kind: 'nothing' };
      const woken = await this.#wait(Math.min(FEED_PING_MS, left), stop);
      if (!woken && left >= FEED_PING_MS && !stop.aborted) this.#ping();
    }
  }

  close(): void {
    if (this.#closed !== null) return;
    this.#closed = SILENT;
    this.#socket.close(1000, 'done');
  }

  async #wait(ms: number, stop: AbortSignal): Promise<boolean> {
    const early = new AbortController();
    let woken = false;
    this.#wake = () => {
      woken = true;
      early.abort();
    };
    const hungUp = () => early.abort();
    stop.addEventListener('abort', hungUp);
    await sleep(ms, early.signal);
    stop.removeEventListener('abort', hungUp);
    this.#wake = () => {};
    return woken;
  }

  #ping(): void {
    if (!this.#alive) {
      this.close();
      return;
    }
    this.#alive = false;
    this.#send(FEED_PING);
  }

  #send(text: string): void {
    try {
      this.#socket.send(text);
    } catch {
      this.#closed ??= SILENT;
    }
  }
}

/** Null: the answer to a ping. */
function frameOf(text: string): Frame | null {
  if (!text.startsWith('{')) return null;
  const [first = '', ...lines] = text.split('\n');
  const { after, through, sequences }: FrameHead = JSON.parse(first);
  const events = sequences?.map((sequence, index) => ({ sequence, json: lines[index] ?? '' })) ?? null;
  return { after, through, events, characters: text.length };
}
