import type { SentAttributes } from './attribute-rules.ts';
import type { EventData } from './data.ts';
import type { DecodeInput, DecodeRefusal, DecodeResult } from './decode.ts';
import type { EventError } from './event-error.ts';
import type { ByteRange } from './fingerprint.ts';
import { DATA_DEPTH_MAX, ERRORS_MAX, PUBLISH_LIMITS, type PublishLimits } from './limits.ts';
import { type EventDefaults, EventList, type WrittenEvent, writeEvent } from './new-event.ts';
import { orderingKeyOf } from './ordering-key.ts';
import { formatTime } from './times.ts';
import { TRACEPARENT, TRACESTATE, type Trace } from './trace.ts';

/** A request to publish being read: what it came with, and what has come of its events so far. */
export class Reading {
  readonly input: DecodeInput;
  readonly limits: PublishLimits;
  #defaults: EventDefaults | null = null;
  /** What an event gets that has no trace of its own. */
  readonly #trace: SentAttributes['extensions'];
  readonly #errors: EventError[] = [];
  #tooLarge: number | null = null;
  #inArray = false;
  #decoded = new EventList(0);

  constructor(input: DecodeInput) {
    const { trace = null, limits = PUBLISH_LIMITS } = input;
    this.input = input;
    this.limits = limits;
    this.#trace = trace === null ? [] : extensionsOf(trace);
  }

  /** Makes room for the events of the request, which come in an array or are one by itself. */
  expect(events: number, inArray: boolean): void {
    this.#inArray = inArray;
    this.#decoded = new EventList(events);
  }

  /** The attributes of an event, with those that it gets from its request. */
  traced(sent: SentAttributes): SentAttributes {
    if (this.#trace.length === 0 || sent.extensions.some(([name]) => isTrace(name))) return sent;
    return { ...sent, extensions: [...sent.extensions, ...this.#trace] };
  }

  /** Writes out the event at this index of the request. */
  write(index: number, attributes: SentAttributes, data: EventData | null): WrittenEvent {
    const { topic, now, makeId } = this.input;
    this.#defaults ??= { topic, time: formatTime(now), makeId };
    return writeEvent(attributes, data, index, this.#defaults);
  }

  /** Takes the event at this index of the request, of which `sent` was sent, if it is not too large. */
  take(index: number, attributes: SentAttributes, written: WrittenEvent, sent: ByteRange): void {
    if (isLongerThan(written.json, this.limits.eventBytes)) this.#tooLarge ??= index;
    else this.#decoded.add(written, orderingKeyOf(attributes), sent, attributes.time !== null);
  }

  /** Writes out and takes a checked event. */
  add(index: number, checked: SentAttributes, data: EventData | null, sent: ByteRange): void {
    const attributes = this.traced(checked);
    this.take(index, attributes, this.write(index, attributes, data), sent);
  }

  /** Takes what is wrong with an event. */
  refuse(errors: readonly EventError[]): void {
    // Not as arguments of one call: an event may have any number of them.
    for (const error of errors) this.#errors.push(error);
  }

  /** All of the events, or what is wrong with some. */
  result(): DecodeResult {
    if (this.#errors.length > 0) return invalid(this.#errors);
    if (this.#tooLarge !== null) return this.#refuseSize(this.#tooLarge);
    return { outcome: 'decoded', ...this.#decoded.packed(), inArray: this.#inArray };
  }

  #refuseSize(index: number): DecodeRefusal {
    const { eventBytes } = this.limits;
    return {
      outcome: 'event-too-large',
      detail: `${this.#inArray ? `Event ${index}` : 'The event'} is over the limit of ${eventBytes} bytes for one event.`,
      errors: [{ path: this.#inArray ? `[${index}]` : '', message: `must be at most ${eventBytes} bytes` }],
    };
  }
}

function isTrace(extension: string): boolean {
  return extension === TRACEPARENT || extension === TRACESTATE;
}

function extensionsOf({ traceparent, tracestate }: Trace): SentAttributes['extensions'] {
  const parent: [string, string] = [TRACEPARENT, traceparent];
  return tracestate === null ? [parent] : [parent, [TRACESTATE, tracestate]];
}

export const TOO_DEEP = `must not be nested more than ${DATA_DEPTH_MAX} levels deep`;

/** The refusal of a request whose events have these errors. */
export function invalid(errors: EventError[]): DecodeRefusal {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const where = first === undefined || first.path === '' ? 'The event or list of events' : first.path;
  const detail = `${where} ${first?.message ?? 'is not valid'}${more}.`;
  return { outcome: 'invalid-event', detail, errors: errors.slice(0, ERRORS_MAX) };
}

/** Whether `text` takes more than `bytes` in UTF-8; encodes it only where its length leaves that open. */
function isLongerThan(text: string, bytes: number): boolean {
  if (text.length > bytes) return true;
  return text.length * 3 > bytes && new TextEncoder().encode(text).byteLength > bytes;
}
