import { DELIVERIES_PATH } from '../events/handing-limits.ts';
import type { Clock } from '../platform.ts';
import type { ClaimedEvent, DeliveryOutcome, ServiceTarget } from '../subscriptions/protocol-claims.ts';
import { interpret } from './answer.ts';
import { type Bindings, type ConsumerService, missingBinding } from './bindings.ts';
import { handed, handedJson } from './handed.ts';
import { readBytes, readStart } from './response-body.ts';
import { type Answered, failedAll, outcomesOf, readResults } from './service-answer.ts';
import type { Timeouts } from './timeouts.ts';
import { transformedEvents } from './transforming.ts';

/** Calls a consumer Worker with events: its method `handle`, or its `fetch`. */

export interface ServicePorts {
  bindings: Bindings;
  clock: Clock;
}

/** How much of an answer to `fetch` is read. */
export const ANSWER_BYTES_MAX = 256 * 1024;
/** A service binding has no hosts. */
const URL_TO_POST = `https://consumer${DELIVERIES_PATH}`;

/** Makes one attempt to deliver events, in one call. Never throws: whatever happens is an outcome of each event. */
export async function callService(
  subscription: string,
  target: ServiceTarget,
  events: readonly ClaimedEvent[],
  { bindings, clock }: ServicePorts,
  timeouts: Timeouts,
): Promise<DeliveryOutcome[]> {
  const service = bindings.service(target.binding);
  if (service === null) {
    const obstacle = missingBinding(bindings, 'service', target.binding);
    return events.map(({ topic, sequence }) => ({ kind: 'released', topic, sequence, obstacle }));
  }
  const { members, invalid } = await transformedEvents(target.transform, events);
  if (members.length === 0) return invalid;
  const at = clock.now();
  const answered = await answerOf(subscription, target, service, members, timeouts, clock);
  return [...invalid, ...outcomesOf(members, answered, { at, latencyMs: Math.max(0, clock.now() - at) })];
}

async function answerOf(
  subscription: string,
  target: ServiceTarget,
  service: ConsumerService,
  members: readonly ClaimedEvent[],
  timeouts: Timeouts,
  clock: Clock,
): Promise<Answered> {
  const timeout = Promise.withResolvers<null>();
  const abort = new AbortController();
  const stop = timeouts.start(() => timeout.resolve(null));
  try {
    const called =
      target.call === 'rpc'
        ? callHandle(subscription, service, members)
        : post(subscription, service, members, clock, { signal: abort.signal, timeout: timeout.promise });
    const answered = await Promise.race([called, timeout.promise]);
    if (answered !== null) return answered;
    // What still comes is of no interest, its failure neither.
    called.catch(() => undefined);
    abort.abort();
    return failedAll('timeout', `No answer within ${target.timeoutMs} ms.`);
  } catch (error) {
    return failedAll(isLost(error) ? 'network' : 'failed', thrown(error, target));
  } finally {
    stop();
  }
}

async function callHandle(
  subscription: string,
  service: ConsumerService,
  members: readonly ClaimedEvent[],
): Promise<Answered> {
  const value = await service.handle(members.map((event) => handed(subscription, event)));
  try {
    return readResults(value, members.length, null);
  } finally {
    letGo(value);
  }
}

/** What a call returns keeps the other side alive until it is disposed of. */
function letGo(value: unknown): void {
  if (typeof value !== 'object' || value === null || !(Symbol.dispose in value)) return;
  const dispose = value[Symbol.dispose];
  if (typeof dispose === 'function') dispose.call(value);
}

async function post(
  subscription: string,
  service: ConsumerService,
  members: readonly ClaimedEvent[],
  clock: Clock,
  { signal, timeout }: { signal: AbortSignal; timeout: Promise<null> },
): Promise<Answered> {
  const response = await service.fetch(URL_TO_POST, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: `[${members.map((event) => handedJson(subscription, event)).join(',')}]`,
    redirect: 'manual',
    signal,
  });
  const answer = interpret(response, clock.now(), () => []);
  if (answer.kind === 'failed') return { ...answer, response: await readStart(response, timeout) };
  const { status } = answer;
  const { bytes, whole } = await readBytes(response, ANSWER_BYTES_MAX, timeout);
  if (!whole) return failedAll('failed', `Answered more than ${ANSWER_BYTES_MAX} bytes, or broke off.`, status);
  if (bytes.length === 0 || !isJson(response)) return readResults(undefined, members.length, status);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return failedAll('failed', 'Answered application/json that is no JSON.', status);
  }
  return readResults(value, members.length, status);
}

/** Whatever else a 2xx says means that all is taken: only JSON speaks of single events. */
function isJson(response: Response): boolean {
  return /^application\/json\b/i.test(response.headers.get('content-type') ?? '');
}

/** A call that was lost on its way, by the platform's account: the consumer was ended, or replaced by another version. */
function isLost(error: unknown): boolean {
  return error instanceof Error && 'retryable' in error && error.retryable === true;
}

/** A consumer may throw these words too, so that nothing but the text hangs on them. */
const NO_METHOD = /does not implement the method "handle"/;
const NO_FETCH = /does not export a fetch\(\) function/;

function thrown(error: unknown, { binding }: ServiceTarget): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (NO_METHOD.test(text))
    return `The Worker behind ${binding} has no method handle: give it one, or say "call": "fetch". (${text})`;
  if (NO_FETCH.test(text))
    return `The Worker behind ${binding} has no fetch: give it one, or say "call": "rpc". (${text})`;
  return isLost(error) ? text : `The consumer threw ${text}`;
}
