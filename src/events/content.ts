import { canonical } from './canonical.ts';
import { type ByteRange, FINGERPRINT_BYTES, fingerprint } from './fingerprint.ts';
import { members } from './json-text.ts';
import { TRACEPARENT, TRACESTATE } from './trace.ts';

/** Bytes of a mark. */
export const MARK_BYTES = FINGERPRINT_BYTES;

/**
 * Writes the mark of an event's content into `out` from `at` on. What was sent before and has the same mark is the same event;
 * with another one it may be, too: sent in another mode, or with another trace. {@link isSameContent} has the last word.
 *
 * @param sent what the producer sent of the event
 * @param timeSent its `time` is among that
 */
export function writeMark(sent: ByteRange, timeSent: boolean, out: DataView, at: number): void {
  fingerprint(sent, out, at);
  const last = at + MARK_BYTES - 1;
  out.setUint8(last, timeSent ? out.getUint8(last) | 1 : out.getUint8(last) & ~1);
}

/** Whether the producer sent the `time` of the event with this mark. */
export function isTimeSent(mark: Uint8Array): boolean {
  return ((mark[MARK_BYTES - 1] ?? 0) & 1) === 1;
}

/** What two events under one source and id have in common anyway, and what may differ between two sendings of one event. */
const NO_CONTENT: ReadonlySet<string> = new Set(['specversion', 'id', 'source', TRACEPARENT, TRACESTATE]);

/** An event as it is stored, without what the log adds to it. */
export interface ComparedEvent {
  json: string;
  /** Its `time` is the producer's. */
  timeSent: boolean;
}

/**
 * Whether two events under one source and id are the same. The order of keys in data doesn't count, nor how a number is written,
 * nor whether an extension came as a number or as its text in a header, nor a time that the hub filled in.
 */
export function isSameContent(one: ComparedEvent, other: ComparedEvent): boolean {
  if (attributesOf(one) !== attributesOf(other)) return false;
  const [data, otherData] = [dataIn(one), dataIn(other)];
  if (data === otherData) return true;
  return data !== null && otherData !== null && canonical(data) === canonical(otherData);
}

/** All that counts but data, on a line each: the hub writes attributes in one order, and there is no line break in any. */
function attributesOf({ json, timeSent }: ComparedEvent): string {
  const lines: string[] = [];
  for (const { name, text } of members(json)) {
    if (name === 'data' || NO_CONTENT.has(name) || (name === 'time' && !timeSent)) continue;
    lines.push(`${name}:${String(JSON.parse(text))}`);
  }
  return lines.join('\n');
}

function dataIn({ json }: ComparedEvent): string | null {
  for (const { name, text } of members(json)) if (name === 'data') return text;
  return null;
}
