import jsonata from 'jsonata';
import { costOfText, Meter } from './meter.ts';

/** The functions of JSONata, each of which pays for its work before it does it. */

/** Functions of JSONata. Not `eval`: what it would run nobody has checked. */
export const FUNCTIONS: readonly string[] = (
  'sum count max min average string substring substringBefore substringAfter lowercase uppercase length trim pad match ' +
  'contains replace split join formatNumber formatBase formatInteger parseInteger number floor ceil round abs sqrt power ' +
  'random boolean not map zip filter single reduce sift keys lookup append exists spread merge reverse each error assert ' +
  'type sort shuffle distinct base64encode base64decode encodeUrlComponent encodeUrl decodeUrlComponent decodeUrl ' +
  'toMillis fromMillis clone now millis'
).split(' ');

/** The name under which an evaluation's meter is bound. No expression can write it: it has a space in it. */
export const METER = 'the meter';

/** These look at everything within what they are given. */
const DEEP = new Set(['string', 'distinct', 'clone', 'keys', 'spread', 'merge', 'each', 'sift']);

/** JSONata's own need what only Node has. Each character is a byte, as its documentation has it. */
const INSTEAD: Record<string, (text: unknown) => unknown> = {
  base64encode: (text) => (typeof text === 'string' ? toLatin1Base64(text) : undefined),
  base64decode: (text) => (typeof text === 'string' ? fromLatin1Base64(text) : undefined),
};

function toLatin1Base64(text: string): string {
  try {
    return btoa(text);
  } catch {
    throw new Error('$base64encode takes characters up to U+00FF only; $encodeUrlComponent makes such of any text');
  }
}

function fromLatin1Base64(text: string): string {
  try {
    return atob(text);
  } catch {
    throw new Error('$base64decode was given what is no base64');
  }
}

/** A function as JSONata binds it: undocumented, so it is looked at before it is believed. */
interface Definition {
  implementation: (this: Focus, ...args: unknown[]) => unknown;
}

interface Focus {
  environment: { lookup(name: string): unknown };
}

let table: Promise<Record<string, unknown>> | null = null;

/** The bindings of all functions, made once. */
export function payingFunctions(): Promise<Record<string, unknown>> {
  table ??= makeTable();
  return table;
}

async function makeTable(): Promise<Record<string, unknown>> {
  const bindings: Record<string, unknown> = {};
  for (const name of FUNCTIONS) {
    // These are bound by each expression for itself, and cost nothing.
    if (name === 'now' || name === 'millis') continue;
    const definition: unknown = await jsonata(`$${name}`).evaluate(undefined);
    if (!isDefinition(definition)) throw new Error(`JSONata has no function ${name} any more.`);
    bindings[name] = { ...definition, implementation: paying(name, definition.implementation) };
  }
  return bindings;
}

function isDefinition(value: unknown): value is Definition {
  return (
    typeof value === 'object' &&
    value !== null &&
    'implementation' in value &&
    typeof value.implementation === 'function'
  );
}

function paying(name: string, original: Definition['implementation']): Definition['implementation'] {
  function implementation(this: Focus, ...args: unknown[]): unknown {
    const meter = this.environment.lookup(METER);
    if (!(meter instanceof Meter)) throw new Error('An expression is evaluated without a meter.');
    pay(name, args, meter);
    const own = INSTEAD[name];
    return own === undefined ? original.apply(this, args) : own(args[0]);
  }
  // JSONata reads how many parameters a function has, and their names, off the function itself.
  Object.defineProperty(implementation, 'length', { value: original.length });
  implementation.toString = () => original.toString();
  return implementation;
}

function pay(name: string, args: unknown[], meter: Meter): void {
  for (const arg of args) {
    if (DEEP.has(name)) payForAll(arg, meter);
    else if (typeof arg === 'string') meter.spend(costOfText(arg));
    else if (Array.isArray(arg)) meter.spend(arg.length);
  }
  const [first, second, third] = args;
  // Each element is compared with those found before.
  if (name === 'distinct' && Array.isArray(first)) meter.spend(first.length ** 2 / 16);
  if (name === 'pad' && typeof second === 'number') meter.spend(Math.abs(second));
  if (name === 'split' && typeof first === 'string') meter.spend(first.length / 4);
  if (name === 'join' && Array.isArray(first)) {
    meter.spend(first.length * (typeof second === 'string' ? costOfText(second) : 0));
    payForAll(first, meter);
  }
  // Made into a regular expression, in which every component may take more or less of the text.
  if (name === 'toMillis' && typeof first === 'string' && typeof second === 'string')
    meter.spend(waysToSplit(first.length, second.split('[').length - 1) / 100);
  if (name === 'replace' && typeof first === 'string' && typeof second === 'string') {
    const times = first.length / Math.max(1, second.length);
    meter.spend(times + (typeof third === 'string' ? times * costOfText(third) : 0));
  }
}

/** In how many ways a text can be split into so many parts. */
function waysToSplit(length: number, parts: number): number {
  let ways = 1;
  for (let part = 1; part <= parts; part++) ways *= Math.max(1, (length - part + 1) / part);
  return ways;
}

/** Pays for a value and everything in it. */
export function payForAll(value: unknown, meter: Meter): void {
  meter.spend(typeof value === 'string' ? 1 + costOfText(value) : 1);
  if (Array.isArray(value)) for (const item of value) payForAll(item, meter);
  else if (typeof value === 'object' && value !== null && !isDefinition(value)) {
    for (const item of Object.values(value)) payForAll(item, meter);
  }
}
