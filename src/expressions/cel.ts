import { type CelResult, isCelError, parse, plan } from '@bufbuild/cel';
import type { StoredEvent } from '../events/stored.ts';
import { checkCel, countOf, type Parsed, partsOf } from './cel-check.ts';
import { celVariables } from './cel-event.ts';
import { celEnvironment, metered, spend } from './cel-functions.ts';
import { CEL_CHARACTERS_MAX, CEL_COST_MAX, CEL_NODES_MAX, EXPRESSION_DEPTH_MAX } from './limits.ts';
import { TOO_COSTLY } from './meter.ts';
import { checkLength, checkSize, Mistake, placeOf } from './mistake.ts';

/** Filters in the Common Expression Language (github.com/google/cel-spec), compiled once, bounded in all they do. */

/** What a filter says of one event. `invalid`: it failed on it, and nobody can know whether it matches. */
export type Verdict = { kind: 'match' } | { kind: 'no-match' } | { kind: 'invalid'; error: string };

export interface Cel {
  /** Answers the verdict and what it cost. Never throws. A field that the event doesn't have is no match. */
  test(event: StoredEvent): { verdict: Verdict; cost: number };
}

/** @throws Mistake */
export function compileCel(text: string): Cel {
  checkLength(text, CEL_CHARACTERS_MAX);
  const parsed = parsedCel(text);
  checkSize(text, parsed.expr, { nodesMax: CEL_NODES_MAX, depthMax: EXPRESSION_DEPTH_MAX }, partsOf);
  const nodes = countOf(parsed.expr);
  const names = checkCel(text, parsed);
  const evaluate = plan(celEnvironment(), parsed.expr);
  const positions = parsed.sourceInfo?.positions ?? {};

  return {
    test: (event) => {
      const { result, cost, overspent } = metered(CEL_COST_MAX, () => {
        spend(nodes);
        return evaluate(celVariables(event, names));
      });
      // Whatever came out: parts of it may have been skipped.
      if (overspent) return { verdict: { kind: 'invalid', error: TOO_COSTLY }, cost };
      return { verdict: verdictOf(result, text, positions), cost };
    },
  };
}

function parsedCel(text: string): Parsed {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof RangeError) throw new Mistake('has too many levels', text, null);
    const open = unclosedString(text);
    if (open !== null) throw new Mistake('has a string without an end, begun', text, open);
    if (isSyntaxError(error)) throw new Mistake(unexpected(error, text), text, error.location.start.offset);
    throw new Mistake(error instanceof Error ? error.message : String(error), text, null);
  }
}

/** A string, whole, or a comment; else a quotation mark that begins one without an end. */
const STRING_OR_QUOTE =
  /"""[\s\S]*?"""|'''[\s\S]*?'''|r"[^"\n]*"|r'[^'\n]*'|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/.*|["']/gi;

/** Where it begins; null if there is none. The parser only says that it does not like the operator before it. */
function unclosedString(text: string): number | null {
  return [...text.matchAll(STRING_OR_QUOTE)].find(([found]) => found.length === 1)?.index ?? null;
}

/** What the parser throws. */
interface CelSyntaxError extends Error {
  location: { start: { offset: number } };
}

function isSyntaxError(error: unknown): error is CelSyntaxError {
  return error instanceof Error && 'location' in error && typeof error.location === 'object' && error.location !== null;
}

function unexpected({ location }: CelSyntaxError, text: string): string {
  const found = text.slice(location.start.offset).trimStart();
  return found === '' ? 'unexpected end' : `unexpected ${/^(\w+|.)/su.exec(found)?.[0] ?? found}`;
}

function verdictOf(result: CelResult, text: string, positions: Readonly<Record<string, number>>): Verdict {
  if (result === true) return { kind: 'match' };
  if (result === false) return { kind: 'no-match' };
  if (!isCelError(result)) return { kind: 'invalid', error: 'it is neither true nor false' };
  const failure = failuresIn(result).find(({ message }) => !isMissing(message));
  if (failure === undefined) return { kind: 'no-match' };
  const at = positions[String(failure.exprId)];
  const message = failure.message.replace(/'_([^'_]+)_'/g, "'$1'");
  return { kind: 'invalid', error: at === undefined ? message : `${message} at ${placeOf(text, at)}` };
}

interface Failure {
  message: string;
  exprId: bigint | undefined;
}

/** An error and those merged into it: of `a || b` both may have failed. */
function failuresIn(error: CelResult): Failure[] {
  if (!isCelError(error)) return [];
  const merged: unknown[] = Array.isArray(error.cause) ? error.cause : [];
  return [error, ...merged.flatMap((cause) => (isCelError(cause) ? failuresIn(cause) : []))];
}

/** The library tells errors apart by their text alone. */
function isMissing(message: string): boolean {
  return (
    message === 'unresolved attribute' ||
    message.startsWith('field not found: ') ||
    /^index \S+ out of bounds/.test(message)
  );
}
