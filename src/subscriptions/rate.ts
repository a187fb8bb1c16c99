import { RATE_AHEAD_MS } from './limits.ts';

/** What a lane's row says of its rate: requests evenly spaced, `rate_count` in `rate_span` milliseconds. */
export interface Rate {
  rate_count: number | null;
  rate_span: number | null;
  /** The next free slot. */
  rate_cursor: number;
}

/** The moments at which the next `count` requests may start, and the slot after them; null: whenever they like. */
export function rateSlots(rate: Rate, now: number, count: number): { slots: number[]; cursor: number } | null {
  if (rate.rate_count === null || rate.rate_span === null) return null;
  const distance = rate.rate_span / rate.rate_count;
  const start = firstSlot(rate, rate.rate_span, now);
  const slots = Array.from({ length: count }, (_, index) => Math.ceil(start + index * distance));
  return { slots, cursor: Math.ceil(start + count * distance) };
}

/** How many requests may start within the next second. */
export function rateAllows(rate: Rate, now: number): number {
  if (rate.rate_count === null || rate.rate_span === null) return Number.POSITIVE_INFINITY;
  const distance = rate.rate_span / rate.rate_count;
  const start = firstSlot(rate, rate.rate_span, now);
  const horizon = now + RATE_AHEAD_MS;
  return start > horizon ? 0 : Math.floor((horizon - start) / distance) + 1;
}

/** Slots unused in time are lost, never saved up. One further away than any is given was given before the clock jumped back. */
function firstSlot(rate: Rate, span: number, now: number): number {
  return rate.rate_cursor > now + RATE_AHEAD_MS + span ? now : Math.max(now, rate.rate_cursor);
}
