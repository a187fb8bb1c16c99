import type { Clock, Log } from '../platform.ts';
import { hostOf } from '../subscriptions/consent.ts';
import type { Consented, ConsentRequest, HandshakeMessage, SubscriptionApi } from '../subscriptions/protocol.ts';
import { describeFailure } from './answer.ts';
import type { UrlGuard } from './url-guard.ts';
import { abandon } from './webhook.ts';

/**
 * The validation handshake of CloudEvents' "HTTP 1.1 Web Hooks for Event Delivery", section 4: a receiver is asked by OPTIONS
 * whether it wants events from this hub, and says so in its answer or by calling back later.
 */

export interface HandshakeInit {
  method: 'OPTIONS';
  headers: Record<string, string>;
  redirect: 'manual';
  signal: AbortSignal;
}

export interface HandshakePorts {
  fetch: (url: string, init: HandshakeInit) => Promise<Response>;
  clock: Clock;
  guard: UrlGuard;
  /** The hub's, for the user agent. */
  version: string;
}

/** A receiver that has not answered for this long has not consented. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;
const SHOWN_CHARACTERS_MAX = 100;

export function isHandshakeMessage(message: unknown): message is HandshakeMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    'v' in message &&
    message.v === 1 &&
    'handshake' in message &&
    typeof message.handshake === 'string'
  );
}

/** Handles a queue message; never throws: the Subscription has its receiver asked again. */
export async function handleHandshake(
  { handshake: name }: HandshakeMessage,
  ports: HandshakePorts & {
    subscription: (name: string) => Pick<SubscriptionApi, 'consentRequest' | 'consentAnswer'>;
    log: Log;
    /** Where the hub is reached, if that is known. */
    hub: string | null;
  },
): Promise<void> {
  try {
    await askForConsent(name, ports.subscription(name), ports.hub, ports);
  } catch (error) {
    ports.log('warn', 'A receiver could not be asked for its consent; it will be asked again.', {
      subscription: name,
      error,
    });
  }
}

/**
 * Asks the receiver of a subscription for its consent, if it is to be asked, and notes what it said.
 *
 * @param hub where the hub is reached, a URL without a path; null if the caller does not know
 * @throws if the Subscription can't be reached
 */
export async function askForConsent(
  name: string,
  subscription: Pick<SubscriptionApi, 'consentRequest' | 'consentAnswer'>,
  hub: string | null,
  ports: HandshakePorts,
): Promise<void> {
  const request = await subscription.consentRequest(hub);
  if (request === null) return;
  const consent = await ask(name, request, ports);
  await subscription.consentAnswer({ token: request.token, consent });
}

async function ask(name: string, request: ConsentRequest, ports: HandshakePorts): Promise<Consented> {
  const { url, hub } = request;
  if (hub === null) return refused('The hub does not know its own name: set HUB_HOSTS, or resume the subscription.');
  const verdict = await ports.guard.check(url);
  if (!verdict.ok) return refused(`The receiver was not asked: ${verdict.detail}`);
  const origin = hostOf(hub);
  const headers = {
    'user-agent': `Millrace/${ports.version}`,
    'webhook-request-origin': origin,
    'webhook-request-callback': callbackUrl(hub, name, request.token),
    ...(request.perMinute === null ? {} : { 'webhook-request-rate': String(request.perMinute) }),
  };
  const abort = new AbortController();
  try {
    const init: HandshakeInit = { method: 'OPTIONS', headers, redirect: 'manual', signal: abort.signal };
    const fetched = ports.fetch(verdict.url, init);
    const response = await Promise.race([fetched, ports.clock.sleep(HANDSHAKE_TIMEOUT_MS).then(() => null)]);
    if (response !== null) response.body?.cancel().catch(() => undefined);
    if (response !== null) return consentIn(response, origin);
    abandon(fetched, abort);
    return refused(`The receiver did not answer OPTIONS within ${HANDSHAKE_TIMEOUT_MS} ms.`);
  } catch (error) {
    const { pathname, search } = new URL(url);
    return refused(
      `The receiver could not be asked: ${describeFailure(error, [url, pathname + search, request.token])}`,
    );
  }
}

/** Where a hub of these names (HUB_HOSTS) is reached, by the first of them; null if it has none. */
export function namedHub(hubHosts: string, protocol = 'https:'): string | null {
  const [first = ''] = hubHosts.split(',').map((host) => host.trim());
  return first === '' ? null : (URL.parse(`${protocol}//${first}`)?.origin ?? null);
}

/** What a receiver calls to consent later, by GET or POST. */
export function callbackUrl(hub: string, subscription: string, token: string): string {
  return `${hub}/v1/subscriptions/${subscription}/handshake/${token}`;
}

/** Section 4.2: the headers alone consent, whatever the status; but who redirects speaks for another place. */
export function consentIn({ status, headers }: Response, origin: string): Consented {
  if (status >= 300 && status < 400) return refused(`The receiver answered ${status}: redirects are not followed.`);
  const allowed = headers.get('webhook-allowed-origin')?.trim() ?? '';
  if (allowed === '') return refused(`The receiver answered ${status} without WebHook-Allowed-Origin.`);
  if (allowed !== '*' && allowed.toLowerCase() !== origin.toLowerCase()) {
    return refused(`The receiver allows ${allowed.slice(0, SHOWN_CHARACTERS_MAX)}, and not ${origin}.`);
  }
  const rate = allowedRate(headers.get('webhook-allowed-rate'));
  if (rate !== null) return { given: true, perMinute: rate.perMinute };
  return refused('The WebHook-Allowed-Rate of the receiver is neither * nor a number of requests a minute.');
}

/** Section 4.2.2: `*` or a positive number of requests a minute; without it, what was asked for. Null if it is neither. */
export function allowedRate(value: string | null): { perMinute: number | null } | null {
  const text = value?.trim() ?? '*';
  if (text === '*') return { perMinute: null };
  return /^[1-9]\d{0,8}$/.test(text) ? { perMinute: Number(text) } : null;
}

function refused(reason: string): Consented {
  return { given: false, reason };
}
