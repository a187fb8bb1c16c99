import type { UrlGuardOptions } from '../deliveries/url-guard.ts';
import type { Context } from './context.ts';

/** What a webhook's URL is judged by within a request: the request's own host is the hub's, whatever HUB_HOSTS says. */
export function guardOptions({ hub, url }: Context): UrlGuardOptions {
  return { allowHosts: hub.webhookAllowHosts, hubHosts: `${hub.hubHosts},${ownHost(url)}` };
}

/** A public host is the hub on every port; on a machine of one's own other ports are other programs. */
function ownHost(url: URL): string {
  const local = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return local ? `${url.hostname}:${port}` : url.hostname;
}
