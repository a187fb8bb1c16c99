import { z } from 'zod';
import { VERSION } from '../version.ts';
import { noBody } from './body.ts';
import type { Json } from './parse.ts';
import { type DeclaredProblem, PROBLEMS, type ProblemCode } from './problem.ts';
import type { RouteDescription } from './route.ts';

/** The OpenAPI 3.1 document, made from the routes and their zod schemas. */

export interface OpenApiDocument {
  openapi: string;
  info: { title: string; version: string; description: string; license: { name: string; identifier: string } };
  security: Json[];
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, Json>; schemas: Record<string, JsonObject> };
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security?: Json[];
  /** What the key's scopes must grant, in words. */
  'x-scopes': string;
  parameters: Parameter[];
  requestBody?: RequestBody;
  responses: Record<string, Answer>;
}

interface Answer {
  description: string;
  headers: Record<string, JsonObject>;
  content?: Record<string, { schema: JsonObject }>;
}

interface RequestBody {
  required: boolean;
  description?: string;
  content: Record<string, { schema: JsonObject }>;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  description?: string;
  schema: JsonObject;
}

export type JsonObject = { [key: string]: Json };

/** What any route with a key may refuse with. */
const COMMON_PROBLEMS: readonly ProblemCode[] = [
  'invalid-request',
  'not-supported-yet',
  'unauthorized',
  'forbidden',
  'internal-error',
  'not-configured',
  'not-migrated',
  'unavailable',
];
/** A route that takes no body looks at one all the same, so that a field sent to it is named. */
const BODY_PROBLEMS: readonly ProblemCode[] = [
  'invalid-json',
  'incomplete-body',
  'payload-too-large',
  'unsupported-media-type',
];

const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What to change.' }),
    instance: z.string(),
    code: z.string().meta({ description: 'Stable: programs go by it.' }),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. Some codes add members of their own.' });

const EVERY_ANSWER: Record<string, JsonObject> = {
  'x-request-id': { description: 'The one that the request came with, or a new one.', schema: { type: 'string' } },
};

export function openApiDocument(routes: readonly RouteDescription[]): OpenApiDocument {
  const schemas = new Components();
  const paths: OpenApiDocument['paths'] = {};
  for (const route of routes) {
    const operations = paths[route.path] ?? {};
    operations[route.method.toLowerCase()] = operationOf(route, schemas);
    paths[route.path] = operations;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version: VERSION,
      description: 'POST an event, and everyone subscribed has it: signed, once recorded, never lost, replayable.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ key: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'A key of the hub.' } },
      schemas: schemas.all(),
    },
  };
}

function operationOf(route: RouteDescription, schemas: Components): Operation {
  const body = requestBodyOf(route, schemas);
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    ...(route.open && { security: [] }),
    'x-scopes': route.scopes,
    parameters: parametersOf(route, schemas),
    ...(body !== null && { requestBody: body }),
    responses: responsesOf(route, schemas),
  };
}

