import { z } from 'zod';
import { jsonFaultIn } from '../json-fault.ts';
import { wording } from '../wording.ts';
import { type InputError, invalid, notSupportedYet } from './problem.ts';

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * What api.md promises and this version does not have: the values of a field or parameter that are refused for that. Any
 * other value is the schema's to judge, which knows the default alone. Paths into objects are dotted: `delivery.format`.
 */
export type Later = Record<string, z.ZodType>;

/** @throws Problem `invalid-request` naming each field that is wrong */
export function parseFields<S extends z.ZodType>(
  schema: S,
  value: unknown,
  where: 'path' | 'query' | 'body',
): z.output<S> {
  const result = schema.safeParse(value, { error: wording });
  if (result.success) return result.data;
  throw invalid(inputErrors(result.error, where === 'query' ? 'unknown parameter' : 'unknown field'));
}

/** Query parameters by name; one whose schema is an array may be repeated. */
export function parseQuery<S extends z.ZodObject>(schema: S, search: URLSearchParams): z.output<S> {
  const values: Record<string, string | string[]> = Object.create(null);
  const errors: InputError[] = [];
  for (const name of new Set(search.keys())) {
    const given = search.getAll(name);
    const [first = ''] = given;
    if (isRepeatable(Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined)) {
      values[name] = given;
    } else if (given.length > 1) {
      errors.push({ path: name, message: 'given more than once' });
    } else {
      values[name] = first;
    }
  }
  if (errors.length > 0) throw invalid(errors);
  return parseFields(schema, values, 'query');
}

function isRepeatable(schema: unknown): boolean {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return isRepeatable(schema.unwrap());
  return schema instanceof z.ZodArray;
}

/**
 * A document that configures something.
 *
 * @param readOnly what a GET returns beside what can be set: ignored
 * @throws Problem `not-supported-yet`, `invalid-request`
 */
export function parseDocument<S extends z.ZodType>(
  schema: S,
  given: unknown,
  readOnly: readonly string[],
  later: Later,
): z.output<S> {
  const body = withoutReadOnly(given, readOnly);
  refuseLater(body, later);
  return parseFields(schema, body, 'body');
}

function withoutReadOnly(body: unknown, readOnly: readonly string[]): unknown {
  if (!isObject(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => !readOnly.includes(name)));
}

/** @throws Problem `not-supported-yet` naming the first field whose value comes later */
function refuseLater(body: unknown, later: Later): void {
  for (const [path, values] of Object.entries(later)) {
    const value = path.split('.').reduce((at, name) => memberOf(at, name), body);
    if (value !== undefined && values.safeParse(value).success) throw notSupportedYet(path);
  }
}

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws Problem `invalid-json`, which says where and quotes nothing: it may be a secret */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid([{ path: '', message: `The body is not JSON: ${jsonFaultIn(text)}.` }], 'invalid-json');
  }
}

function inputErrors(error: z.ZodError, unknown: string): InputError[] {
  return error.issues.flatMap((issue): InputError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: pathOf([...issue.path, key]), message: unknown }))
      : [{ path: pathOf(issue.path), message: issue.path.length === 0 ? `The body ${issue.message}.` : issue.message }],
  );
}

/** `delivery.headers`, `[3].type` */
function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('');
}
