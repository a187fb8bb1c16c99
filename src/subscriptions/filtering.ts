import type { Verdict } from '../expressions/cel.ts';
import { judge } from '../expressions/filter.ts';
import { CEL_PAGE_COST_MAX } from '../expressions/limits.ts';
import type { LogEvent } from '../topics/protocol.ts';
import type { SubscriptionDocument, SubscriptionFilter } from './document.ts';
import type { LaneRow } from './rows.ts';

/** What a lane's filters make of the events of a page. */
export interface Examined {
  matching: LogEvent[];
  /** The filter failed on these. */
  failed: { sequence: number; error: string }[];
  /** The first event that was not looked at, because those before it had cost enough; null: all were. */
  cut: number | null;
}

/** What a log leaves for the subscription to judge: of the subscription's own filter it has matched the types already. */
export function filtersOf(lane: LaneRow, document: SubscriptionDocument): SubscriptionFilter[] {
  const { cel } = document.filter;
  return [...(lane.replay === null ? [] : [ownFilter(lane)]), { types: [], cel }].filter(
    (filter) => filter.types.length > 0 || filter.cel !== null,
  );
}

/** A replay's own filter. */
export function ownFilter(lane: LaneRow): SubscriptionFilter {
  return { types: JSON.parse(lane.types) as string[], cel: lane.cel };
}

/** Judges at least one event. */
export function examine(filters: SubscriptionFilter[], events: LogEvent[]): Examined {
  const examined: Examined = { matching: [], failed: [], cut: null };
  if (filters.length === 0) return { ...examined, matching: events };
  let spent = 0;
  for (const event of events) {
    const { sequence, json } = event;
    if (spent >= CEL_PAGE_COST_MAX) return { ...examined, cut: sequence };
    const { verdict, cost } = judgeAll(filters, json);
    spent += cost;
    if (verdict.kind === 'match') examined.matching.push(event);
    else if (verdict.kind === 'invalid') examined.failed.push({ sequence, error: verdict.error });
  }
  return examined;
}

/** All have to match. What one of them does not want is not wanted, even if another fails on it. */
function judgeAll(filters: SubscriptionFilter[], json: string): ReturnType<typeof judge> {
  let verdict: Verdict = { kind: 'match' };
  let cost = 0;
  for (const filter of filters) {
    const judgement = judge(filter, json);
    cost += judgement.cost;
    if (judgement.verdict.kind === 'no-match') return { ...judgement, cost };
    if (verdict.kind === 'match') verdict = judgement.verdict;
  }
  return { verdict, cost };
}
