import { isConfigured, missingBinding } from '../deliveries/bindings.ts';
import { type UrlGuard, urlGuard } from '../deliveries/url-guard.ts';
import type { Clock } from '../platform.ts';
import type { Context } from './context.ts';
import type { Hub } from './hub.ts';
import { invalid, unavailable } from './problem.ts';
import type { SubscriptionBody } from './subscription-schema.ts';

/** What a webhook's URL is judged by within a request: the request's own host is the hub's, whatever HUB_HOSTS says. */
export function urlGuardOf({ hub, url }: Context): UrlGuard {
  const { webhookAllowHosts: allowHosts, hubHosts, dnsResolver: resolver } = hub;
  const options = { allowHosts, hubHosts: `${hubHosts},${ownHost(url)}`, resolver };
  return urlGuard(options, { fetch: (to, init) => hub.fetch(to, init), clock: clockOf(hub) });
}

export function clockOf(hub: Hub): Clock {
  return { now: () => hub.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };
}

/**
 * Refuses a delivery that can't get anywhere: a URL that a webhook may not be sent to, a binding that this deployment does
 * not have.
 *
 * @param urlField where the caller has the url
 * @throws Problem as {@link checkUrl}
 */
export async function checkDelivery(
  delivery: SubscriptionBody['delivery'],
  context: Context,
  urlField = 'delivery.url',
): Promise<void> {
  switch (delivery.kind) {
    case 'webhook':
      return checkUrl(delivery.url, urlField, context);
    case 'queue':
    case 'service': {
      const { bindings } = context.hub;
      if (isConfigured(bindings, delivery.kind, delivery.binding)) return;
      const message = missingBinding(bindings, delivery.kind, delivery.binding);
      throw invalid([{ path: 'delivery.binding', message }]);
    }
    case 'pull':
      return;
  }
}

/**
 * Refuses a URL that a webhook may not be sent to.
 *
 * @param path the field that holds it
 * @throws Problem `url-not-allowed`, `invalid-request`; `unavailable` where its name can't be looked up
 */
export async function checkUrl(webhookUrl: string, path: string, context: Context): Promise<void> {
  const verdict = await urlGuardOf(context).check(webhookUrl);
  if (verdict.ok) return;
  switch (verdict.code) {
    case 'look-up-failed':
      throw unavailable(`${path}: ${verdict.detail} Nothing was changed; try again.`);
    case 'invalid-url':
      throw invalid([{ path, message: verdict.detail }]);
    case 'name-unknown':
      throw invalid([{ path, message: `${verdict.detail} Make its DNS record first.` }], 'url-not-allowed');
    default:
      throw invalid([{ path, message: verdict.detail }], 'url-not-allowed');
  }
}

/** A public host is the hub on every port; on a machine of one's own other ports are other programs. */
function ownHost(url: URL): string {
  const local = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return local ? `${url.hostname}:${port}` : url.hostname;
}
