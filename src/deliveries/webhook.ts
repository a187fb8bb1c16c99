import { STRUCTURED_CONTENT_TYPE } from '../events/encode.ts';
import { messageId } from '../events/ids.ts';
import { type Trace, traceIn } from '../events/trace.ts';
import type { Clock } from '../platform.ts';
import type { ClaimedEvent, DeliveryOutcome, DeliveryTarget, SharedRequest } from '../subscriptions/protocol.ts';
import { RequestBook } from '../subscriptions/sent-requests.ts';
import { describeFailure, interpret } from './answer.ts';
import { headerProblem } from './headers.ts';
import { readStart } from './response-body.ts';
import { type Signer, signer } from './signature.ts';
import { Timeouts } from './timeouts.ts';
import { toldRequest } from './told-request.ts';
import { type Outgoing, transformed } from './transforming.ts';
import type { GuardVerdict, UrlGuard } from './url-guard.ts';

/** One webhook: the request as the Standard Webhooks specification has it, and what its answer means. */

/** The platform's `fetch`, as far as it is used. */
export type Fetch = (url: string, init: WebhookInit) => Promise<Response>;

export interface WebhookRequest {
  method: 'POST';
  url: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string;
}

export interface WebhookInit extends Omit<WebhookRequest, 'url'> {
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
 * @param made what a transform made for this event.
 * @throws if a secret of the target is none.
 */
export function webhookRequest(
  subscription: string,
  target: DeliveryTarget,
  event: ClaimedEvent,
  at: number,
  version: string,
  made: Pick<Outgoing, 'url' | 'headers'> = { url: target.url, headers: {} },
): WebhookRequest {
  const id = messageId(subscription, event.topic, event.sequence);
  const timestamp = Math.floor(at / 1000);
  const trace = traceIn(event.json);
  const { headers, signers } = prepared(target);
  return {
    method: 'POST',
    url: made.url,
    headers: {
      ...headers,
      ...made.headers,
      'content-type': STRUCTURED_CONTENT_TYPE,
      'user-agent': `Millrace/${version}`,
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signers.map((sign) => sign(id, timestamp, event.json)).join(' '),
      'millrace-attempt': String(event.attempt),
      'millrace-topic': event.topic,
      'millrace-sequence': String(event.sequence),
      ...(event.redriven ? { 'millrace-redriven': 'true' } : {}),
      ...(event.replay === null ? {} : { 'millrace-replay': event.replay }),
      ...(trace === null ? {} : traceHeaders(trace)),
    },
    body: event.json,
  };
}

interface Prepared {
  headers: Record<string, string>;
  signers: Signer[];
  /** What was sent, to be told of. */
  book: RequestBook;
}

/** What is the same for every event of a claim. A target is one claim's, so it is forgotten with it. */
const PREPARED = new WeakMap<DeliveryTarget, Prepared>();

function prepared(target: DeliveryTarget): Prepared {
  const known = PREPARED.get(target);
  if (known !== undefined) return known;
  const fresh = {
    headers: configuredHeaders(target),
    signers: target.secrets.map(signer),
    book: new RequestBook(),
  };
  PREPARED.set(target, fresh);
  return fresh;
}

/** What the requests to a claim's target had in common; undefined: none was sent. */
export function sharedRequest(target: DeliveryTarget): SharedRequest | undefined {
  return PREPARED.get(target)?.book.shared ?? undefined;
}

/**
 * What became of one request: an outcome without the event's name. `released`: it was not made, and no attempt is spent;
 * `request` null: it was not made, and that is a failure.
 */
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
  const result = await transformed(target, event);
  if (!result.ok) return { kind: 'invalid', topic, sequence, error: result.error };
  const at = ports.clock.now();
  try {
    const { outgoing } = result;
    const request = webhookRequest(subscription, target, outgoing.event, at, ports.version, outgoing);
    const made = await attempt(target, request, at, ports, timeouts);
    if (made.kind === 'released' || made.request === null) return { topic, sequence, ...made };
    const own = [...Object.keys(target.headers), ...Object.keys(outgoing.headers)];
    const told = toldRequest(request.url, request.headers, own);
    const { attempt: number, replay } = event;
    const difference = prepared(target).book.note({ subscription, topic, sequence, attempt: number, at, replay }, told);
    return { topic, sequence, ...made, ...(difference === undefined ? {} : { request: difference }) };
  } catch (error) {
    const failure = unanswered('failed', describeFailure(error, sensitiveIn(target, null)), 0);
    return { topic, sequence, at, ...failure, request: null };
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
  const { url, ...init } = request;
  const verdict = await ports.guard.check(url);
  if (!verdict.ok) return notSent(verdict, at);
  const startedAt = ports.clock.now();
  const latency = () => Math.max(0, ports.clock.now() - startedAt);
  const abort = new AbortController();
  const timeout = Promise.withResolvers<null>();
  const stop = timeouts.start(() => timeout.resolve(null));
  try {
    const fetched = ports.fetch(verdict.url, { ...init, redirect: 'manual', signal: abort.signal });
    const response = await Promise.race([fetched, timeout.promise]);
    if (response === null) {
      abandon(fetched, abort);
      return { at, ...unanswered('timeout', `No answer within ${target.timeoutMs} ms.`, latency()) };
    }
    const answered = { at, latencyMs: latency(), ...interpret(response, ports.clock.now()) };
    return { ...answered, response: await readStart(response, timeout.promise) };
  } catch (error) {
    return { at, ...unanswered('network', describeFailure(error, sensitiveIn(target, request)), latency()) };
  } finally {
    stop();
  }
}

/** A name of which nothing could be found out is nobody's failure; all else is the receiver's. */
function notSent(verdict: Extract<GuardVerdict, { ok: false }>, at: number): Attempt {
  const { code, detail } = verdict;
  if (code === 'look-up-failed') return { kind: 'released', obstacle: detail };
  const outcome = code === 'name-unknown' ? 'network' : 'failed';
  return { at, ...unanswered(outcome, `Not sent: ${detail}`, 0), request: null };
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

/** As the producer sent it: the hub reports no spans, and a parent that nobody knows of would cut the trace in two. */
function traceHeaders({ traceparent, tracestate }: Trace): Record<string, string> {
  return { traceparent, ...(tracestate === null ? {} : { tracestate }) };
}

/** What an error's text must not repeat: secrets, header values, and what the URL holds beyond its host. */
function sensitiveIn(target: DeliveryTarget, request: WebhookRequest | null): string[] {
  const urls = [target.url, request?.url ?? target.url];
  const paths = urls.map((text) => {
    const url = URL.parse(text);
    return url === null ? '' : url.pathname + url.search;
  });
  return [...urls, ...paths, ...target.secrets, ...Object.values(target.headers)];
}
