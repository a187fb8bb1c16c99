import jsonata from 'jsonata';
import { DATA_DEPTH_MAX } from '../events/limits.ts';
import { checkJsonata, startOf } from './jsonata-check.ts';
import { Costs, JsonataMeter } from './jsonata-costs.ts';
import { METER, payingFunctions } from './jsonata-functions.ts';
import { keeping } from './kept.ts';
import { JSONATA_CHARACTERS_MAX, JSONATA_COST_MAX, JSONATA_SEQUENCE_MAX, JSONATA_STACK_MAX } from './limits.ts';
import { costOfText, type Meter } from './meter.ts';
import { checkLength, Mistake, placeOf } from './mistake.ts';

/** JSONata (jsonata.org): compiled once, bounded in all it does. It can't be interrupted, so that it counts its own steps. */

export type JsonataResult =
  /** A JSON value; undefined: it found nothing. */
  { ok: true; value: unknown } | { ok: false; error: string };

export interface Jsonata {
  /** Never throws. */
  evaluate(input: unknown): Promise<JsonataResult>;
}

const OPTIONS = { stack: JSONATA_STACK_MAX, sequence: JSONATA_SEQUENCE_MAX };
/** What JSONata looks up and calls before and after it evaluates a node. */
const ON_ENTRY = Symbol.for('jsonata.__evaluate_entry');
const ON_EXIT = Symbol.for('jsonata.__evaluate_exit');
const ERROR_CHARACTERS_MAX = 500;

/** @throws Mistake */
export function compileJsonata(text: string): Jsonata {
  checkLength(text, JSONATA_CHARACTERS_MAX);
  const expression = parsed(text);
  const costs = new Costs(expression.ast());
  // Its types know names that are strings alone.
  Reflect.apply(expression.assign, expression, [ON_ENTRY, costs.onEntry]);
  Reflect.apply(expression.assign, expression, [ON_EXIT, costs.onExit]);

  return {
    evaluate: async (input) => {
      const meter = new JsonataMeter(JSONATA_COST_MAX);
      try {
        const bindings = { ...(await payingFunctions()), [METER]: meter };
        const value: unknown = await expression.evaluate(input, bindings);
        checkResult(value, meter, 0);
        return { ok: true, value };
      } catch (error) {
        return { ok: false, error: failure(error, text) };
      }
    },
  };
}

/** The same, kept compiled; one that is none any more by this version's rules fails on everything. */
export const keptJsonata = keeping((text): Jsonata => {
  try {
    return compileJsonata(text);
  } catch (error) {
    const failed = { ok: false as const, error: error instanceof Error ? error.message : String(error) };
    return { evaluate: async () => failed };
  }
});

function parsed(text: string): jsonata.Expression {
  try {
    const expression = jsonata(text, OPTIONS);
    checkJsonata(text, { ...expression.ast() });
    return expression;
  } catch (error) {
    if (error instanceof Mistake) throw error;
    if (error instanceof RangeError) throw new Mistake('has too many levels', text, null);
    const { message, position } = faultIn(error);
    const offset = position === null ? null : position >= text.length ? text.length : startOf(text, position);
    throw new Mistake(message, text, offset);
  }
}

/** @throws if it is no JSON value */
function checkResult(value: unknown, meter: Meter, depth: number): void {
  if (depth > DATA_DEPTH_MAX) throw new Error(`The result has more than ${DATA_DEPTH_MAX} levels.`);
  meter.spend(typeof value === 'string' ? 1 + costOfText(value) : 1);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error('The result has a number that is none.');
  if (typeof value === 'function' || isJsonataFunction(value)) throw new Error('The result has a function in it.');
  if (typeof value !== 'object' || value === null) return;
  // JSONata's own lists have more about them than their elements.
  for (const part of Array.isArray(value) ? value : Object.values(value)) checkResult(part, meter, depth + 1);
}

function isJsonataFunction(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('_jsonata_lambda' in value || '_jsonata_function' in value);
}

function failure(error: unknown, text: string): string {
  const { message, position } = faultIn(error);
  const where = position === null ? '' : ` at ${placeOf(text, startOf(text, position))}`;
  return `${message.slice(0, ERROR_CHARACTERS_MAX)}${where}`;
}

/** JSONata throws objects with a message and a position, most of them no errors. */
function faultIn(error: unknown): { message: string; position: number | null } {
  if (typeof error !== 'object' || error === null) return { message: String(error), position: null };
  const message = 'message' in error && typeof error.message === 'string' ? error.message : 'it failed';
  return { message, position: 'position' in error && typeof error.position === 'number' ? error.position : null };
}
