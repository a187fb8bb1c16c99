/** W3C Trace Context (level 2), as requests and events carry it: which trace something belongs to. The hub passes it on. */
export interface Trace {
  traceparent: string;
  /** What tracing systems keep of their own; null: nothing. */
  tracestate: string | null;
}

/** The extension attributes that carry it (CloudEvents: Distributed Tracing). */
export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';

/** Version, trace id, parent id, flags. */
const WELL_FORMED = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
/** What has to be passed on at least; longer ones may be cut, and are left out. */
const STATE = /^[\x20-\x7e]{1,512}$/;

/** A trace of these values; null if the first is not well-formed. A state that is not is left out. */
export function traceOf(traceparent: unknown, tracestate: unknown): Trace | null {
  if (typeof traceparent !== 'string' || !WELL_FORMED.test(traceparent)) return null;
  const isState = typeof tracestate === 'string' && STATE.test(tracestate);
  return { traceparent, tracestate: isState ? tracestate : null };
}

/** The trace that a stored event belongs to, or null. */
export function traceIn(json: string): Trace | null {
  // Most events have none, and parsing a large one costs more than signing it.
  if (!json.includes(`"${TRACEPARENT}"`)) return null;
  const event: unknown = JSON.parse(json);
  if (typeof event !== 'object' || event === null) return null;
  return traceOf(Reflect.get(event, TRACEPARENT), Reflect.get(event, TRACESTATE));
}

/** What all of a trace have in common, for logs. */
export function traceIdOf({ traceparent }: Trace): string {
  return traceparent.slice(3, 35);
}
