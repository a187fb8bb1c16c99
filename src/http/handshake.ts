import { z } from 'zod';
import { Catalog } from '../catalog/catalog.ts';
import { allowedRate, askForConsent, namedHub } from '../deliveries/handshake.ts';
import type { SubscriptionView } from '../subscriptions/protocol-views.ts';
import { noBody } from './body.ts';
import type { Context } from './context.ts';
import { nameField } from './fields.ts';
import { invalid, Problem } from './problem.ts';
import { type Route, route } from './route.ts';
import { webhookPorts } from './way-ports.ts';

/** The receiver's consent: asked for while somebody changes the subscription, or given by a call. */

/** The subscription as it is once its receiver has been asked, where it is to be. */
export async function consented(view: SubscriptionView, context: Context): Promise<SubscriptionView> {
  if (view.status !== 'pending') return view;
  const subscription = context.hub.subscription(view.name);
  await askForConsent(view.name, subscription, hubUrl(context), webhookPorts(context));
  return (await subscription.describe()) ?? view;
}

/** Where the hub is reached: by the first of its names, else by that of the request. */
function hubUrl({ hub, url }: Context): string {
  return namedHub(hub.hubHosts, url.protocol) ?? url.origin;
}

const TOKEN = /^[0-9a-f]{32}$/;

/** GET is for a person's browser; the specification wants both. */
function callback(method: 'GET' | 'POST'): Route {
  return route({
    method,
    path: '/v1/subscriptions/{name}/handshake/{token}',
    tag: 'Subscriptions',
    summary: 'A receiver consents',
    description:
      'The `WebHook-Request-Callback` of the handshake, which only the receiver was told: what was `pending` is delivered from now on. Consenting twice changes nothing.',
    open: true,
    params: { name: nameField, token: z.string() },
    query: {},
    body: noBody,
    ...(method === 'POST' && { rawBody: { content: { '*/*': z.unknown() }, description: 'Ignored.' } }),
    scopes: 'none: the token is the proof',
    headers: { 'WebHook-Allowed-Rate': 'Requests a minute, or `*`; without it as many as were asked for.' },
    responses: { 200: z.object({ subscription: z.string(), consent: z.literal('given') }) },
    problems: ['unknown-handshake'],
    handler: async ({ params: { name, token } }, { hub, request }) => {
      const rate = allowedRate(request.headers.get('webhook-allowed-rate'));
      if (rate === null) {
        throw invalid([{ path: 'webhook-allowed-rate', message: 'must be * or a number of requests a minute' }]);
      }
      // Who has no key shall not bring objects into being by asking for them.
      const mayBe = TOKEN.test(token) && (await new Catalog(hub.db).hasSubscription(name));
      const known = mayBe && (await hub.subscription(name).consentAnswer({ token, consent: { given: true, ...rate } }));
      if (!known)
        throw new Problem('unknown-handshake', 'Nobody was asked this, or the subscription has changed since.');
      return { status: 200, body: { subscription: name, consent: 'given' as const } };
    },
  });
}

export const handshakeRoutes: Route[] = [callback('GET'), callback('POST')];
