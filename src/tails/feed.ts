import { FEED_PING, type FeedMessage } from '../topics/protocol.ts';
import { Bell } from './bell.ts';
import { type Frame, frameOf } from './frames.ts';
import { FEED_PING_MS, TOOK_CHARS } from './limits.ts';
import type { Socket } from './ports.ts';

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
  readonly #stop: AbortSignal;
  readonly #frames: Frame[] = [];
  readonly #bell = new Bell();
  readonly #ring = () => this.#bell.ring();
  readonly #pings: ReturnType<typeof setInterval>;
  #closed: number | null = null;
  /** Something came since the last ping. */
  #alive = true;
  #taken = 0;

  /** @param stop ends the wait for what comes */
  constructor(socket: Socket, stop: AbortSignal) {
    this.#socket = socket;
    this.#stop = stop;
    this.#pings = setInterval(() => this.#ping(), FEED_PING_MS);
    stop.addEventListener('abort', this.#ring);
    socket.listen({
      message: (text) => {
        this.#alive = true;
        const frame = frameOf(text);
        if (frame === null) return;
        this.#frames.push(frame);
        this.#ring();
      },
      closed: (code) => this.#over(code),
    });
  }

  say(message: FeedMessage): void {
    this.#send(JSON.stringify(message));
  }

  /** A frame was given on. */
  took({ characters, asks }: Frame): void {
    this.#taken += characters;
    if (this.#taken < TOOK_CHARS && !asks) return;
    this.say({ v: 1, took: this.#taken });
    this.#taken = 0;
  }

  /** The next that comes, until `deadline` (milliseconds since the epoch). Frames come before the end of their feed. */
  async next(now: () => number, deadline: number): Promise<Heard> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return { kind: 'frame', frame };
      if (this.#closed !== null) return { kind: 'closed', code: this.#closed };
      const left = deadline - now();
      if (this.#stop.aborted || left <= 0) return { kind: 'nothing' };
      // Most have no end: they wait without a timer.
      const timer = Number.isFinite(left) ? setTimeout(this.#ring, Math.min(left, FEED_PING_MS)) : null;
      await this.#bell.rung();
      if (timer !== null) clearTimeout(timer);
    }
  }

  close(): void {
    if (this.#closed !== null) return;
    this.#over(SILENT);
    this.#socket.close(1000, 'done');
  }

  #over(code: number): void {
    this.#closed ??= code;
    clearInterval(this.#pings);
    this.#stop.removeEventListener('abort', this.#ring);
    this.#ring();
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
      this.#over(SILENT);
    }
  }
}
