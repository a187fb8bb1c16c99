import { z } from 'zod';
import { recordAudit } from '../access/audit.ts';
import { DOCUMENT_MAX_BYTES, readJson } from './body.ts';
import { Context, type Exchange, type Needed } from './context.ts';
import { guardOf, headerNames, refuseLaterHeaders } from './headers.ts';
import { type Later, parseFields, parseQuery } from './parse.ts';
import type { DeclaredProblem } from './problem.ts';

/*
 * How a resource is written: its file exports `const somethingRoutes: Route[] = [route({ … }), …]`, and app.ts mounts it.
 * A route says what it takes, needs and answers; `route` does the rest for all alike, in this order: parse the path (400)
 * · authorise by it (403) · headers, query, body (400, each bad field named) · authorise by those (403) · handler · audit.
 * So a handler gets only valid input of a caller who may, and throws a Problem (problem.ts) for what it finds.
 * The caller was authenticated (401) by app.ts before. Fields and parameters that resources share are in fields.ts;
 * topics.ts is a good one to copy.
 */

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

export type Shape = Record<string, z.ZodType>;
type Fields<S extends Shape> = z.output<z.ZodObject<S, z.core.$strict>>;

/** The schema of each status a route answers with; null: no body. */
export type Responses = Record<number, z.ZodType | null>;

/** An answer in JSON (null where the status has no body), checked against the route's `responses` by the compiler. */
export type Reply<R extends Responses> = {
  [S in keyof R & number]: {
    status: S;
    body: R[S] extends z.ZodType ? z.output<R[S]> : null;
    headers?: Record<string, string>;
  };
}[keyof R & number];

export interface Input<P, Q, B> {
  params: P;
  query: Q;
  body: B;
}

/** What the docs and app.ts know of a route. */
export interface RouteDescription {
  method: Method;
  /** `/v1/topics/{topic}` */
  path: string;
  /** Heading in the docs: `Topics`. */
  tag: string;
  summary: string;
  description?: string;
  /** No key needed. */
  open?: true;
  /** A token may come in the query, as `token`, instead of the `Authorization` header: where it reads, and nothing else. */
  queryToken?: true;
  /** One zod type for each `{name}` of the path. */
  params: Shape;
  /** One zod type for each parameter, parsed from its string; a z.array for one that may be repeated. */
  query: Shape;
  /** The JSON body: strict objects name unknown fields by themselves. `noBody` where there is none. */
  body: z.ZodType;
  /** The body is read by the handler, in one of these media types; `body` is then `noBody`. */
  rawBody?: { content: Record<string, z.ZodType>; description: string };
  /** Top-level fields of the body that a GET returns and this ignores. */
  readOnly?: readonly string[];
  /** Where a document may be larger than most. */
  bodyMaxBytes?: number;
  /** Fields of the body refused as `not-supported-yet`. */
  laterBody?: Later;
  /** Request headers with a meaning here, and which. */
  headers?: Record<string, string>;
  /** Request headers refused as `not-supported-yet`. */
  laterHeaders?: readonly string[];
  /** Takes `If-Match`: the handler must heed `context.guard`. */
  guarded?: true;
  /** In words, where it is not plain: `read:{topic}`. */
  scopes: string;
  responses: Responses;
  /** Media types of the answer, where it is not JSON alone. */
  produces?: readonly string[];
  /** Media types of answers that are streams, and what each line, or the data of each event, is. */
  streams?: Readonly<Record<string, z.ZodType>>;
  /** What it may refuse with, beyond what every route may. */
  problems?: readonly DeclaredProblem[];
}

interface RouteSpec<P extends Shape, Q extends Shape, B extends z.ZodType, R extends Responses>
  extends RouteDescription {
  params: P;
  query: Q;
  body: B;
  responses: R;
  /** What the caller's key must grant, as far as the path says it. */
  needs?: (params: Fields<P>) => Needed[];
  /** What else, known only from the query or the body. */
  needsOfInput?: (input: Input<Fields<P>, Fields<Q>, z.output<B>>) => Needed[];
  /** Recorded when the answer is a 2xx: an action as `subscription.update`, and its target's name. Never a secret. */
  audit?: (input: Input<Fields<P>, Fields<Q>, z.output<B>>, status: number) => { action: string; target: string };
  handler: (
    input: Input<Fields<P>, Fields<Q>, z.output<B>>,
    context: Context,
  ) => Promise<Reply<NoInfer<R>> | Response> | Reply<NoInfer<R>> | Response;
}

export interface Route extends RouteDescription {
  /** @throws Problem */
  answer(exchange: Exchange): Promise<Response>;
}

export function route<P extends Shape, Q extends Shape, B extends z.ZodType, R extends Responses>(
  spec: RouteSpec<P, Q, B, R>,
): Route {
  const { needs, needsOfInput, audit, handler, ...description } = spec;
  const paramsSchema = z.strictObject(spec.params);
  const querySchema = z.strictObject(spec.query);
  // Most requests have no query and many no body of JSON: what that means is the same every time.
  const emptyQuery = querySchema.safeParse({});
  const emptyBody = spec.method === 'GET' || spec.rawBody !== undefined ? parseFields(spec.body, {}, 'body') : null;
  const parseParams = remembering((given: Record<string, string>) => parseFields(paramsSchema, given, 'path'));
  const readBody = async (request: Request): Promise<z.output<B>> =>
    emptyBody ??
    readJson(request, spec.body, spec.readOnly ?? [], spec.laterBody ?? {}, spec.bodyMaxBytes ?? DOCUMENT_MAX_BYTES);
  return {
    ...description,
    async answer(exchange) {
      const params = parseParams(exchange.pathParams);
      const { request } = exchange;
      const names = headerNames(request);
      const context = new Context(exchange, guardOf(request, names, spec.guarded ?? false));
      for (const need of needs?.(params) ?? []) context.require(need);
      refuseLaterHeaders(names, spec.laterHeaders ?? []);
      const hasQuery = request.url.includes('?') || !emptyQuery.success;
      const query = hasQuery ? parseQuery(querySchema, context.url.searchParams) : emptyQuery.data;
      const input = { params, query, body: await readBody(request) };
      for (const need of needsOfInput?.(input) ?? []) context.require(need);
      const reply = await handler(input, context);
      if (audit !== undefined && reply.status < 300) {
        recordAudit(exchange.hub, {
          key: context.caller.name,
          requestId: exchange.requestId,
          ...audit(input, reply.status),
        });
      }
      return reply instanceof Response ? reply : jsonResponse(reply);
    },
  };
}

/** Names that were right once are right again; so many are kept. */
const PARAMS_REMEMBERED = 1_000;

function remembering<T>(parse: (given: Record<string, string>) => T): (given: Record<string, string>) => T {
  const known = new Map<string, T>();
  return (given) => {
    const key = Object.values(given).join('/');
    const before = known.get(key);
    if (before !== undefined) return before;
    const parsed = parse(given);
    if (known.size >= PARAMS_REMEMBERED) known.clear();
    known.set(key, parsed);
    return parsed;
  };
}

function jsonResponse(reply: { status: number; body: unknown; headers?: Record<string, string> }): Response {
  const headers = { ...reply.headers };
  if (reply.body === null) return new Response(null, { status: reply.status, headers });
  return new Response(JSON.stringify(reply.body), {
    status: reply.status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}
