import { type Access, accessOf, type Caller } from '../access/authenticate.ts';
import { allows, describeNeed, type Need } from '../access/scopes.ts';
import type { Trace } from '../events/trace.ts';
import type { Guard } from './guard.ts';
import type { Hub } from './hub.ts';
import { Problem } from './problem.ts';

/** One need, or several of which any is enough. */
export type Needed = Need | { anyOf: Need[] };

/** A request on its way to its route. */
export interface Exchange {
  hub: Hub;
  request: Request;
  requestId: string;
  trace: Trace | null;
  caller: Caller;
  pathParams: Record<string, string>;
}

/** What a handler gets beside its input. */
export class Context {
  readonly hub: Hub;
  readonly request: Request;
  readonly requestId: string;
  readonly trace: Trace | null;
  readonly caller: Caller;
  /** What `If-Match` asks for. */
  readonly guard: Guard;

  constructor(exchange: Exchange, guard: Guard) {
    this.hub = exchange.hub;
    this.request = exchange.request;
    this.requestId = exchange.requestId;
    this.trace = exchange.trace;
    this.caller = exchange.caller;
    this.guard = guard;
  }

  /** Taken apart when it is asked for: most requests have nothing in it beside the path. */
  get url(): URL {
    return new URL(this.request.url);
  }

  /** True if the caller's key grants it. */
  may(need: Needed): boolean {
    const needs = 'anyOf' in need ? need.anyOf : [need];
    return needs.some((one) => allows(this.caller.scopes, one));
  }

  /** @throws Problem `forbidden` */
  require(need: Needed): void {
    if (this.may(need)) return;
    const needs = 'anyOf' in need ? need.anyOf : [need];
    const names = needs.map((one) => describeNeed(one)).join(' or ');
    // A token's holder need not know whose it is.
    const who = this.caller.byToken ? 'This token' : `The key "${this.caller.name}"`;
    throw new Problem('forbidden', `${who} lacks the scope ${names}.`);
  }
}

/** The isolate's access; whoever has a context was authenticated with it. */
export function access(hub: Hub): Access {
  const found = accessOf(hub);
  if ('missing' in found) throw new Error(`${found.missing} went missing within a request.`);
  return found;
}
