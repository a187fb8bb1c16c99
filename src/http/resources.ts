import { healthRoutes } from './health.ts';
import type { Route } from './route.ts';
import { topicsRoutes } from './topics.ts';

/** Every route of the hub, in the order of the docs. */
export const ROUTES: readonly Route[] = [...topicsRoutes, ...healthRoutes];
