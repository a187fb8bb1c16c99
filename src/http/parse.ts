import { z } from 'zod';
import { type InputError, invalid, notSupportedYet, Problem } from './problem.ts';

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * Fields or parameters that api.md promises and this version does not have: refused, unless the value is one of those
 * listed (the defaults), which is dropped. Paths into objects are dotted: `delivery.format`.
 */
export type Later = Record<string, readonly Json[]>;

/** @throws Problem `invalid-request` naming each field that is wrong */
export function parseFields<S extends z.ZodType>(
  schema: S,
  value: unknown,
  where: 'path' | 'query' | 'body',
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(inputErrors(result.error, where === 'query' ? 'unknown parameter' : 'unknown field'));
}

/** Query parameters by name; one whose schema is an array may be repeated. */
export function parseQuery<S extends z.ZodObject>(schema: S, search: URLSearchParams, later: Later): z.output<S> {
  const values: Record<string, string | string[]> = Object.create(null);
  const errors: InputError[] = [];
  for (const name of new Set(search.keys())) {
    const given = search.getAll(name);
    const [first = ''] = given;
    const accepted = Object.hasOwn(later, name) ? later[name] : undefined;
    if (accepted !== undefined) {
      if (given.some((value) => !accepted.includes(value))) throw notSupportedYet(name);
    } else if (isRepeatable(Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined)) {
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

/** Drops what a PUT ignores and refuses what comes later. Returns the body to parse; the given one stays as it is. */
export function withoutLater(body: Json, readOnly: readonly string[], later: Later): Json {
  if (!isObject(body)) return body;
  const kept = Object.fromEntries(Object.entries(body).filter(([name]) => !readOnly.includes(name)));
  return Object.entries(later).reduce(
    (value, [path, accepted]) => dropLater(value, path.split('.'), path, accepted),
    kept,
  );
}

function dropLater(
  value: { [key: string]: Json },
  [name = '', ...rest]: string[],
  path: string,
  accepted: readonly Json[],
): { [key: string]: Json } {
  const child = Object.hasOwn(value, name) ? value[name] : undefined;
  if (child === undefined) return value;
  if (rest.length > 0) return isObject(child) ? { ...value, [name]: dropLater(child, rest, path, accepted) } : value;
  if (!accepted.some((one) => sameJson(one, child))) throw notSupportedYet(path);
  const { [name]: _, ...others } = value;
  return others;
}

/** Key order doesn't count. */
function sameJson(a: Json, b: Json): boolean {
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, i) => sameJson(item, b[i] ?? null))
    );
  }
  if (!isObject(a) || !isObject(b)) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name] ?? null, b[name] ?? null))
  );
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws Problem `invalid-json` */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(
      'invalid-json',
      `The body is not JSON: ${error instanceof Error ? error.message : 'cannot be parsed'}`,
    );
  }
}

function inputErrors(error: z.ZodError, unknown: string): InputError[] {
  return error.issues.flatMap((issue): InputError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: pathOf([...issue.path, key]), message: unknown }))
      : [{ path: pathOf(issue.path), message: issue.message }],
  );
}

/** `delivery.headers`, `[3].type` */
function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('');
}
