import type { LaneRow } from './rows.ts';

/** What is recorded of deliveries that are settled by ack ids: when they were handed out, and what was told of them since. */

export function done({ topic }: LaneRow, sequence: number, since: number, now: number) {
  const latencyMs = Math.max(0, now - since);
  return { kind: 'delivered', topic, sequence, at: since, latencyMs, status: null, response: '' } as const;
}

export function notDone(
  { topic }: LaneRow,
  sequence: number,
  since: number,
  now: number,
  what: { outcome: 'failed' | 'timeout'; error: string },
) {
  const latencyMs = Math.max(0, now - since);
  return {
    kind: 'failed',
    topic,
    sequence,
    at: since,
    latencyMs,
    status: null,
    response: '',
    retryAfterMs: null,
    ...what,
  } as const;
}
