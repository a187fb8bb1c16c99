import type { SentRequest } from '../subscriptions/protocol-views.ts';
import type { Telling } from '../subscriptions/sent-requests.ts';

/** What a hub tells of a webhook's request later: everything but secrets. */

/** Stands for what is left out. */
export const LEFT_OUT = '…';

/** Headers whose values the hub makes itself. All others are a subscription's own, and may be credentials. */
const HUBS_OWN = /^(content-type|user-agent|traceparent|tracestate|webhook-.+|millrace-.+|ce-.+)$/;

/**
 * Tells of requests without secrets: of a signature its kind alone, of the subscription's own headers their names, of the
 * URL's query the names of its parameters.
 *
 * @param configured names of headers that the subscription sets, in any case
 */
export function telling(configured: Iterable<string>): Telling {
  const own = new Set(Array.from(configured, (name) => name.toLowerCase()));
  return {
    url: toldUrl,
    header(name, value) {
      if (own.has(name) || !HUBS_OWN.test(name)) return LEFT_OUT;
      return name === 'webhook-signature' ? kindsOf(value) : value;
    },
  };
}

/** One request as {@link telling} tells of it. */
export function toldRequest(url: string, headers: Record<string, string>, configured: Iterable<string>): SentRequest {
  const tell = telling(configured);
  const told = Object.entries(headers).map(([name, value]) => [name, tell.header(name, value)]);
  return { url: tell.url(url), headers: Object.fromEntries(told) };
}

/** `v1,…` of each signature. */
function kindsOf(signatures: string): string {
  return signatures.replace(/,[^ ]*/g, `,${LEFT_OUT}`);
}

function toldUrl(given: string): string {
  const url = URL.parse(given);
  if (url === null) return LEFT_OUT;
  const query = url.search.slice(1).split('&');
  // What stands alone may be the secret itself.
  const names = query.map((pair) => (pair.includes('=') ? `${pair.split('=', 1)[0]}=${LEFT_OUT}` : LEFT_OUT));
  return url.origin + url.pathname + (url.search === '' ? '' : `?${names.join('&')}`);
}
