import type { HandlingResult } from '../events/handed.ts';
import { Reject, Retry, reasonOf } from './results.ts';

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
  const reason = reasonOf(error);
  if (error instanceof Reject) return { result: 'reject', reason };
  const delay = error instanceof Retry ? error.delay : undefined;
  return { result: 'retry', reason, ...(delay === undefined ? {} : { delay }) };
}
