import { z } from 'zod';
import type { RateLimit } from '../subscriptions/document.ts';
import type { ReplayView } from '../subscriptions/protocol-views.ts';
import { filterOut } from './expression-fields.ts';
import { timeField, timeOf, timeOrNull } from './fields.ts';

/** Replays on the wire. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
export const RATE_MAX = 1_000_000;

const rate = z.int().min(1).max(RATE_MAX);

/** At most so many requests started in any such span. */
export const rateLimitBody = z.union(
  [z.strictObject({ perSecond: rate }), z.strictObject({ perMinute: rate })],
  `must be { "perSecond": N } or { "perMinute": N }, N from 1 to ${RATE_MAX}`,
);

export function toRateLimit(body: z.infer<typeof rateLimitBody> | null): RateLimit | null {
  if (body === null) return null;
  return 'perSecond' in body
    ? { count: body.perSecond, spanMs: SECOND_MS }
    : { count: body.perMinute, spanMs: MINUTE_MS };
}

export function rateLimitOut(limit: RateLimit | null): z.infer<typeof rateLimitBody> | null {
  if (limit === null) return null;
  return limit.spanMs === SECOND_MS ? { perSecond: limit.count } : { perMinute: limit.count };
}

const count = z.int().min(0);

export const replayAnswer = z.object({
  id: z.string(),
  topic: z.string(),
  subscription: z.string(),
  status: z.enum(['running', 'done', 'cancelled', 'failed']),
  from: z.int(),
  to: z.int(),
  filter: z.object({ types: z.array(z.string()), cel: z.string().nullable() }).nullable(),
  rateLimit: rateLimitBody.nullable(),
  total: count.describe('Sequences: `delivered` + `failed` + `filtered` + `remaining`.'),
  delivered: count,
  failed: count.describe('Events that died.'),
  filtered: count,
  remaining: count,
  createdAt: timeField,
  endedAt: timeField.nullable(),
  error: z.string().nullable(),
});

export function replayOut(replay: ReplayView): z.infer<typeof replayAnswer> {
  return {
    id: replay.id,
    topic: replay.topic,
    subscription: replay.subscription,
    status: replay.status,
    from: replay.from,
    to: replay.to,
    filter: filterOut(replay.filter),
    rateLimit: rateLimitOut(replay.rateLimit),
    total: replay.total,
    delivered: replay.delivered,
    failed: replay.failed,
    filtered: replay.filtered,
    remaining: replay.remaining,
    createdAt: timeOf(replay.createdAt),
    endedAt: timeOrNull(replay.endedAt),
    error: replay.error,
  };
}