/** `put-v1-topics-topic` */
function operationId({ method, path }: RouteDescription): string {
  return `${method.toLowerCase()}${path.replaceAll(/[{}]/g, '').replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
}

function parametersOf(route: RouteDescription, schemas: Components): Parameter[] {
  const parameters: Parameter[] = [];
  const add = (name: string, place: Parameter['in'], required: boolean, full: JsonObject) => {
    const { description, ...schema } = full;
    parameters.push({ name, in: place, required, ...(typeof description === 'string' && { description }), schema });
  };
  for (const [name, schema] of Object.entries(route.params)) add(name, 'path', true, schemas.of(schema, 'input'));
  for (const [name, schema] of Object.entries(route.query)) {
    add(name, 'query', !schema.safeParse(undefined).success, schemas.of(schema, 'input'));
  }
  for (const [name, description] of Object.entries(route.headers ?? {})) {
    add(name, 'header', false, { type: 'string', description });
  }
  if (route.guarded) {
    add('if-match', 'header', false, {
      type: 'string',
      description: 'The etag of a GET: 412 if it has changed since. `*`: 412 if it is not there.',
    });
  }
  return parameters;
}

function requestBodyOf(route: RouteDescription, schemas: Components): RequestBody | null {
  if (route.rawBody !== undefined) {
    const { description } = route.rawBody;
    const content = Object.entries(route.rawBody.content).map(([type, schema]) => [
      type,
      { schema: schemas.of(schema, 'input') },
    ]);
    return { required: true, description, content: Object.fromEntries(content) };
  }
  if (route.body === noBody) return null;
  return {
    required: !route.body.safeParse({}).success,
    content: { 'application/json': { schema: schemas.of(route.body, 'input') } },
  };
}

function responsesOf(route: RouteDescription, schemas: Components): Operation['responses'] {
  const responses: Operation['responses'] = {};
  for (const [status, schema] of Object.entries(route.responses)) {
    const whole = (route.produces ?? ['application/json']).map((type) => [type, schema] as const);
    const content = [...whole, ...Object.entries(route.streams ?? {})].flatMap(([type, of]) =>
      of === null ? [] : [[type, { schema: schemas.of(of, 'output') }]],
    );
    responses[status] = {
      description: 'Done.',
      headers: EVERY_ANSWER,
      ...(schema !== null && { content: Object.fromEntries(content) }),
    };
  }
  const problems = problemsOf(route).map((problem) =>
    typeof problem === 'string' ? { code: problem, status: PROBLEMS[problem].status } : problem,
  );
  for (const status of new Set(problems.map((problem) => problem.status))) {
    const here = problems.filter((problem) => problem.status === status);
    responses[status] = {
      description: here.map(({ code }) => code).join(', '),
      headers: EVERY_ANSWER,
      content: { 'application/problem+json': { schema: schemas.of(problemSchema, 'output') } },
    };
  }
  return responses;
}

function problemsOf(route: RouteDescription): DeclaredProblem[] {
  const own = route.problems ?? [];
  if (route.open) return ['invalid-request', ...own];
  return [
    ...new Set<DeclaredProblem>([
      ...COMMON_PROBLEMS,
      ...(route.method === 'GET' ? [] : BODY_PROBLEMS),
      ...(route.guarded ? (['precondition-failed'] as const) : []),
      ...own,
    ]),
  ];
}

/** JSON Schemas; those with an id are written once and referred to. */
class Components {
  readonly #schemas: Record<string, JsonObject> = {};

  of(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
    // Through text: what zod gives is typed more loosely than the JSON it is.
    const json = JSON.stringify(
      z.toJSONSchema(schema, { io, unrepresentable: 'any', target: 'draft-2020-12', override: asSaid }),
    );
    const {
      $schema: _,
      $defs,
      id,
      ...own
    }: JsonObject = JSON.parse(json.replaceAll('#/$defs/', '#/components/schemas/'));
    for (const [name, definition] of Object.entries(objectOrEmpty($defs))) this.#add(name, definition);
    if (typeof id !== 'string') return own;
    this.#add(id, own);
    return { $ref: `#/components/schemas/${id}` };
  }

  all(): Record<string, JsonObject> {
    return Object.fromEntries(Object.entries(this.#schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #add(name: string, definition: Json): void {
    const { id: _, ...own } = objectOrEmpty(definition);
    this.#schemas[name] = own;
  }
}

/** What a field says of itself stands: zod leaves out the default and the examples of what is made into something else. */
function asSaid({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodType;
  jsonSchema: z.core.JSONSchema.BaseSchema;
}): void {
  const said = z.globalRegistry.get(zodSchema);
  if (said?.default !== undefined) jsonSchema.default = said.default;
  if (Array.isArray(said?.examples)) jsonSchema.examples = said.examples;
}

function objectOrEmpty(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}
