import { deadLetterRoutes } from './dead-letters.ts';
import { deliveryRoutes } from './deliveries.ts';
import { healthRoutes } from './health.ts';
import { replayRoutes } from './replays.ts';
import type { Route } from './route.ts';
import { subscriptionActionRoutes } from './subscription-actions.ts';
import { subscriptionRoutes } from './subscriptions.ts';
import { topicsRoutes } from './topics.ts';

/** Every route of the hub, in the order of the docs. */
export const ROUTES: readonly Route[] = [
  ...topicsRoutes,
  ...deliveryRoutes,
  ...subscriptionRoutes,
  ...subscriptionActionRoutes,
  ...replayRoutes,
  ...deadLetterRoutes,
  ...healthRoutes,
];
