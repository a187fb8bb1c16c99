import type { Clock } from '../platform.ts';
import type { ClaimedEvent, DeliveryOutcome, DeliveryTarget } from '../subscriptions/protocol.ts';
import { describeFailure, interpret } from './answer.ts';
import { type Batch, batchRequest, type WebhookRequest, webhookRequest } from './request.ts';
import { readStart } from './response-body.ts';
import { Timeouts } from './timeouts.ts';
import type { GuardVerdict, UrlGuard } from './url-guard.ts';

/** Sends one webhook, and says what its answer means. */

/** The platform's `fetch`, as far as it is used. */
export type Fetch = (url: string, init: WebhookInit) => Promise<Response>;

export interface WebhookInit extends WebhookRequest {
  redirect: 'manual';
  signal: AbortSignal;
}

export interface WebhookPorts {
  fetch: Fetch;
  clock: Clock;
  guard: UrlGuard;
  /** The hub's, for the user agent. */
  version: string;
}

/** What became of one request: an outcome without the event's name. `released`: it was not made, and no attempt is spent. */
export type Attempt =
  | Unnamed<Extract<DeliveryOutcome, { kind: 'delivered' }>>
  | Unnamed<FailedOutcome>
  | { kind: 'released'; obstacle: string };

type FailedOutcome = Extract<DeliveryOutcome, { kind: 'failed' }>;
type Unnamed<Outcome> = Omit<Outcome, 'topic' | 'sequence'>;

/**
 * Makes one attempt to deliver an event. Never throws: whatever happens is an outcome.
 *
 * @param timeouts of the target's length, to be shared by all requests of a lease.
 */
export async function sendWebhook(
  subscription: string,
  target: DeliveryTarget,
  event: ClaimedEvent,
  ports: WebhookPorts,
  timeouts = new Timeouts(ports.clock, target.timeoutMs),
): Promise<DeliveryOutcome> {
  const { topic, sequence } = event;
  const build = (at: number) => webhookRequest(subscription, target, event, at, ports.version);
  return { topic, sequence, ...(await send(target, build, ports, timeouts)) };
}

/** {@link sendWebhook} for several events at once, of which the same becomes. */
export async function sendBatch(
  subscription: string,
  target: DeliveryTarget,
  events: Batch,
  ports: WebhookPorts,
  timeouts = new Timeouts(ports.clock, target.timeoutMs),
): Promise<DeliveryOutcome[]> {
  const build = (at: number) => batchRequest(subscription, target, events, at, ports.version);
  const made = await send(target, build, ports, timeouts);
  return events.map(({ topic, sequence }) => ({ topic, sequence, ...made }));
}

async function send(
  target: DeliveryTarget,
  build: (at: number) => WebhookRequest,
  ports: WebhookPorts,
  timeouts: Timeouts,
): Promise<Attempt> {
  const at = ports.clock.now();
  try {
    return await attempt(target, build(at), at, ports, timeouts);
  } catch (error) {
    return { at, ...unanswered('failed', describeFailure(error, sensitiveIn(target)), 0) };
  }
}

/** Sends one request, from its guard to the start of its answer's body. `at` is when it was made. */
export async function attempt(
  target: DeliveryTarget,
  request: WebhookRequest,
  at: number,
  ports: WebhookPorts,
  timeouts = new Timeouts(ports.clock, target.timeoutMs),
): Promise<Attempt> {
  const verdict = await ports.guard.check(target.url);
  if (!verdict.ok) return notSent(verdict, at);
  const startedAt = ports.clock.now();
  const latency = () => Math.max(0, ports.clock.now() - startedAt);
  const abort = new AbortController();
  const timeout = Promise.withResolvers<null>();
  const stop = timeouts.start(() => timeout.resolve(null));
  try {
    const fetched = ports.fetch(verdict.url, { ...request, redirect: 'manual', signal: abort.signal });
    const response = await Promise.race([fetched, timeout.promise]);
    if (response === null) {
      abandon(fetched, abort);
      return { at, ...unanswered('timeout', `No answer within ${target.timeoutMs} ms.`, latency()) };
    }
    const answered = { at, latencyMs: latency(), ...interpret(response, ports.clock.now()) };
    return { ...answered, response: await readStart(response, timeout.promise) };
  } catch (error) {
    return { at, ...unanswered('network', describeFailure(error, sensitiveIn(target)), latency()) };
  } finally {
    stop();
  }
}

/** A name of which nothing could be found out is nobody's failure; all else is the receiver's. */
function notSent(verdict: Extract<GuardVerdict, { ok: false }>, at: number): Attempt {
  const { code, detail } = verdict;
  if (code === 'look-up-failed') return { kind: 'released', obstacle: detail };
  return { at, ...unanswered(code === 'name-unknown' ? 'network' : 'failed', `Not sent: ${detail}`, 0) };
}

function unanswered(outcome: FailedOutcome['outcome'], error: string, latencyMs: number) {
  return { kind: 'failed' as const, outcome, error, latencyMs, status: null, response: '', retryAfterMs: null };
}

/** An answer after the timeout is of no interest, but neither its body nor its failure may be left hanging. */
export function abandon(fetched: Promise<Response>, abort: AbortController): void {
  fetched.then((response) => response.body?.cancel()).catch(() => undefined);
  abort.abort();
}

/** What an error's text must not repeat: secrets, header values, and what the URL holds beyond its host. */
function sensitiveIn(target: DeliveryTarget): string[] {
  const url = URL.parse(target.url);
  const path = url === null ? '' : url.pathname + url.search;
  return [target.url, path, ...target.secrets, ...Object.values(target.headers)];
}
