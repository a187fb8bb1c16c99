import { within } from './backoff.ts';
import { Chunk, type NewEvent, type Written, writer } from './publishing.ts';

/** How long a chunk waits to become full while the source gives nothing, milliseconds. */
const LINGER_MS = 20;

/**
 * What a source gives, in chunks: a chunk is done when it is full, or when the source pauses. Finding out that it pauses takes
 * asking for one event more, which is kept: nothing that was given is lost, whatever becomes of the chunk.
 */
export class Source {
  readonly #iterator: AsyncIterator<NewEvent>;
  readonly #write = writer(true);
  /** What was asked for; null: there is no more. It fails as the source does. */
  #asked: Promise<Written | null> | null = null;
  /** Given, and too much for the chunk before. */
  #behind: Written | null = null;
  #ended: Promise<unknown> | null = null;

  constructor(source: AsyncIterable<NewEvent> | Iterable<NewEvent>) {
    this.#iterator = asyncIteratorOf(source);
  }

  /**
   * The next chunk; null: there is no more.
   *
   * @throws what the source throws, once what it gave before is in a chunk, or the signal's reason
   */
  async chunk(signal?: AbortSignal): Promise<Chunk | null> {
    const chunk = new Chunk();
    for (;;) {
      const event = await this.#next(chunk.events.length === 0, signal);
      if (event === null) return chunk.events.length === 0 ? null : chunk;
      if (!chunk.fits(event)) {
        this.#behind = event;
        return chunk;
      }
      chunk.add(event);
    }
  }

  /** Ends the source. Does not wait where it was just being asked for more: it may never give that, and nobody wants it. */
  async end(): Promise<void> {
    const ended = this.#end();
    if (this.#asked === null) await ended;
  }

  /** Ends the source, and waits for what it was giving. All that it gave and is in no chunk. */
  async rest(): Promise<Written[]> {
    const ended = this.#end();
    const last = this.#behind ?? (await this.#asked?.catch(() => null));
    await ended;
    return last ? [last] : [];
  }

  /** Once. How it ends changes nothing any more. */
  #end(): Promise<unknown> {
    this.#ended ??= Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
    return this.#ended;
  }

  /** @param patient waits however long it takes; else null also says that nothing came for a while */
  async #next(patient: boolean, signal: AbortSignal | undefined): Promise<Written | null> {
    const behind = this.#behind;
    this.#behind = null;
    if (behind !== null) return behind;
    this.#asked ??= this.#ask();
    // A failure waits for the next chunk, as an event would.
    const given = patient
      ? await within(this.#asked, null, signal)
      : await within(this.#asked, LINGER_MS).catch(() => 'late' as const);
    if (given === null || given === 'late') return null;
    this.#asked = null;
    return given;
  }

  async #ask(): Promise<Written | null> {
    const { done, value } = await this.#iterator.next();
    return done ? null : this.#write(value);
  }
}

function asyncIteratorOf<T>(source: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> {
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  return (async function* () {
    yield* source;
  })();
}
