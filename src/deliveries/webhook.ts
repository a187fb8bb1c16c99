import type { Clock } from '../platform.ts';
import type {
  ClaimedEvent,
  DeliveryOutcome,
  SharedRequest,
  Unnamed,
  WebhookTarget,
} from '../subscriptions/protocol-claims.ts';
import { RequestBook, type Telling } from '../subscriptions/sent-requests.ts';
import { describeFailure, interpret } from './answer.ts';
import { canStart, type Slot } from './pace.ts';
import { type Batch, batchRequest, type WebhookRequest, webhookRequest } from './request.ts';
import { readStart } from './response-body.ts';
import { Timeouts } from './timeouts.ts';
import { telling } from './told-request.ts';
import { transformed } from './transforming.ts';
import type { GuardVerdict, UrlGuard } from './url-guard.ts';

/** Sends one webhook, and says what its answer means. */

/** The platform's `fetch`, as far as it is used. */
export type Fetch = (url: string, init: WebhookInit) => Promise<Response>;

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

/** What was sent to the target of a claim, to be told of. A target is one claim's, so it is forgotten with it. */
const BOOKS = new WeakMap<WebhookTarget, { book: RequestBook; telling: Telling }>();

function bookOf(target: WebhookTarget) {
  const known = BOOKS.get(target);
  if (known !== undefined) return known;
  const fresh = { book: new RequestBook(), telling: telling(Object.keys(target.headers)) };
  BOOKS.set(target, fresh);
  return fresh;
}

