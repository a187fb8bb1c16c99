import { z } from 'zod';
import { Quotas } from '../quotas/asking.ts';
import type { Quota, QuotaStanding } from '../quotas/protocol.ts';
import type { Context } from './context.ts';
import { timeOf } from './fields.ts';
import { Problem } from './problem.ts';

/** A key's quota on the wire, and what holds a publish to it. */

export const QUOTA_MAX = 1_000_000_000;

const SPANS_MS = { perSecond: 1_000, perMinute: 60_000, perDay: 24 * 3_600_000 };

const count = z.int().min(1).max(QUOTA_MAX);

/** Events in each second, minute or day (UTC). */
export const quotaBody = z.union(
  [z.strictObject({ perSecond: count }), z.strictObject({ perMinute: count }), z.strictObject({ perDay: count })],
  `must be { "perSecond": N }, { "perMinute": N } or { "perDay": N }, N from 1 to ${QUOTA_MAX}`,
);

export function toQuota(body: z.output<typeof quotaBody> | null): Quota | null {
  if (body === null) return null;
  if ('perSecond' in body) return { count: body.perSecond, spanMs: SPANS_MS.perSecond };
  if ('perMinute' in body) return { count: body.perMinute, spanMs: SPANS_MS.perMinute };
  return { count: body.perDay, spanMs: SPANS_MS.perDay };
}

export function quotaOut(quota: Quota): z.output<typeof quotaBody> {
  if (quota.spanMs === SPANS_MS.perSecond) return { perSecond: quota.count };
  return quota.spanMs === SPANS_MS.perMinute ? { perMinute: quota.count } : { perDay: quota.count };
}

/** The isolate's. */
const quotas = new Quotas();

/** What was taken of a quota, if the caller has one. */
export interface Admission {
  /** Where the quota stands now. */
  headers: Record<string, string>;
  /** The events were refused after all: they don't count. */
  giveBack(): void;
}

const UNCOUNTED: Admission = { headers: {}, giveBack: () => undefined };

/**
 * Counts events that are about to be published. A key without a quota pays nothing; one whose quota can't be asked for goes on.
 *
 * @throws Problem `quota-exceeded`, `payload-too-large` (more than the quota ever has)
 */
export async function admit(events: number, { caller, hub }: Context): Promise<Admission> {
  const { quota } = caller;
  if (quota === null || events === 0) return UNCOUNTED;
  if (events > quota.count) {
    throw new Problem(
      'payload-too-large',
      `The quota of the key "${caller.name}" is ${inWords(quota)}, so ${events} in one request never fit. Send fewer at a time.`,
      { extra: { quota: quotaOut(quota) } },
    );
  }
  const asked = await quotas.take(caller, quota, events, hub);
  switch (asked.outcome) {
    case 'unknown':
      return UNCOUNTED;
    case 'taken':
      return {
        headers: headersOf(quota, asked, hub.now()),
        giveBack: () => quotas.giveBack(caller, asked.window, events, hub),
      };
    case 'overloaded':
      throw new Problem(
        'quota-exceeded',
        'The key sends more requests than its quota can be counted for. Send fewer, larger ones.',
        {
          extra: { quota: quotaOut(quota) },
          headers: { 'retry-after': '1' },
        },
      );
    case 'refused': {
      const { remaining, resetAt } = asked;
      throw new Problem(
        'quota-exceeded',
        `The quota of the key "${caller.name}" is ${inWords(quota)}: ${remaining} of it ${remaining === 1 ? 'is' : 'are'} left, not ${events}. More come at ${timeOf(resetAt)}.`,
        {
          extra: { quota: quotaOut(quota), remaining, resetAt: timeOf(resetAt) },
          headers: { 'retry-after': String(secondsUntil(resetAt, hub.now())), ...headersOf(quota, asked, hub.now()) },
        },
      );
    }
  }
}

/** `RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers. */
function headersOf(quota: Quota, { remaining, resetAt }: QuotaStanding, now: number): Record<string, string> {
  return {
    'ratelimit-policy': `"events";q=${quota.count};w=${quota.spanMs / 1_000}`,
    ratelimit: `"events";r=${remaining};t=${secondsUntil(resetAt, now)}`,
  };
}

function secondsUntil(at: number, now: number): number {
  return Math.max(1, Math.ceil((at - now) / 1_000));
}

function inWords(quota: Quota): string {
  const [[unit = '', events] = []] = Object.entries(quotaOut(quota));
  return `${events} events a ${unit.replace('per', '').toLowerCase()}`;
}
