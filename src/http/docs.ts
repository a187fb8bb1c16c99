import { z } from 'zod';
import { noBody } from './body.ts';
import { docsPage } from './docs-page.ts';
import { openApiDocument } from './openapi.ts';
import { type Route, type RouteDescription, route } from './route.ts';

const CACHE_CONTROL = 'public, max-age=300';
/** The page has styles of its own and nothing else. */
const CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const open = {
  method: 'GET',
  tag: 'Running it',
  open: true,
  params: {},
  query: {},
  body: noBody,
  scopes: 'none',
} as const;

/** What describes the hub, these routes included. `all` is called when somebody asks. */
export function docsRoutes(all: () => readonly RouteDescription[]): Route[] {
  let made: { json: string; page: string } | null = null;
  const make = () => {
    if (made === null) {
      const document = openApiDocument(all());
      made = { json: JSON.stringify(document), page: docsPage(document) };
    }
    return made;
  };
  return [
    route({
      ...open,
      path: '/openapi.json',
      summary: 'This interface as OpenAPI 3.1',
      responses: { 200: z.looseObject({ openapi: z.string() }) },
      handler: () =>
        new Response(make().json, { headers: { 'content-type': 'application/json', 'cache-control': CACHE_CONTROL } }),
    }),
    route({
      ...open,
      path: '/docs',
      summary: 'This interface as a page to read',
      responses: { 200: z.string() },
      produces: ['text/html'],
      handler: () =>
        new Response(make().page, {
          headers: {
            'content-type': 'text/html; charset=utf-8',
            'cache-control': CACHE_CONTROL,
            'content-security-policy': CONTENT_SECURITY_POLICY,
            'x-content-type-options': 'nosniff',
          },
        }),
    }),
    route({
      ...open,
      path: '/',
      summary: 'Leads to the docs',
      responses: { 302: null },
      handler: () => ({ status: 302, body: null, headers: { location: '/docs' } }),
    }),
  ];
}
