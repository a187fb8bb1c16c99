import type { WayPorts } from '../deliveries/ways.ts';
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

/** The same for consumers of any kind. */
export function wayPorts(context: Context): WayPorts {
  const { hub } = context;
  return { ...webhookPorts(context), bindings: hub.bindings, seals: hub.seals() };
}
