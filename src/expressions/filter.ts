import { headOf, typeMatches } from '../events/filters.ts';
import { parseStored } from '../events/stored.ts';
import type { SubscriptionFilter } from '../subscriptions/document.ts';
import { type Cel, compileCel, type Verdict } from './cel.ts';
import { keeping } from './kept.ts';

/** The filter of a subscription or replay, over stored events in JSON. */

export interface Judgement {
  verdict: Verdict;
  /** What the expression spent, in the units of limits.ts. */
  cost: number;
}

const MATCH: Judgement = { verdict: { kind: 'match' }, cost: 0 };
const NO_MATCH: Judgement = { verdict: { kind: 'no-match' }, cost: 0 };

/** Never throws. Without an expression nothing but the event's head is read. */
export function judge({ types, cel }: SubscriptionFilter, json: string): Judgement {
  if (types.length > 0 && !typeMatches(types, headOf(json).type)) return NO_MATCH;
  if (cel === null) return MATCH;
  const { verdict, cost } = compiled(cel).test(parseStored(json));
  return verdict.kind === 'invalid'
    ? { verdict: { kind: 'invalid', error: `filter.cel failed: ${verdict.error}` }, cost }
    : { verdict, cost };
}

/** One that was stored by a version with other rules may be none any more: its events are dead letters, not its lane. */
const compiled = keeping((text): Cel => {
  try {
    return compileCel(text);
  } catch (error) {
    const verdict = { kind: 'invalid' as const, error: error instanceof Error ? error.message : String(error) };
    return { test: () => ({ verdict, cost: 0 }) };
  }
});
