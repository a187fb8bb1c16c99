import { alertRoutes } from './alerts.ts';
import { auditRoutes } from './audit.ts';
import { configRoutes } from './config.ts';
import { deadLetterRoutes } from './dead-letters.ts';
import { deliveryRoutes } from './deliveries.ts';
import { docsRoutes } from './docs.ts';
import { eventsRoutes } from './events.ts';
import { handshakeRoutes } from './handshake.ts';
import { healthRoutes } from './health.ts';
import { hubSecretsRoutes } from './hub-secrets.ts';
import { keysRoutes } from './keys.ts';
import { metricsRoutes } from './metrics.ts';
import { publishRoutes } from './publish.ts';
import { pullRoutes } from './pull.ts';
import { replayRoutes } from './replays.ts';
import type { Route } from './route.ts';
import { subscriptionActionRoutes } from './subscription-actions.ts';
import { subscriptionPreviewRoutes } from './subscription-preview.ts';
import { subscriptionRoutes } from './subscriptions.ts';
import { tokensRoutes } from './tokens.ts';
import { topicsRoutes } from './topics.ts';

/** Every route of the hub, in the order of the docs. */
export const ROUTES: readonly Route[] = [
  ...publishRoutes,
  ...eventsRoutes,
  ...deliveryRoutes,
  ...topicsRoutes,
  ...subscriptionRoutes,
  ...subscriptionActionRoutes,
  ...subscriptionPreviewRoutes,
  ...pullRoutes,
  ...handshakeRoutes,
  ...alertRoutes,
  ...replayRoutes,
  ...deadLetterRoutes,
  ...keysRoutes,
  ...tokensRoutes,
  ...hubSecretsRoutes,
  ...auditRoutes,
  ...configRoutes,
  ...healthRoutes,
  ...metricsRoutes,
  ...docsRoutes(() => ROUTES),
];
