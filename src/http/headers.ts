import { TRACEPARENT, TRACESTATE, type Trace, traceOf } from '../events/trace.ts';
import type { Guard } from './guard.ts';
import { invalid, notSupportedYet } from './problem.ts';

/** The names of the headers that a request has, in lower case. To ask the platform for one by one costs more than for all. */
export type HeaderNames = ReadonlySet<string>;

export function headerNames({ headers }: Request): HeaderNames {
  return new Set(headers.keys());
}

const UNHEEDED = ['if-none-match', 'if-unmodified-since'];

/** What a request is guarded with. Guards that would go unheeded are refused: to ignore one is to break a promise. */
export function guardOf(request: Request, names: HeaderNames, guarded: boolean): Guard {
  const mutates = request.method !== 'GET' && request.method !== 'HEAD';
  if (!mutates) return 'none';
  refuseLaterHeaders(names, UNHEEDED);
  if (!names.has('if-match')) return 'none';
  if (!guarded) throw notSupportedYet('if-match');
  const value = request.headers.get('if-match') ?? '';
  if (value.trim() === '*') return 'exists';
  const etag = /^\s*(?:W\/)?"([\x21\x23-\x7e]{1,128})"\s*$/.exec(value)?.[1];
  if (etag === undefined) {
    throw invalid([{ path: 'if-match', message: 'must be the etag of a GET, in its quotes, or *' }]);
  }
  return { etag };
}

/** The header of an answer whose resource has this etag. */
export function etagHeader(etag: string): Record<string, string> {
  return { etag: `"${etag}"` };
}

export function refuseLaterHeaders(names: HeaderNames, later: readonly string[]): void {
  for (const header of later) {
    if (names.has(header)) throw notSupportedYet(header);
  }
}

/** Whether it asks for a WebSocket. */
export function isWebSocket(request: Request): boolean {
  return request.headers.get('upgrade')?.toLowerCase() === 'websocket';
}

/** The media types of `Accept`, the preferred first, without those of quality 0; none: anything. */
export function acceptedTypes(request: Request): string[] {
  return (request.headers.get('accept') ?? '')
    .split(',')
    .map((part) => {
      const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
      const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      return { type, quality: quality === undefined ? 1 : Number(quality) };
    })
    .filter(({ type, quality }) => type !== '' && quality > 0)
    .sort((a, b) => b.quality - a.quality)
    .map(({ type }) => type);
}

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The caller's `x-request-id` if it is fit to be logged and sent back, else a new one. */
export function requestIdOf(request: Request): string {
  const given = request.headers.get('x-request-id');
  return given !== null && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}

/** The trace that a request belongs to, or null. */
export function requestTrace({ headers }: Request): Trace | null {
  return traceOf(headers.get(TRACEPARENT), headers.get(TRACESTATE));
}
