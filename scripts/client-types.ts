import { compile } from 'json-schema-to-typescript';
import { type JsonObject, type Operation, openApiDocument, type Parameter } from '../src/http/openapi.ts';
import { PROBLEMS } from '../src/http/problem.ts';
import { ROUTES } from '../src/http/resources.ts';

/*
 * The client's types: what each route takes and answers, and the codes of problems, from the same zod schemas by way of
 * the OpenAPI document. So the client needs no zod, and can't say anything else than the hub does.
 */

/** Routes for people and tools, of which the client has no call. */
const NOT_IN_THE_CLIENT: readonly string[] = ['GET /', 'GET /docs', 'GET /openapi.json'];

const BANNER = '// Made by `npm run client` from the schemas of src/http; a test says when it has to be run again.';

/** The text of src/client/wire.ts. */
export async function clientTypes(): Promise<string> {
  const { paths, components } = openApiDocument(ROUTES);
  const operations = Object.entries(paths)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
    )
    .filter(([name]) => !NOT_IN_THE_CLIENT.includes(name));
  const codes: JsonObject = { type: 'string', enum: Object.keys(PROBLEMS), description: 'Every refusal of the hub.' };
  const { Problem: problem = {}, ...schemas } = components.schemas;
  const schema: JsonObject = {
    ...objectOf(Object.fromEntries(operations.map(([name, operation]) => [name, shapeOf(operation)]))),
    description: 'Each route: what its path and query take, its body, and what it answers.',
    // Named by a route or not: what an event looks like on its way in is of use to whoever makes one.
    definitions: { ...schemas, Problem: withCode(problem), ProblemCode: codes },
  };
  const text = await compile(refersToDefinitions(schema), 'Routes', {
    bannerComment: BANNER,
    additionalProperties: false,
    unreachableDefinitions: true,
    ignoreMinAndMaxItems: true,
    style: { singleQuote: true, printWidth: 120 },
  });
  return text.replace(MADE_FROM, '').replace(EMPTY_COMMENT, '');
}

/** What the generator says of where a type comes from, and of lengths, which the hub checks; with the empty line before it. */
const MADE_FROM =
  /(?:^ *\*\n)?(?:^ *\* This interface was referenced by .*\n^ *\* via the `definition` .*\n|(?:^ *\* @(?:max|min)Items \d+\n)+)/gm;
const EMPTY_COMMENT = /^ *\/\*\*\n *\*\/\n/gm;

function refersToDefinitions(schema: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', '#/definitions/'));
}

function withCode(problem: JsonObject): JsonObject {
  const { properties } = problem;
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) return problem;
  return { ...problem, properties: { ...properties, code: { $ref: '#/components/schemas/ProblemCode' } } };
}

function shapeOf({ parameters, requestBody, responses }: Operation): JsonObject {
  const body = requestBody?.content['application/json']?.schema;
  return objectOf(
    {
      params: objectOf(parametersIn('path', parameters)),
      query: objectOf(parametersIn('query', parameters), requiredIn('query', parameters)),
      ...(body !== undefined && { body }),
      answer: answerOf(responses),
    },
    ['params', 'query', ...(body !== undefined && requestBody?.required === true ? ['body'] : []), 'answer'],
  );
}

/** Of its 2xx, which differ in nothing but the status. */
function answerOf(responses: Operation['responses']): JsonObject {
  const contents = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  for (const [, { content = {} }] of contents) {
    const [first] = Object.values(content);
    if (first !== undefined) return first.schema;
  }
  return { type: 'null' };
}

function parametersIn(place: Parameter['in'], parameters: readonly Parameter[]): JsonObject {
  return Object.fromEntries(
    parameters
      .filter((parameter) => parameter.in === place)
      .map(({ name, schema, description }) => [name, { ...schema, ...(description !== undefined && { description }) }]),
  );
}

function requiredIn(place: Parameter['in'], parameters: readonly Parameter[]): string[] {
  return parameters.filter((parameter) => parameter.in === place && parameter.required).map(({ name }) => name);
}

function objectOf(properties: JsonObject, required: string[] = Object.keys(properties)): JsonObject {
  return { type: 'object', additionalProperties: false, properties, required };
}
