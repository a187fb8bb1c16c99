import { type CelFunc, CelScalar, type CelType, listType, mapType, type parse } from '@bufbuild/cel';
import { variableType } from './cel-event.ts';
import { AFFORDABLE, celEnvironment, compileRegex, EACH, MATCHES } from './cel-functions.ts';
import { Mistake } from './mistake.ts';

/** Checks of a parsed expression before it is ever evaluated: names, functions, types as far as they are known. */

export type Parsed = ReturnType<typeof parse>;
export type Expr = Parsed['expr'];

const { BOOL, BYTES, DOUBLE, DYN, INT, NULL, STRING, TYPE, UINT } = CelScalar;
const LIST = listType(DYN);
const MAP = mapType(DYN, DYN);
/** Names of types are values too: `type(data) == string`. */
const TYPE_NAMES = new Set(['int', 'uint', 'double', 'bool', 'string', 'bytes', 'list', 'map', 'null_type', 'type']);
/** What the planner does itself: these are no functions. `null`: the type of the arguments does not matter. */
const OPERATORS: Readonly<Record<string, { takes: CelType | null; gives: CelType }>> = {
  '_&&_': { takes: BOOL, gives: BOOL },
  '_||_': { takes: BOOL, gives: BOOL },
  '_?_:_': { takes: null, gives: DYN },
  '_[_]': { takes: null, gives: DYN },
  '@not_strictly_false': { takes: null, gives: BOOL },
};

/** The direct parts of an expression. */
export function partsOf({ exprKind }: Expr): Expr[] {
  const present = (parts: (Expr | undefined)[]) => parts.filter((part) => part !== undefined);
  switch (exprKind.case) {
    case 'selectExpr':
      return present([exprKind.value.operand]);
    case 'callExpr':
      return present([exprKind.value.target, ...exprKind.value.args]);
    case 'listExpr':
      return exprKind.value.elements;
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) =>
        present([keyKind.case === 'mapKey' ? keyKind.value : undefined, value]),
      );
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = exprKind.value;
      return present([iterRange, accuInit, loopCondition, loopStep, result]);
    }
    default:
      return [];
  }
}

/**
 * Checks an expression that has to be true or false, and makes each comprehension pay for its elements. Answers the names of
 * the event's that it uses. @throws Mistake
 */
export function checkCel(text: string, { expr, sourceInfo }: Parsed): ReadonlySet<string> {
  const checker = new Checker(text, sourceInfo?.positions ?? {});
  const type = checker.typeOf(expr, new Map());
  if (!fits(type, BOOL)) throw checker.mistake(expr, `is ${type.name}, and a filter has to be true or false:`);
  return checker.names;
}

/** A type fits where it may turn out to be the one that is wanted. */
function fits(type: CelType, wanted: CelType): boolean {
  return type === DYN || wanted === DYN || (type.kind === wanted.kind && type.name === wanted.name);
}

class Checker {
  readonly names = new Set<string>();
  readonly #text: string;
  readonly #positions: Readonly<Record<string, number>>;

  constructor(text: string, positions: Readonly<Record<string, number>>) {
    this.#text = text;
    this.#positions = positions;
  }

  mistake({ id }: Expr, what: string): Mistake {
    return new Mistake(what, this.#text, this.#positions[id.toString()] ?? null);
  }

  /** @param local variables of comprehensions around it */
  typeOf(expr: Expr, local: ReadonlyMap<string, CelType>): CelType {
    const { exprKind } = expr;
    switch (exprKind.case) {
      case 'constExpr':
        return constantType(exprKind.value.constantKind.case);
      case 'identExpr':
        return this.#nameType(expr, exprKind.value.name, local);
      case 'selectExpr':
        return this.#selectType(expr, exprKind.value, local);
      case 'callExpr':
        return this.#callType(expr, exprKind.value, local);
      case 'listExpr':
        for (const part of partsOf(expr)) this.typeOf(part, local);
        return LIST;
      case 'structExpr':
        if (exprKind.value.messageName !== '') throw this.mistake(expr, 'makes a message, and there are none here,');
        for (const part of partsOf(expr)) this.typeOf(part, local);
        return MAP;
      case 'comprehensionExpr':
        return this.#comprehensionType(expr, exprKind.value, local);
      default:
        throw this.mistake(expr, 'is incomplete');
    }
  }

  #nameType(expr: Expr, name: string, local: ReadonlyMap<string, CelType>): CelType {
    const known = local.get(name);
    if (known !== undefined) return known;
    const type = variableType(name);
    if (TYPE_NAMES.has(name) && (type === null || type === 'extension')) return TYPE;
    if (type === null) throw this.mistake(expr, `unknown name ${name}`);
    this.names.add(name);
    return type === 'string' ? STRING : type === 'int' ? INT : type === 'map' ? MAP : DYN;
  }