/** What the requests to a claim's target had in common; undefined: none was sent. */
export function sharedRequest(target: WebhookTarget): SharedRequest | undefined {
  return BOOKS.get(target)?.book.shared ?? undefined;
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

/**
 * Makes one attempt to deliver an event. Never throws: whatever happens is an outcome.
 *
 * @param timeouts of the target's length, to be shared by all requests of a lease.
 * @param slot in which it has to start; where it can't any more nothing is sent, and the event is released.
 */
export async function sendWebhook(
  subscription: string,
  target: WebhookTarget,
  event: ClaimedEvent,
  ports: WebhookPorts,
  timeouts = new Timeouts(ports.clock, target.timeoutMs),
  slot: Slot | null = null,
): Promise<DeliveryOutcome> {
  const result = await transformed(target, event);
  if (!result.ok) return invalid(event, result.error);
  const { outgoing } = result;
  const build = (at: number) => webhookRequest(subscription, target, outgoing.event, at, ports.version, outgoing);
  const sent = await send(target, build, ports, timeouts, slot);
  return noted(subscription, target, event, sent, Object.keys(outgoing.headers));
}

/** {@link sendWebhook} for several events at once, of which the same becomes, but for those whose transform fails. */
export async function sendBatch(
  subscription: string,
  target: WebhookTarget,
  events: Batch,
  ports: WebhookPorts,
  timeouts = new Timeouts(ports.clock, target.timeoutMs),
  slot: Slot | null = null,
): Promise<DeliveryOutcome[]> {
  const outcomes: DeliveryOutcome[] = [];
  const members: ClaimedEvent[] = [];
  for (const event of events) {
    const result = await transformed(target, event);
    if (result.ok) members.push(result.outgoing.event);
    else outcomes.push(invalid(event, result.error));
  }
  const [first, ...others] = members;
  if (first === undefined) return outcomes;
  const batch: Batch = [first, ...others];
  const build = (at: number) => batchRequest(subscription, target, batch, at, ports.version);
  const sent = await send(target, build, ports, timeouts, slot);
  return [...outcomes, ...batch.map((event) => noted(subscription, target, event, sent, []))];
}

function invalid({ topic, sequence }: ClaimedEvent, error: string): DeliveryOutcome {
  return { kind: 'invalid', topic, sequence, error };
}

/** A request and what became of it; none where it could not be built. */
interface Sent {
  at: number;
  request: WebhookRequest | null;
  made: Attempt | { kind: 'released'; missed: true };
}

async function send(
  target: WebhookTarget,
  build: (at: number) => WebhookRequest,
  ports: WebhookPorts,
  timeouts: Timeouts,
  slot: Slot | null,
): Promise<Sent> {
  const at = ports.clock.now();
  try {
    const request = build(at);
    const verdict = await ports.guard.check(request.url);
    if (!verdict.ok) return { at, request, made: notSent(verdict, at) };
    if (slot !== null && !canStart(slot, ports.clock.now()))
      return { at, request, made: { kind: 'released', missed: true } };
    return { at, request, made: await exchange(target, verdict.url, request, at, ports, timeouts) };
  } catch (error) {
    const failure = unanswered('failed', describeFailure(error, sensitiveIn(target, null)), 0);
    return { at, request: null, made: { at, ...failure, request: null } };
  }
}

/** What became of one event, with what has to be remembered of its request. `own`: headers that its transform made. */
function noted(
  subscription: string,
  target: WebhookTarget,
  event: ClaimedEvent,
  { at, request, made }: Sent,
  own: string[],
): DeliveryOutcome {
  const { topic, sequence, attempt: number, replay } = event;
  if (request === null || made.kind === 'released' || made.request === null) return { topic, sequence, ...made };
  const facts = { subscription, topic, sequence, attempt: number, at, replay };
  const { book, telling: usual } = bookOf(target);
  const difference = book.note(
    target.format === 'batch' ? facts : { ...facts, id: request.headers['webhook-id'] },
    request,
    own.length === 0 ? usual : telling([...Object.keys(target.headers), ...own]),
  );
  return { topic, sequence, ...made, ...(difference === undefined ? {} : { request: difference }) };
}

/** Sends one request, from its guard to the start of its answer's body. `at` is when it was made. */
export async function attempt(
  target: WebhookTarget,
  request: WebhookRequest,
  at: number,
  ports: WebhookPorts,
): Promise<Attempt> {
  const verdict = await ports.guard.check(request.url);
  if (!verdict.ok) return notSent(verdict, at);
  return exchange(target, verdict.url, request, at, ports, new Timeouts(ports.clock, target.timeoutMs));
}

/** From the request to the start of its answer's body, at the URL as it was checked. */
async function exchange(
  target: WebhookTarget,
  url: string,
  request: WebhookRequest,
  at: number,
  ports: WebhookPorts,
  timeouts: Timeouts,
): Promise<Attempt> {
  const { method, headers, body } = request;
  const startedAt = ports.clock.now();
  const latency = () => Math.max(0, ports.clock.now() - startedAt);
  const abort = timeouts.takeAbort();
  const first = Promise.withResolvers<Response | null>();
  const timeout = Promise.withResolvers<null>();
  const stop = timeouts.start(() => {
    first.resolve(null);
    timeout.resolve(null);
  });
  try {
    const fetched = ports.fetch(url, { method, headers, body, redirect: 'manual', signal: abort.signal });
    // What `Promise.race` would do, and that makes a promise for each of its two, with every request.
    fetched.then(first.resolve, first.reject);
    const response = await first.promise;
    if (response === null) {
      abandon(fetched, abort);
      return { at, ...unanswered('timeout', `No answer within ${target.timeoutMs} ms.`, latency()) };
    }
    const meaning = interpret(response, ports.clock.now(), () => sensitiveIn(target, request));
    const answered = { at, latencyMs: latency(), ...meaning };
    const start = await readStart(response, timeout.promise);
    timeouts.giveBack(abort);
    return { ...answered, response: start };
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
export function abandon(fetched: Promise<Response>, abort: AbortController): void {
  fetched.then((response) => response.body?.cancel()).catch(() => undefined);
  abort.abort();
}

/** What an error's text must not repeat: secrets, header values, and what the URL holds beyond its host. */
function sensitiveIn(target: WebhookTarget, request: WebhookRequest | null): string[] {
  const urls = [target.url, request?.url ?? target.url];
  const paths = urls.flatMap((text) => {
    const url = URL.parse(text);
    return url === null ? [] : [url.pathname + url.search, url.pathname];
  });
  return [...urls, ...paths, ...target.secrets, ...Object.values(target.headers)];
}
