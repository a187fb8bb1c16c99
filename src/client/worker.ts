import type { HandedEvent, HandlingResult } from '../events/handed.ts';
import { DELIVERIES_PATH } from '../events/handing-limits.ts';
import type { Delivery, EventOf } from './delivery.ts';
import { atLeastOne } from './numbers.ts';
import { type HubAccess, HubLink } from './worker-hub.ts';
import { QueueConsumer, type QueueMessage } from './worker-queue.ts';
import { resultOf } from './worker-result.ts';

/**
 * Makes a Worker a consumer, whatever the kind of its subscription: `queue` for one behind a queue of its own, `handle` and
 * `fetch` for one that is called through a service binding.
 */

export { Reject, Retry } from './results.ts';
export type { HubAccess } from './worker-hub.ts';

/** Of the platform's `ExecutionContext` what is used here. */
export interface ConsumerContext {
  waitUntil(promise: Promise<unknown>): void;
  /** What the caller's service binding says; nobody else can. */
  props?: unknown;
}

export interface ConsumerOptions<Env, Data> {
  /**
   * Deals with one event; returning takes it. If it throws the event comes again, as the schedule or a {@link Retry} says;
   * {@link Reject} makes it a dead letter.
   */
  handle(delivery: Delivery<Data>, env: Env, context: ConsumerContext): unknown;
  /** How many events are dealt with at a time; 1 by default: one after the other, as they come. */
  concurrency?: number;
  /** Where the hub is: needed for events larger than a message, and where the subscription says `confirm`. */
  hub?: (env: Env) => HubAccess;
  /** Answers requests that are no deliveries; by default they are answered 404. */
  fetch?: (request: Request, env: Env, context: ConsumerContext) => Response | Promise<Response>;
}

/** What {@link consumer} makes: a Worker's default export. */
export interface Consumer<Env> {
  queue(batch: { readonly messages: readonly QueueMessage[] }, env: Env, context: ConsumerContext): Promise<void>;
  handle(deliveries: HandedEvent[], env: Env, context: ConsumerContext): Promise<HandlingResult[]>;
  fetch(request: Request, env: Env, context: ConsumerContext): Promise<Response>;
}

/**
 * ```ts
 * export default consumer<Env>({
 *   async handle({ event }, env) {
 *     await sendMail(env, event.data);
 *   },
 * });
 * ```
 */
export function consumer<Env, Data = unknown>(options: ConsumerOptions<Env, Data>): Consumer<Env> {
  const concurrency = atLeastOne('concurrency', options.concurrency ?? 1);
  const one = (handed: HandedEvent, env: Env, context: ConsumerContext): Promise<HandlingResult> =>
    resultOf(() => options.handle(deliveryOf<Data>(handed), env, context));
  const handle: Consumer<Env>['handle'] = (deliveries, env, context) =>
    inTurn(deliveries, concurrency, (handed) => one(handed, env, context));
  return {
    handle,

    async queue({ messages }, env, context) {
      const hub = options.hub === undefined ? null : new HubLink(options.hub(env));
      const queue = new QueueConsumer(hub, (handed) => one(handed, env, context), messages.length);
      await inTurn(messages, concurrency, (message) => queue.deal(message));
      await queue.end();
    },

    async fetch(request, env, context) {
      if (new URL(request.url).pathname !== DELIVERIES_PATH) {
        return (await options.fetch?.(request, env, context)) ?? new Response(null, { status: 404 });
      }
      if (request.method !== 'POST') return new Response(null, { status: 405, headers: { allow: 'POST' } });
      if (!isFromHub(context)) return new Response(NOT_FROM_HUB, { status: 403 });
      const deliveries: HandedEvent[] = await request.json();
      return Response.json(await handle(deliveries, env, context));
    },
  };
}

const NOT_FROM_HUB =
  'Deliveries are taken from a hub alone, which its service binding has to say: give it props = { millrace = true }.\n';

/** A request from outside has no props, and can't have any. */
function isFromHub({ props }: ConsumerContext): boolean {
  return typeof props === 'object' && props !== null && 'millrace' in props && props.millrace === true;
}

function deliveryOf<Data>({ event, topic, sequence, attempt, replay, redriven }: HandedEvent): Delivery<Data> {
  return { event: event as EventOf<Data>, topic, sequence, attempt, replay, redriven };
}

/** The results of `work` for each item, in the order of the items; at most `atOnce` are worked on at a time. */
async function inTurn<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
