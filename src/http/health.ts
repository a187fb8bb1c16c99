import { z } from 'zod';
import { noBody } from './body.ts';
import { type Route, route } from './route.ts';

export const healthRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/healthz',
    tag: 'Running it',
    summary: 'The hub answers',
    open: true,
    params: {},
    query: {},
    body: noBody,
    scopes: 'none',
    responses: { 200: z.object({ status: z.string() }) },
    handler: () => ({ status: 200, body: { status: 'ok' } }),
  }),
];
