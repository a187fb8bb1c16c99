import { RETRY_AFTER_MAX_MS } from '../subscriptions/limits.ts';
import type { DeliveryOutcome } from '../subscriptions/protocol-claims.ts';

/** What a receiver's answer means. */

export type Answer =
  | Pick<Extract<DeliveryOutcome, { kind: 'delivered' }>, 'kind' | 'status'>
  | Pick<Extract<DeliveryOutcome, { kind: 'failed' }>, 'kind' | 'outcome' | 'status' | 'error' | 'retryAfterMs'>;

export const ERROR_LENGTH_MAX = 300;
const LOCATION_LENGTH_MAX = 200;
const TOO_MANY_REQUESTS = 429;
const SERVICE_UNAVAILABLE = 503;

/**
 * 2xx is delivered; all else failed, a redirect too: it is never followed.
 *
 * @param now for a `Retry-After` with a date
 * @param sensitive what the error must not repeat
 */
export function interpret(response: Response, now: number, sensitive: () => string[]): Answer {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  const waits = status === TOO_MANY_REQUESTS || status === SERVICE_UNAVAILABLE;
  return {
    kind: 'failed',
    outcome: 'failed',
    status,
    error: withoutSecrets(answerError(response), sensitive()),
    retryAfterMs: waits ? parseRetryAfter(response.headers.get('retry-after'), now) : null,
  };
}

function answerError(response: Response): string {
  const { status } = response;
  if (status === 410) return 'Answered 410: the receiver wants no more events.';
  if (status < 300 || status >= 400 || status === 304) return `Answered ${status}.`;
  const location = response.headers.get('location');
  // A receiver that only redirects to another spelling repeats the query it was sent.
  const to = location === null ? '' : ` to ${(location.split('?', 1)[0] ?? '').slice(0, LOCATION_LENGTH_MAX)}`;
  return `Answered ${status}${to}: redirects are not followed, point the subscription at the final URL.`;
}

/** The three forms of RFC 9110, 5.6.7; the last has no zone and means GMT. */
const IMF_OR_RFC850_DATE = /^[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/;
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/** Milliseconds to wait from `now`, at most 24 h; null for what is neither seconds nor an HTTP date. */
export function parseRetryAfter(value: string | null, now: number): number | null {
  const text = value?.trim() ?? '';
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : httpDate(text) - now;
  return Number.isNaN(wait) ? null : Math.min(Math.max(0, wait), RETRY_AFTER_MAX_MS);
}

/** Milliseconds since the epoch, or NaN. */
function httpDate(text: string): number {
  if (IMF_OR_RFC850_DATE.test(text)) return Date.parse(text);
  return ASCTIME_DATE.test(text) ? Date.parse(`${text} GMT`) : Number.NaN;
}

/**
 * Why a request got no answer, for a person: the platform's own words, without any of `sensitive` in them.
 */
export function describeFailure(error: unknown, sensitive: string[]): string {
  const words = causes(error).map(({ message, code }) => (code === null ? message : `${message} (${code})`));
  const told = words.filter((word) => word !== '').join(': ') || 'The request failed.';
  // Workers' word for a name that does not resolve, and for an answer that is none, which helps nobody.
  const text = told.startsWith('internal error') ? `${UNTOLD} (${told})` : told;
  return withoutSecrets(text, sensitive).slice(0, ERROR_LENGTH_MAX);
}

const UNTOLD = 'The host could not be reached, or what it answered is no HTTP; does its name exist?';

function withoutSecrets(text: string, sensitive: string[]): string {
  const secrets = sensitive
    .filter((secret) => secret.length >= SENSITIVE_LENGTH_MIN)
    .sort((a, b) => b.length - a.length);
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '…'), text);
}

/** Shorter ones (`/`, `1`, `true`) would blot out the text, and give nothing away. */
const SENSITIVE_LENGTH_MIN = 6;
const CAUSES_MAX = 3;

/** Node wraps what happened ("fetch failed") around why. */
function causes(error: unknown): { message: string; code: string | null }[] {
  const chain: { message: string; code: string | null }[] = [];
  for (let at = error; at instanceof Error && chain.length < CAUSES_MAX; at = at.cause) {
    chain.push({ message: at.message, code: 'code' in at && typeof at.code === 'string' ? at.code : null });
  }
  return chain.length > 0 ? chain : [{ message: String(error), code: null }];
}
