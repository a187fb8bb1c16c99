import { within } from './backoff.ts';
import type { CallOptions, Connection } from './connection.ts';
import { MillraceError } from './errors.ts';
import { type Chunk, chunksOf, Chunk as NewChunk, type NewEvent, type Written, writer } from './publishing.ts';
import type { Receipts } from './wire.ts';

/** What the hub answers for an event: it is on disk, at `sequence`; `duplicate` where it was there already. */
export type Receipt = Receipts['events'][number];

export interface PublishOptions extends CallOptions {
  /** Publish only if the topic's last sequence is this; 0: it is empty. The events have to fit in one request. */
  expectedLastSequence?: number;
  /**
   * Ids are made from it in place of by chance, so that the same call in another process finds its own events. The events
   * have to fit in one request.
   */
  idempotencyKey?: string;
}

/**
 * Not all events were published, after all tries. Those in `receipts` were; `rest` has the others, with their ids: to publish
 * `rest` again can't make a second event of any, also where the hub had one and its answer was lost.
 */
export class PublishError extends MillraceError {
  override readonly name = 'PublishError';
  readonly receipts: readonly Receipt[];
  readonly rest: readonly NewEvent[];

  constructor(error: MillraceError, receipts: readonly Receipt[], rest: readonly NewEvent[]) {
    super(error.code, error.detail, {
      status: error.status,
      problem: error.problem,
      requestId: error.requestId,
      cause: error,
    });
    this.receipts = receipts;
    this.rest = rest;
  }
}

const BATCH = 'application/cloudevents-batch+json';

/**
 * Publishes in as few requests as the limits allow, one after the other. Each request is all or nothing.
 *
 * @throws PublishError
 */
export async function publishEvents(
  connection: Connection,
  topic: string,
  events: readonly NewEvent[],
  options: PublishOptions,
): Promise<Receipt[]> {
  const write = writer(options.idempotencyKey === undefined);
  const chunks = chunksOf(events.map(write));
  const isWhole = options.expectedLastSequence === undefined && options.idempotencyKey === undefined;
  if (chunks.length > 1 && !isWhole) {
    throw new RangeError('With expectedLastSequence or idempotencyKey the events have to fit in one request.');
  }
  const receipts: Receipt[] = [];
  for (const [index, chunk] of chunks.entries()) {
    try {
      receipts.push(...(await publishChunk(connection, topic, chunk, options)));
    } catch (error) {
      throw asPublishError(
        error,
        receipts,
        chunks.slice(index).flatMap((one) => one.events),
      );
    }
  }
  return receipts;
}

async function publishChunk(
  connection: Connection,
  topic: string,
  chunk: Chunk,
  { expectedLastSequence, idempotencyKey, signal }: PublishOptions,
): Promise<Receipt[]> {
  const { events } = await connection.call('POST /v1/topics/{topic}/events', {
    params: { topic },
    headers: {
      'content-type': BATCH,
      ...(expectedLastSequence !== undefined && { 'expected-last-sequence': String(expectedLastSequence) }),
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    },
    text: chunk.body(),
    repeatable: true,
    signal,
  });
  return events;
}

function asPublishError(error: unknown, receipts: readonly Receipt[], rest: readonly Written[]): unknown {
  if (!(error instanceof MillraceError)) return error;
  return new PublishError(
    error,
    receipts,
    rest.map(({ event }) => event),
  );
}

/** How long a chunk waits to become full while the source gives nothing, milliseconds. */
const LINGER_MS = 20;

/**
 * Publishes what a source gives, in chunks: a chunk goes out when it is full, or when the source pauses. Receipts come in
 * order; the source is asked for more only as they are taken.
 *
 * @throws PublishError whose `rest` is what the source had given and is not published
 */
export async function* publishFrom(
  connection: Connection,
  topic: string,
  source: AsyncIterable<NewEvent> | Iterable<NewEvent>,
  options: CallOptions,
): AsyncGenerator<Receipt, void, undefined> {
  for await (const { chunk, behind } of chunksFrom(source, writer(true))) {
    let receipts: Receipt[];
    try {
      receipts = await publishChunk(connection, topic, chunk, options);
    } catch (error) {
      throw asPublishError(error, [], [...chunk.events, ...behind]);
    }
    yield* receipts;
  }
}

/** A chunk, and what the source has given that did not fit into it. */
interface Taken {
  chunk: Chunk;
  behind: readonly Written[];
}

async function* chunksFrom(
  source: AsyncIterable<NewEvent> | Iterable<NewEvent>,
  write: (event: NewEvent) => Written,
): AsyncGenerator<Taken, void, undefined> {
  const iterator = asyncIteratorOf(source);
  let chunk = new NewChunk();
  try {
    for (let next = iterator.next(); ; ) {
      const given = chunk.events.length === 0 ? await next : await within(next, LINGER_MS);
      if (given !== 'late' && given.done) break;
      const event = given === 'late' ? null : write(given.value);
      if (event === null || !chunk.fits(event)) {
        yield { chunk, behind: event === null ? [] : [event] };
        chunk = new NewChunk();
      }
      if (event === null) continue;
      chunk.add(event);
      next = iterator.next();
    }
    if (chunk.events.length > 0) yield { chunk, behind: [] };
  } finally {
    await iterator.return?.();
  }
}

function asyncIteratorOf<T>(source: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> {
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  return (async function* () {
    yield* source;
  })();
}
