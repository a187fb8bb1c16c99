import { toBase64 } from '../base64.ts';
import { uuidMaker } from '../events/ids.ts';
import { REQUEST_BYTES_MAX, REQUEST_EVENTS_MAX } from '../events/limits.ts';

/** From what a program publishes to the bodies of requests. */

/** An event to publish: a CloudEvent, of which all but `type` may be left out. */
export interface NewEvent<Data = unknown> {
  type: string;
  /** A new UUIDv7 by default, made before the first try, so that no retry is a second event. */
  id?: string;
  /** `/topics/{topic}` by default. With `id` it is what an event is recognised by. */
  source?: string;
  subject?: string;
  /** RFC 3339; the time of the publishing by default. */
  time?: string | Date;
  datacontenttype?: string;
  dataschema?: string;
  /** What is delivered in order, where a subscription orders by key. */
  partitionkey?: string;
  /** JSON, or bytes. */
  data?: Data;
  /** Extension attributes: names of lower case letters and digits. */
  [extension: string]: unknown;
}

/** An event that has an id and is written down. */
export interface Written {
  event: NewEvent;
  json: string;
  bytes: number;
}

const ENCODER = new TextEncoder();

/**
 * Gives ids to events that have none, sorting in the order of the calls.
 *
 * @param makesIds whether to; else an event without one stays without.
 */
export function writer(makesIds: boolean): (event: NewEvent) => Written {
  let makeId = idMaker();
  let made = 0;
  const nextId = () => {
    if (made === IDS_IN_ORDER) [makeId, made] = [idMaker(), 0];
    return makeId(made++);
  };
  return (event) => {
    const identified = event.id !== undefined || !makesIds ? event : { ...event, id: nextId() };
    const json = JSON.stringify(wireForm(identified));
    return { event: identified, json, bytes: ENCODER.encode(json).length };
  };
}

/** So many ids of one time sort in the order that they were made in. */
const IDS_IN_ORDER = 4096;

function idMaker(): (index: number) => string {
  return uuidMaker(Date.now(), (bytes) => crypto.getRandomValues(new Uint8Array(bytes)));
}

function wireForm({ data, ...attributes }: NewEvent): Record<string, unknown> {
  const base64 = bytesIn(data);
  return { specversion: '1.0', ...attributes, ...(base64 === null ? { data } : { data_base64: toBase64(base64) }) };
}

function bytesIn(data: unknown): Uint8Array | null {
  if (data instanceof Uint8Array) return data;
  return data instanceof ArrayBuffer ? new Uint8Array(data) : null;
}

/** Collects events until a request is full. */
export class Chunk {
  readonly events: Written[] = [];
  /** The brackets, and a comma for each event. */
  #bytes = 2;

  fits(event: Written): boolean {
    if (this.events.length === 0) return true;
    return this.events.length < REQUEST_EVENTS_MAX && this.#bytes + event.bytes + 1 <= REQUEST_BYTES_MAX;
  }

  add(event: Written): void {
    this.events.push(event);
    this.#bytes += event.bytes + 1;
  }

  body(): string {
    return `[${this.events.map(({ json }) => json).join(',')}]`;
  }
}

/** In as few requests as the hub's limits allow, in order. */
export function chunksOf(events: readonly Written[]): Chunk[] {
  const chunks: Chunk[] = [];
  let chunk = new Chunk();
  for (const event of events) {
    if (!chunk.fits(event)) {
      chunks.push(chunk);
      chunk = new Chunk();
    }
    chunk.add(event);
  }
  if (chunk.events.length > 0) chunks.push(chunk);
  return chunks;
}
