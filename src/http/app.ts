import { Hono, type Context as HonoContext } from 'hono';
import { ANYONE, accessOf, type Caller } from '../access/authenticate.ts';
import type { Env } from '../env.ts';
import { type Trace, traceIdOf } from '../events/trace.ts';
import { preflight, shareWithOrigin } from './cors.ts';
import { requestIdOf, requestTrace } from './headers.ts';
import { type Hub, hubOf } from './hub.ts';
import { laterPath, matchPath } from './later.ts';
import { notSupportedYet, Problem, problemOf, renderProblem } from './problem.ts';
import { ROUTES } from './resources.ts';
import type { Route } from './route.ts';
import { SegmentRouter } from './router.ts';

/** Hono routes; everything else that all routes share is here (who is asking, what a failure becomes) and in route.ts. */
type Bindings = { Bindings: Serving };

/** A request being served, and what its line in the log will say. */
interface Serving {
  hub: Hub;
  requestId: string;
  trace: Trace | null;
  /** Its path as the docs have it, once that is known: what stands in the braces may be anything. */
  route: string | null;
  /** Whose key it came with, once that is known. */
  key: string | null;
}

const app = new Hono<Bindings>({ router: new SegmentRouter() });
for (const route of ROUTES) {
  app.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ':$1'), (context) => answer(route, context));
}
app.notFound((context) => refuseUnrouted(context.req.raw, context.env.hub));
app.onError((error, context) => failure(error, context.req.raw, context.env));

/** Answers a request. Never throws: what goes wrong becomes a problem document. */
export async function handleRequest(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  return serve(request, hubOf(env, ctx));
}

/** {@link handleRequest} over a hub of the caller's choosing. */
export async function serve(request: Request, hub: Hub): Promise<Response> {
  const startedAt = hub.now();
  const serving: Serving = {
    hub,
    requestId: requestIdOf(request),
    trace: requestTrace(request),
    route: null,
    key: null,
  };
  const response = preflight(request, hub.corsOrigins) ?? (await app.fetch(request, serving));
  response.headers.set('x-request-id', serving.requestId);
  shareWithOrigin(response, request, hub.corsOrigins);
  if (request.url.includes('token=')) keepToOneself(response);
  hub.log('info', 'request', {
    method: request.method,
    route: serving.route,
    status: response.status,
    ms: hub.now() - startedAt,
    key: serving.key,
    ...idsOf(serving),
  });
  return response;
}

function idsOf({ requestId, trace }: Serving): { requestId: string; traceId?: string } {
  return { requestId, ...(trace !== null && { traceId: traceIdOf(trace) }) };
}

async function answer(route: Route, context: HonoContext<Bindings>): Promise<Response> {
  const request = context.req.raw;
  const { hub, requestId, trace } = context.env;
  context.env.route = route.path;
  const caller = route.open ? ANYONE : await authenticated(request, hub, route.queryToken);
  context.env.key = route.open ? null : caller.name;
  return route.answer({
    hub,
    request,
    requestId,
    trace,
    caller,
    pathParams: context.req.param(),
  });
}

/** A token in a URL is nobody else's: neither the next page is told where its visitor came from, nor a cache keeps the answer. */
function keepToOneself({ headers }: Response): void {
  headers.set('referrer-policy', 'no-referrer');
  headers.set('cache-control', 'no-store');
}

/** @throws Problem `unauthorized`, `not-configured` */
async function authenticated(request: Request, hub: Hub, queryToken = false): Promise<Caller> {
  const access = accessOf(hub);
  if ('missing' in access) {
    const how = access.missing === 'HUB_SECRET' ? ' (base64 of 32 random bytes: openssl rand -base64 32)' : '';
    throw new Problem(
      'not-configured',
      `Set the Worker secret ${access.missing}${how}: npx wrangler secret put ${access.missing}.`,
    );
  }
  const authorization = request.headers.get('authorization');
  const token = queryToken && authorization === null ? new URL(request.url).searchParams.get('token') : null;
  const result =
    token === null ? await access.authenticate(authorization, hub) : await access.authenticateToken(token, hub);
  if (result.outcome === 'known') return result.caller;
  const refusal = token === null ? REFUSALS[result.outcome] : TOKEN_REFUSALS[result.outcome];
  throw new Problem('unauthorized', refusal, {
    headers: { 'www-authenticate': result.outcome === 'no-key' ? 'Bearer' : 'Bearer error="invalid_token"' },
  });
}

const REFUSALS = {
  'no-key': 'Send a key: Authorization: Bearer <key>.',
  'bad-key': 'The key is not one of this hub.',
  'expired-key': 'The key has expired.',
  'revoked-key': 'The key was deleted.',
};

const TOKEN_REFUSALS = {
  'no-key': REFUSALS['no-key'],
  'bad-key': 'The token is not one of this hub. A key goes into the Authorization header, and into no URL.',
  'expired-key': 'The token has expired. Make another one: POST /v1/tokens.',
  'revoked-key': 'The key that made the token is not valid any more.',
};

/** What no route takes: another method of a path that has routes, what comes later, or nothing at all. */
async function refuseUnrouted(request: Request, hub: Hub): Promise<Response> {
  const path = decoded(new URL(request.url).pathname);
  const here = ROUTES.filter((route) => matchPath(route.path, path) !== null);
  const allow = [...new Set(here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))), 'OPTIONS'];
  if (here.length > 0 && request.method === 'OPTIONS') {
    return new Response(null, { status: 204, headers: { allow: allow.join(', ') } });
  }
  const later = laterPath(path, request.method);
  const open =
    later?.open ??
    (here.some((route) => route.open) || !/^\/(v1|registry)(\/|$)|^\/(metrics|asyncapi\.json)$/.test(path));
  if (!open) await authenticated(request, hub);
  if (here.length > 0) {
    throw new Problem('method-not-allowed', `${request.method} is not possible here, but ${allow.join(', ')}.`, {
      headers: { allow: allow.join(', ') },
    });
  }
  if (later !== null) throw notSupportedYet(path, `${request.method} ${path} is not supported by this version yet.`);
  throw new Problem('not-found', `Nothing is at ${path}. The interface is described at /docs.`);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function failure(error: unknown, request: Request, serving: Serving): Response {
  const { hub, requestId } = serving;
  const { pathname } = new URL(request.url);
  const known = problemOf(error);
  if (known === null || known.status >= 500) {
    hub.log(known === null ? 'error' : 'warn', 'A request failed.', {
      ...idsOf(serving),
      method: request.method,
      route: serving.route,
      error,
    });
  }
  const problem =
    known ?? new Problem('internal-error', `Something went wrong. If it stays, look for ${requestId} in the log.`);
  return renderProblem(problem, pathname, requestId);
}
