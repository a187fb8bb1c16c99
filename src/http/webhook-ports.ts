import { VERSION } from '../version.ts';
import type { Context } from './context.ts';
import { clockOf, urlGuardOf } from './webhook-guard.ts';

/** What a request needs to send something to a receiver itself. */
export function webhookPorts(context: Context) {
  const { hub } = context;
  return {
    fetch: (url: string, init: RequestInit) => hub.fetch(url, init),
    clock: clockOf(hub),
    guard: urlGuardOf(context),
    version: VERSION,
  };
}
