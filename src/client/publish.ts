import type { CallOptions, Connection } from './connection.ts';
import { MillraceError } from './errors.ts';
import { type Chunk, chunksOf, type NewEvent, type Written, writer } from './publishing.ts';
import { Source } from './source.ts';
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
 * Not all events were published, after all tries. Those in `receipts` were; `rest` has the others. To publish `rest` again with
 * `again` can't make a second event of any, also where the hub had one and its answer was lost.
 */
export class PublishError extends MillraceError {
  override readonly name = 'PublishError';
  readonly receipts: readonly Receipt[];
  /** With their ids; but where the call had an `idempotencyKey` those that had none are recognised by the key alone. */
  readonly rest: readonly NewEvent[];
  /** The options that the call had: under an expectation, or a key, the hub tells a second try what became of the first. */
  readonly again: Omit<PublishOptions, 'signal'>;

  constructor(
    error: MillraceError,
    receipts: readonly Receipt[],
    rest: readonly NewEvent[],
    { signal: _, ...again }: PublishOptions,
  ) {
    super(error.code, error.detail, {
      status: error.status,
      problem: error.problem,
      requestId: error.requestId,
      cause: error,
    });
    this.receipts = receipts;
    this.rest = rest;
    this.again = again;
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
        options,
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

function asPublishError(
  error: unknown,
  receipts: readonly Receipt[],
  rest: readonly Written[],
  options: PublishOptions,
): unknown {
  if (!(error instanceof MillraceError)) return error;
  const events = rest.map(({ event }) => event);
  return new PublishError(error, receipts, events, options);
}

/**
 * Publishes what a source gives, in chunks. Receipts come in order; the source is asked for more only as they are taken. It is
 * ended where they are not read on; what it was just being asked for is waited for only where that is to be told.
 *
 * @throws PublishError whose `rest` is what the source had given and is not published. It is thrown once the source has given
 *   what it was just being asked for, or has ended. The signal's reason, at once.
 */
export async function* publishFrom(
  connection: Connection,
  topic: string,
  given: AsyncIterable<NewEvent> | Iterable<NewEvent>,
  options: CallOptions,
): AsyncGenerator<Receipt, void, undefined> {
  const source = new Source(given);
  try {
    for (;;) {
      const chunk = await source.chunk(options.signal);
      if (chunk === null) return;
      let receipts: Receipt[];
      try {
        receipts = await publishChunk(connection, topic, chunk, options);
      } catch (error) {
        const rest = error instanceof MillraceError ? await source.rest() : [];
        throw asPublishError(error, [], [...chunk.events, ...rest], options);
      }
      yield* receipts;
    }
  } finally {
    await source.end();
  }
}
