/** Which headers a subscription may add to its webhooks. */

/** The hub sets these itself; a configured one could forge them or misdescribe the body. */
const RESERVED = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'host',
  'user-agent',
  'traceparent',
  'tracestate',
]);
/** Of one connection, not of the request (RFC 9110, 7.6.1), or refused by the platform. */
const HOP_BY_HOP = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'cdn-loop',
]);
const RESERVED_PREFIXES = ['webhook-', 'millrace-', 'ce-', 'cf-'];

/** RFC 9110: a token. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, 5.5, in ASCII: no line break can smuggle in another header. */
const VALUE = /^[\t\x20-\x7e]*$/;

/** What is wrong with a configured header, for a person; null if nothing. Never repeats the value: it may be a secret. */
export function headerProblem(name: string, value: string): string | null {
  const lower = name.toLowerCase();
  if (!NAME.test(name)) return "A header name has letters, digits and !#$%&'*+-.^_`|~ only.";
  if (RESERVED.has(lower) || RESERVED_PREFIXES.some((prefix) => lower.startsWith(prefix))) {
    return `The hub sets ${lower} itself, or the platform does.`;
  }
  if (HOP_BY_HOP.has(lower)) return `${lower} belongs to the connection, not to the request.`;
  if (!VALUE.test(value)) return `The value of ${lower} has characters other than printable ASCII.`;
  return null;
}
