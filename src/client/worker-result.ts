import type { HandlingResult } from '../events/handed.ts';
import { REASON_CHARACTERS_MAX } from '../events/handing-limits.ts';
import { Reject, Retry } from './results.ts';

/** What the hub is told of an event, by what its handler threw, if anything. Never throws. */
export async function resultOf(handle: () => unknown): Promise<HandlingResult> {
  try {
    await handle();
    return { result: 'ack' };
  } catch (error) {
    return thrown(error);
  }
}

export function thrown(error: unknown): HandlingResult {
  const reason = (error instanceof Error ? error.message : String(error)).slice(0, REASON_CHARACTERS_MAX);
  if (error instanceof Reject) return { result: 'reject', reason };
  const delay = error instanceof Retry ? error.delay : undefined;
  return { result: 'retry', reason, ...(delay === undefined ? {} : { delay }) };
}
