import {
  type CelEnv,
  type CelFunc,
  type CelList,
  CelScalar,
  type CelValue,
  celEnv,
  celFunc,
  celList,
  celMethod,
  isCelError,
  isCelList,
  isCelMap,
  listType,
} from '@bufbuild/cel';
import { RE2JS } from '@bufbuild/re2';
import { REGEX_INSTRUCTIONS_MAX } from './limits.ts';
import { costOfText, Meter } from './meter.ts';

/** The standard functions of CEL, each of which pays for its work before it does it. */

/** Around the range of each comprehension, and in its condition; no expression can name these. */
export const EACH = '@each';
export const AFFORDABLE = '@affordable';
export const MATCHES = 'matches';

const ADD = '_+_';
const EQUALITIES = new Set(['_==_', '_!=_']);
const IN = '@in';
/** How much longer than by others a character takes by these: they make lists of characters, or numbers of many digits. */
const SLOW: Readonly<Record<string, number>> = { size: 16, int: 64, uint: 64, double: 64, timestamp: 64, duration: 64 };
/** Elements that are copied at the price of one node. */
const COPIES_A_UNIT = 4;
/** Steps of a regular expression at the price of one node. */
const REGEX_STEPS_A_UNIT = 8;
const REGEXES_KEPT = 200;

/** Of the evaluation under way. CEL is synchronous: there is one at a time. */
let meter = new Meter(0);

/** Runs an evaluation; answers its result and what it cost. */
export function metered<T>(units: number, evaluate: () => T): { result: T; cost: number; overspent: boolean } {
  meter = new Meter(units);
  const result = evaluate();
  return { result, cost: units - meter.left, overspent: meter.overspent };
}

export function spend(units: number): void {
  meter.spend(units);
}

const LIST = listType(CelScalar.DYN);
const { BOOL, DYN, INT, STRING } = CelScalar;

/** @param nodes what is evaluated for each element */
const each = celFunc(EACH, [DYN, INT], DYN, (range, nodes) => {
  const size = isCelList(range) || isCelMap(range) ? range.size : 0;
  spend(size * Number(nodes));
  return range;
});

/** Errors don't end a comprehension by themselves: of `a || b` one may fail. */
const affordable = celFunc(AFFORDABLE, [], BOOL, () => !meter.overspent);

/** The library's own gives a view on both, and a list that grew by one of them a thousand times is slow to read. */
const concatenate = celFunc(ADD, [LIST, LIST], LIST, (left, right) => {
  spend((left.size + right.size) / COPIES_A_UNIT);
  const items: CelValue[] = [];
  for (const list of [left, right]) {
    // A tenth of the time that the list's own iterator takes.
    for (let index = 0; index < list.size; index++) items.push(list.get(index) ?? null);
  }
  return celList(items);
});

const matches = celMethod(MATCHES, STRING, [STRING], BOOL, function (pattern) {
  const regex = compileRegex(pattern);
  spend((this.length * regex.re2().prog.numInst()) / REGEX_STEPS_A_UNIT);
  return regex.test(this);
});

const regexes = new Map<string, RE2JS>();

/** A regular expression in RE2's syntax, which takes linear time whatever it is. @throws if it is none, or too large */
export function compileRegex(pattern: string): RE2JS {
  const known = regexes.get(pattern);
  if (known !== undefined) return known;
  const regex = RE2JS.compile(pattern);
  if (regex.re2().prog.numInst() > REGEX_INSTRUCTIONS_MAX) throw new Error('The regular expression is too large.');
  if (regexes.size >= REGEXES_KEPT) regexes.clear();
  regexes.set(pattern, regex);
  return regex;
}

function paying(original: CelFunc): CelFunc {
  const call = (target: CelValue | undefined, args: CelValue[]): CelValue => {
    pay(original.name, target === undefined ? args : [target, ...args]);
    const result = original.call(0, target, args);
    if (result === undefined) throw new Error(`found no matching overload for '${original.name}'`);
    // Thrown anew, it gets the place of this call.
    if (isCelError(result)) throw new Error(result.message);
    return result;
  };
  const { name, target, arguments: parameters, result } = original;
  return target === undefined
    ? celFunc(name, parameters, result, (...args: CelValue[]) => call(undefined, args))
    : celMethod(name, target, parameters, result, function (...args: CelValue[]) {
        return call(this, args);
      });
}

function pay(name: string, args: CelValue[]): void {
  if (EQUALITIES.has(name)) {
    if (args.every(isAggregate)) args.forEach(payForAll);
  } else if (name === IN) {
    const [value, among] = args;
    if (isCelList(among)) value !== undefined && isAggregate(value) ? payForAll(among) : spend(among.size);
  } else {
    const factor = SLOW[name] ?? 1;
    for (const arg of args) {
      if (typeof arg === 'string') spend(costOfText(arg) * factor);
      else if (arg instanceof Uint8Array) spend(arg.length);
    }
  }
}

function isAggregate(value: CelValue): boolean {
  return isCelList(value) || isCelMap(value);
}

/** For a value and everything in it. */
function payForAll(value: CelValue): void {
  spend(1);
  if (typeof value === 'string') spend(costOfText(value));
  else if (isCelList(value)) payForEach(value);
  else if (isCelMap(value)) for (const item of value.values()) payForAll(item);
}

function payForEach(list: CelList): void {
  for (const item of list) payForAll(item);
}

let environment: CelEnv | null = null;

/** Made when it is first needed: it takes some milliseconds. */
export function celEnvironment(): CelEnv {
  environment ??= celEnv({ funcs: [...[...celEnv().funcs].map(paying), each, affordable, concatenate, matches] });
  return environment;
}
