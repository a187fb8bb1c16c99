import { type CelInput, type CelMap, celList, celMap } from '@bufbuild/cel';
import { HUB_ATTRIBUTES, KNOWN_NAMES, nameProblem } from '../events/attribute-rules.ts';
import type { StoredEvent } from '../events/stored.ts';

/** An event as a CEL expression sees it. */

/** `string`: an attribute of that type, present or not. `dyn`: anything. `int` likewise. */
export type VariableType = 'string' | 'int' | 'map' | 'dyn';

/** The event as a map of what follows, for extension attributes that share a name with something, and for `has`. */
export const EVENT = 'event';
export const DATA = 'data';

const VARIABLES: ReadonlyMap<string, VariableType> = new Map<string, VariableType>([
  ...[...KNOWN_NAMES, ...HUB_ATTRIBUTES].map((name): [string, VariableType] => [name, 'string']),
  ['sequence', 'int'],
  [DATA, 'dyn'],
  [EVENT, 'map'],
]);

/** The type of a name in an expression; null: no event has it. `extension` where it can only be an extension attribute. */
export function variableType(name: string): VariableType | 'extension' | null {
  return VARIABLES.get(name) ?? (nameProblem(name) === null ? 'extension' : null);
}

/**
 * The names and their values. What the event doesn't have is missing.
 *
 * @param names those that the expression uses: of others nothing is made.
 */
export function celVariables(event: StoredEvent, names: ReadonlySet<string>): Record<string, CelInput> {
  const variables: Record<string, CelInput> = Object.create(null);
  const all = names.has(EVENT);
  const whole = new Map<string, CelInput>();
  for (const [name, value] of Object.entries(event)) {
    if (!all && !names.has(name)) continue;
    const cel = name === 'sequence' ? BigInt(event.sequence) : name === DATA ? celOf(value) : attributeOf(value);
    whole.set(name, cel);
    variables[name] = cel;
  }
  if (all) variables[EVENT] = mapWith(whole);
  return variables;
}

/** An attribute's value: CloudEvents has strings, booleans and integers. */
function attributeOf(value: unknown): CelInput {
  return typeof value === 'number' ? BigInt(Math.trunc(value)) : celOf(value);
}

/** A JSON value. Made whole at once: the library would make an object anew each time it is looked into. */
function celOf(value: unknown): CelInput {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return celList(value.map(celOf));
  return typeof value === 'object' && value !== null ? mapOf(value) : null;
}

function mapOf(value: object): CelMap {
  return mapWith(new Map(Object.entries(value).map(([name, item]) => [name, celOf(item)])));
}

/** A map that has what is null, too: the library takes that for missing. */
function mapWith(members: ReadonlyMap<string, CelInput>): CelMap {
  return Object.assign(celMap(members), { has: (key: unknown) => typeof key === 'string' && members.has(key) });
}
