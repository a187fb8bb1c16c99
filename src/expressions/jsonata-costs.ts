import { METER, payForAll } from './jsonata-functions.ts';
import { costOfText, Meter } from './meter.ts';

/** What the nodes of a JSONata expression cost, beside its functions. JSONata tells of each node it begins and ends. */

/** Operators that look at everything within their operands. */
const DEEP_OPERATORS = new Set<unknown>(['=', '!=', 'in', '&']);
/** Elements given on, or copied, at the price of one node. */
const ELEMENTS_A_UNIT = 4;
const COPIES_A_UNIT = 64;

interface Environment {
  lookup(name: string): unknown;
}

/** Of one evaluation. */
export class JsonataMeter extends Meter {
  /** Elements that a grouping has taken so far. */
  readonly grouped = new Map<unknown, number>();
}

export class Costs {
  /** Operands that are looked through. */
  readonly #deep = new Set<unknown>();
  /** The keys of `list{key: value}`, and the node each belongs to. */
  readonly #groupings = new Map<unknown, unknown>();

  constructor(ast: unknown) {
    this.#mark(ast);
  }

  readonly onEntry = (node: unknown, input: unknown, environment: Environment): void => {
    const meter = meterOf(environment);
    meter.spend(1);
    if (hasGroup(node)) meter.grouped.set(node, 0);
    const owner = this.#groupings.get(node);
    if (owner !== undefined) {
      // JSONata copies the group for each element that it takes.
      const taken = (meter.grouped.get(owner) ?? 0) + 1;
      meter.grouped.set(owner, taken);
      meter.spend(taken / COPIES_A_UNIT);
    }
    if (isObjectConstructor(node) && Array.isArray(input)) meter.spend(input.length ** 2 / (2 * COPIES_A_UNIT));
  };

  readonly onExit = (node: unknown, _input: unknown, environment: Environment, result: unknown): void => {
    if (this.#deep.has(node)) payForAll(result, meterOf(environment));
    else if (typeof result === 'string') meterOf(environment).spend(costOfText(result));
    else if (Array.isArray(result)) meterOf(environment).spend(result.length / ELEMENTS_A_UNIT);
  };

  #mark(node: unknown): void {
    if (typeof node !== 'object' || node === null) return;
    if ('type' in node && node.type === 'binary' && 'value' in node && DEEP_OPERATORS.has(node.value)) {
      if ('lhs' in node) this.#deep.add(node.lhs);
      if ('rhs' in node) this.#deep.add(node.rhs);
    }
    if (hasGroup(node)) for (const [key] of node.group.lhs) this.#groupings.set(key, node);
    for (const part of Object.values(node)) this.#mark(part);
  }
}

function meterOf(environment: Environment): JsonataMeter {
  const meter = environment.lookup(METER);
  if (!(meter instanceof JsonataMeter)) throw new Error('An expression is evaluated without a meter.');
  return meter;
}

function hasGroup(node: unknown): node is { group: { lhs: [unknown, unknown][] } } {
  return typeof node === 'object' && node !== null && 'group' in node;
}

function isObjectConstructor(node: unknown): boolean {
  return typeof node === 'object' && node !== null && 'value' in node && node.value === '{';
}
