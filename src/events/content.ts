import { canonical } from './canonical.ts';
import { type ByteRange, FINGERPRINT_BYTES, fingerprint } from './fingerprint.ts';
import { members } from './json-text.ts';
import { TRACEPARENT, TRACESTATE } from './trace.ts';

/** Bytes of a mark. */
export const MARK_BYTES = FINGERPRINT_BYTES;

/**
 * Writes the mark of an event's content into `out` from `at` on. What was sent before and has the same mark is the same event;
 * with another one it may be, too: sent in another mode, or with another trace. {@link contentOf} has the last word.
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

/**
 * What counts of an event when its source and id come again, as one text: if that is another, so is the event. The order of
 * keys in data doesn't count, nor how a number is written, nor whether an extension came as a number or as its text in a
 * header, nor a time that the hub filled in.
 *
 * @param json the event as it is stored, without what the log adds to it
 * @param timeSent its `time` is the producer's
 */
export function contentOf(json: string, timeSent: boolean): string {
  const parts: string[] = [];
  // The hub writes attributes in one order, so that only data has to be put in order.
  for (const { name, text } of members(json)) {
    if (NO_CONTENT.has(name) || (name === 'time' && !timeSent)) continue;
    parts.push(`${name}:${name === 'data' ? canonical(text) : String(JSON.parse(text))}`);
  }
  // There is none in any of them.
  return parts.join('\n');
}
