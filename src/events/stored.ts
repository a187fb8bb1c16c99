import { parseCompact } from './parse-json.ts';

/** Digits of a sequence in the event: padded, because the Sequence extension of CloudEvents wants strings that sort. */
const SEQUENCE_DIGITS = 16;

/** An event as the hub gives it out: a CloudEvent with the hub's own attributes. */
export interface StoredEvent {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  subject?: string;
  time: string;
  datacontenttype?: string;
  dataschema?: string;
  partitionkey?: string;
  data?: unknown;
  data_base64?: string;
  topic: string;
  /** Decimal, zero-padded to 16 digits. */
  sequence: string;
  /** RFC 3339: when the log took it. */
  recordedtime: string;
  /** Extension attributes. */
  [attribute: string]: unknown;
}

/** Adds the hub's attributes to the JSON of a new event, which has none of them; `recordedTime` is RFC 3339. The log calls it for each event it gives out. */
export function withHubAttributes(json: string, topic: string, sequence: number, recordedTime: string): string {
  const padded = String(sequence).padStart(SEQUENCE_DIGITS, '0');
  // A topic's name and a time need no escaping.
  return `${json.slice(0, -1)},"topic":"${topic}","sequence":"${padded}","recordedtime":"${recordedTime}"}`;
}

/** When the log took an event, milliseconds since the epoch: what {@link withHubAttributes} wrote last. */
export function recordedAt(json: string): number {
  return Date.parse(json.slice(json.lastIndexOf(':"') + 2, -2));
}

/** An event that the hub itself stored, which is trusted to have the shape it was given. Numbers above 2^53 are rounded. */
export function parseStored(json: string): StoredEvent {
  return parseCompact(json) as StoredEvent;
}