  #selectType(
    expr: Expr,
    { operand, field }: { operand?: Expr | undefined; field: string },
    local: ReadonlyMap<string, CelType>,
  ): CelType {
    if (operand === undefined) throw this.mistake(expr, 'is incomplete');
    const type = this.typeOf(operand, local);
    const { exprKind } = operand;
    const name = exprKind.case === 'identExpr' && !local.has(exprKind.value.name) ? exprKind.value.name : null;
    const isExtension = name !== null && variableType(name) === 'extension';
    if (isExtension) throw this.mistake(operand, `unknown name ${name} (an extension attribute has no fields)`);
    if (!fits(type, MAP)) throw this.mistake(expr, `${field} is asked of ${type.name}, which has no fields,`);
    return DYN;
  }

  #callType(
    expr: Expr,
    call: { function: string; target?: Expr | undefined; args: Expr[] },
    local: ReadonlyMap<string, CelType>,
  ): CelType {
    const target = call.target && this.typeOf(call.target, local);
    const types = call.args.map((arg) => this.typeOf(arg, local));
    const operator = OPERATORS[call.function];
    if (operator !== undefined) {
      const { takes } = operator;
      const wrong = takes === null ? -1 : types.findIndex((type) => !fits(type, takes));
      if (takes !== null && wrong >= 0)
        throw this.mistake(call.args[wrong] ?? expr, `is ${types[wrong]?.name}, not ${takes.name},`);
      return operator.gives;
    }
    const group = celEnvironment().funcs.find(call.function);
    if (group === undefined) throw this.mistake(expr, `unknown function ${call.function}`);
    const candidates = [...group].filter((candidate) => takes(candidate, target, types));
    const [first] = candidates;
    if (first === undefined) {
      const given = types.map(({ name }) => name).join(', ');
      const whose = target === undefined ? '' : `${target.name}.`;
      throw this.mistake(expr, `${whose}${plain(call.function)} can't be called with (${given})`);
    }
    if (call.function === MATCHES) this.#checkRegex(expr, call.args[0]);
    return candidates.every(({ result }) => result.name === first.result.name) ? first.result : DYN;
  }

  /** One that comes from the event would be compiled for each event, and could be anything. */
  #checkRegex(expr: Expr, pattern: Expr | undefined): void {
    const constant = pattern?.exprKind.case === 'constExpr' ? pattern.exprKind.value.constantKind : null;
    if (constant?.case !== 'stringValue') throw this.mistake(expr, 'matches needs its pattern as a literal');
    try {
      compileRegex(constant.value);
    } catch (error) {
      throw this.mistake(
        pattern ?? expr,
        `is no regular expression (${error instanceof Error ? error.message : error})`,
      );
    }
  }

  #comprehensionType(
    expr: Expr,
    comprehension: Extract<Expr['exprKind'], { case: 'comprehensionExpr' }>['value'],
    local: ReadonlyMap<string, CelType>,
  ): CelType {
    const { iterRange, accuInit, loopCondition, loopStep, result, iterVar, accuVar } = comprehension;
    if (!iterRange || !accuInit || !loopCondition || !loopStep || !result) throw this.mistake(expr, 'is incomplete');
    const range = this.typeOf(iterRange, local);
    if (!fits(range, LIST) && !fits(range, MAP)) throw this.mistake(expr, `${range.name} has no elements`);
    const accumulated = new Map([...local, [accuVar, this.typeOf(accuInit, local)]]);
    const inside = new Map([...accumulated, [iterVar, DYN]]);
    this.typeOf(loopCondition, inside);
    this.typeOf(loopStep, inside);
    comprehension.iterRange = call(EACH, iterRange, [iterRange, count(iterRange, loopCondition, loopStep)]);
    comprehension.loopCondition = call('_&&_', loopCondition, [call(AFFORDABLE, loopCondition, []), loopCondition]);
    return this.typeOf(result, accumulated);
  }
}

/** A call in the place of an expression. */
function call(name: string, place: Expr, args: Expr[]): Expr {
  return {
    ...place,
    exprKind: { case: 'callExpr', value: { $typeName: 'cel.expr.Expr.Call', function: name, args } },
  };
}

/** A literal: what is evaluated for each element. */
function count(place: Expr, ...parts: Expr[]): Expr {
  const value = BigInt(parts.reduce((sum, part) => sum + countOf(part), 0));
  const constantKind = { case: 'int64Value' as const, value };
  return { ...place, exprKind: { case: 'constExpr', value: { $typeName: 'cel.expr.Constant', constantKind } } };
}

/** Nodes of an expression. */
export function countOf(expr: Expr): number {
  return partsOf(expr).reduce((sum, part) => sum + countOf(part), 1);
}

function takes(candidate: CelFunc, target: CelType | undefined, types: CelType[]): boolean {
  if (candidate.arguments.length !== types.length) return false;
  if ((candidate.target === undefined) !== (target === undefined)) return false;
  if (candidate.target !== undefined && target !== undefined && !fits(target, candidate.target)) return false;
  return candidate.arguments.every((parameter, index) => fits(types[index] ?? DYN, parameter));
}

/** `_>_` is written `>`. */
export function plain(operator: string): string {
  return operator.replaceAll('_', ' ').trim().replace(/^@/, '');
}

function constantType(kind: string | undefined): CelType {
  switch (kind) {
    case 'boolValue':
      return BOOL;
    case 'bytesValue':
      return BYTES;
    case 'doubleValue':
      return DOUBLE;
    case 'int64Value':
      return INT;
    case 'uint64Value':
      return UINT;
    case 'stringValue':
      return STRING;
    case 'nullValue':
      return NULL;
    default:
      return DYN;
  }
}
