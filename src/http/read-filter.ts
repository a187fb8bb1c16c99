import { judge } from '../expressions/filter.ts';
import { CEL_PAGE_COST_MAX } from '../expressions/limits.ts';
import { SHARED_FILTERS_MAX } from '../tails/limits.ts';
import type { LogEvent, ReadRequest, ReadResult } from '../topics/protocol.ts';

export type Page = Extract<ReadResult, { outcome: 'page' }>;

/**
 * What of a page matches a CEL filter, `limit` events at most; an event that the filter fails on does not. A page that costs
 * too much, or has more, ends where it did, and `next` goes on from there.
 */
export function filteredPage<Part extends { events: readonly LogEvent[]; next: number | null }>(
  page: Part,
  cel: string | null,
  order: ReadRequest['order'],
  limit = Number.POSITIVE_INFINITY,
): Part {
  if (cel === null) return page;
  const events: Page['events'] = [];
  let spent = 0;
  let last: number | null = null;
  for (const event of page.events) {
    if (spent >= CEL_PAGE_COST_MAX || events.length >= limit)
      return { ...page, events, next: order === 'asc' ? last : event.sequence };
    const { verdict, cost } = judge({ types: [], cel }, event.json);
    if (verdict.kind === 'match') events.push(event);
    spent += cost;
    last = event.sequence;
  }
  return { ...page, events };
}

interface Left {
  events: readonly LogEvent[];
  next: number | null;
}

/** What the first filters left of lists of events, for as long as a list is in use. */
const leftOf = new WeakMap<readonly LogEvent[], Map<string, Left>>();

/** {@link filteredPage} of a list that others may be given too: who asks for the same is given the same, of a few filters. */
export function filteredTogether(events: readonly LogEvent[], cel: string | null): Left {
  if (cel === null) return { events, next: null };
  const byFilter = leftOf.get(events) ?? new Map<string, Left>();
  leftOf.set(events, byFilter);
  const left = byFilter.get(cel) ?? filteredPage({ events, next: null }, cel, 'asc');
  if (byFilter.size < SHARED_FILTERS_MAX) byFilter.set(cel, left);
  return left;
}
