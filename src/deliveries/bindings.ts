import type { Env } from '../env.ts';
import type { HandedEvent, QueuedEvent } from '../events/handed.ts';

/** The queues and Workers that a deployment gives the hub to deliver to: bindings beside the hub's own. */

/** Of the platform's `Queue` what is used here. */
export interface ConsumerQueue {
  sendBatch(messages: { body: QueuedEvent; contentType: 'json' }[]): Promise<unknown>;
}

export interface ServiceRequest {
  method: 'POST';
  headers: Record<string, string>;
  body: string;
  redirect: 'manual';
  signal: AbortSignal;
}

/** A service binding: whatever is asked of it goes to the Worker behind, which may have no such method. */
export interface ConsumerService {
  handle(deliveries: HandedEvent[]): Promise<unknown>;
  fetch: (url: string, init: ServiceRequest) => Promise<Response>;
}

export interface Bindings {
  /** Null: there is none of this name, or it is something else. */
  queue(name: string): ConsumerQueue | null;
  service(name: string): ConsumerService | null;
  /** The names of all of a kind, sorted. */
  names(kind: BindingKind): string[];
}

export type BindingKind = 'queue' | 'service';

/** The hub's own queues: no place for a consumer. */
const OWN: ReadonlySet<string> = new Set(['DELIVERIES', 'RETRIES'] satisfies (keyof Env)[]);

export function bindingsOf(env: object): Bindings {
  const members = new Map<string, unknown>(Object.entries(env).filter(([name]) => !OWN.has(name)));
  const is = { queue: isQueue, service: isService };
  return {
    queue: (name) => only(members.get(name), isQueue),
    service: (name) => only(members.get(name), isService),
    names: (kind) => [...members].flatMap(([name, value]) => (is[kind](value) ? name : [])).sort(),
  };
}

function only<T>(value: unknown, is: (value: unknown) => value is T): T | null {
  return is(value) ? value : null;
}

// The platform's classes. A service binding claims to have any member there is, so that nothing else tells them apart.

function isQueue(value: unknown): value is ConsumerQueue {
  return Object.prototype.toString.call(value) === '[object WorkerQueue]';
}

function isService(value: unknown): value is ConsumerService {
  return Object.prototype.toString.call(value) === '[object Fetcher]';
}

/** The binding that a delivery names is there. */
export function isConfigured(bindings: Bindings, kind: BindingKind, name: string): boolean {
  return bindings.names(kind).includes(name);
}

/** Why a binding can't be used, and what to do about it. */
export function missingBinding(bindings: Bindings, kind: BindingKind, name: string): string {
  const names = bindings.names(kind);
  const configured = names.length === 0 ? 'none' : names.join(', ');
  const other = kind === 'queue' ? 'service' : 'queue';
  const is = isConfigured(bindings, other, name) ? ` (it is a ${other} binding)` : '';
  return `The hub's Worker has no ${kind} binding "${name}"${is}; it has: ${configured}. Add it to wrangler.toml and deploy.`;
}
