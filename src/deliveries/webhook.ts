import { STRUCTURED_CONTENT_TYPE } from '../events/encode.ts';
import { messageId } from '../events/ids.ts';
import type { Clock } from '../platform.ts';
import type { ClaimedEvent, DeliveryOutcome, DeliveryTarget } from '../subscriptions/protocol.ts';
import { describeFailure, interpret } from './answer.ts';
import { headerProblem } from './headers.ts';
import { canStart, type Slot } from './pace.ts';
import { readStart } from './response-body.ts';
import { type Signer, signer } from './signature.ts';
import { Timeouts } from './timeouts.ts';
import type { GuardVerdict, UrlGuard } from './url-guard.ts';

/** One webhook: the request as the Standard Webhooks specification has it, and what its answer means. */

/** The platform's `fetch`, as far as it is used. */
export type Fetch = (url: string, init: WebhookInit) => Promise<Response>;

export interface WebhookRequest {
  method: 'POST';
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string;
}

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

/**
 * The request of one attempt.
 *
 * @param at the attempt's time, milliseconds since the epoch.
 * @throws if a secret of the target is none.
 */
export function webhookRequest(
  subscription: string,
  target: DeliveryTarget,
  event: ClaimedEvent,
  at: number,
  version: string,
): WebhookRequest {
  const id = messageId(subscription, event.topic, event.sequence);
  const timestamp = Math.floor(at / 1000);
  const traceparent = traceparentOf(event.json);
  const { headers, signers } = prepared(target);
  return {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': STRUCTURED_CONTENT_TYPE,
      'user-agent': `Millrace/${version}`,
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signers.map((sign) => sign(id, timestamp, event.json)).join(' '),
      'millrace-attempt': String(event.attempt),
      'millrace-topic': event.topic,
      'millrace-sequence': String(event.sequence),
      ...(event.replay === null ? {} : { 'millrace-replay': event.replay }),
      ...(traceparent === null ? {} : { traceparent }),
    },
    body: event.json,
  };
}

interface Prepared {
  headers: Record<string, string>;
  signers: Signer[];
}

/** What is the same for every event of a claim. A target is one claim's, so it is forgotten with it. */
const PREPARED = new WeakMap<DeliveryTarget, Prepared>();

function prepared(target: DeliveryTarget): Prepared {
  const known = PREPARED.get(target);
  if (known !== undefined) return known;
  const fresh = { headers: configuredHeaders(target), signers: target.secrets.map(signer) };
  PREPARED.set(target, fresh);
  return fresh;
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
 * @param slot its rate slot; where the request does not come to start in time, the event is given back.
 */
export async function sendWebhook(
  subscription: string,
  target: DeliveryTarget,
  event: ClaimedEvent,
  ports: WebhookPorts,
  timeouts = new Timeouts(ports.clock, target.timeoutMs),
  slot: Slot | null = null,
): Promise<DeliveryOutcome> {
  const at = ports.clock.now();
  const { topic, sequence } = event;
  try {
    const request = webhookRequest(subscription, target, event, at, ports.version);
    const verdict = await ports.guard.check(target.url);
    if (!verdict.ok) return { topic, sequence, ...notSent(verdict, at) };
    if (slot !== null && !canStart(slot, ports.clock.now())) {
      return { kind: 'released', topic, sequence, missed: true };
    }
    return { topic, sequence, ...(await exchange(target, verdict.url, request, at, ports, timeouts)) };
  } catch (error) {
    return { topic, sequence, at, ...unanswered('failed', describeFailure(error, sensitiveIn(target)), 0) };
  }
}

/** Sends one request, from its guard to the start of its answer's body. `at` is when it was made. */
export async function attempt(
  target: DeliveryTarget,
  request: WebhookRequest,
  at: number,
  ports: WebhookPorts,
): Promise<Attempt> {
  const verdict = await ports.guard.check(target.url);
  if (!verdict.ok) return notSent(verdict, at);
  return exchange(target, verdict.url, request, at, ports, new Timeouts(ports.clock, target.timeoutMs));
}

/** From the request to the start of its answer's body. */
async function exchange(
  target: DeliveryTarget,
  url: string,
  request: WebhookRequest,
  at: number,
  ports: WebhookPorts,
  timeouts: Timeouts,
): Promise<Attempt> {
  const startedAt = ports.clock.now();
  const latency = () => Math.max(0, ports.clock.now() - startedAt);
  const abort = new AbortController();
  const timeout = Promise.withResolvers<null>();
  const stop = timeouts.start(() => timeout.resolve(null));
  try {
    const fetched = ports.fetch(url, { ...request, redirect: 'manual', signal: abort.signal });
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
function abandon(fetched: Promise<Response>, abort: AbortController): void {
  fetched.then((response) => response.body?.cancel()).catch(() => undefined);
  abort.abort();
}

/** Without those that may not be set: the HTTP interface refuses them, an older version may have stored one. */
function configuredHeaders(target: DeliveryTarget): Record<string, string> {
  return Object.fromEntries(
    Object.entries(target.headers)
      .filter(([name, value]) => headerProblem(name, value) === null)
      .map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** W3C Trace Context, level 2: version, trace id, parent id, flags. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

function traceparentOf(json: string): string | null {
  // Most events have none, and parsing a large one costs more than signing it.
  if (!json.includes('"traceparent"')) return null;
  const event: unknown = JSON.parse(json);
  if (typeof event !== 'object' || event === null || !('traceparent' in event)) return null;
  const { traceparent } = event;
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : null;
}

/** What an error's text must not repeat: secrets, header values, and what the URL holds beyond its host. */
function sensitiveIn(target: DeliveryTarget): string[] {
  const url = URL.parse(target.url);
  const path = url === null ? '' : url.pathname + url.search;
  return [target.url, path, ...target.secrets, ...Object.values(target.headers)];
}
