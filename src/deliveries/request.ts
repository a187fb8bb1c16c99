import { batch, binary, type Content, dataOnly, structured } from '../events/encode.ts';
import { messageId } from '../events/ids.ts';
import { type Trace, traceIn } from '../events/trace.ts';
import type { WebhookFormat } from '../subscriptions/document.ts';
import type { ClaimedEvent, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import { headerProblem } from './headers.ts';
import { type Signer, signer } from './signature.ts';
import type { Outgoing } from './transforming.ts';

/** The request of a webhook: what the Standard Webhooks specification asks for, around the event in the subscription's format. */

export interface WebhookRequest {
  method: 'POST';
  url: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** A string is sent as UTF-8. */
  body: Content['body'];
}

/**
 * The request of one attempt. Pure: the same for the same arguments.
 *
 * @param at the attempt's time, milliseconds since the epoch.
 * @param made what a transform made for this event.
 * @throws if a secret of the target is none.
 */
export function webhookRequest(
  subscription: string,
  target: WebhookTarget,
  event: ClaimedEvent,
  at: number,
  version: string,
  made: Pick<Outgoing, 'url' | 'headers'> = { url: target.url, headers: {} },
): WebhookRequest {
  if (target.format === 'batch') return batchRequest(subscription, target, [event], at, version);
  const trace = traceIn(event.json);
  return signed(target, at, version, {
    ...made,
    id: messageId(subscription, event.topic, event.sequence),
    content: encode(target.format, event.json),
    about: {
      'millrace-attempt': String(event.attempt),
      'millrace-topic': event.topic,
      'millrace-sequence': String(event.sequence),
      // Whose data is a CloudEvent itself looks like the format `structured` otherwise.
      ...(target.format === 'data' ? { 'millrace-format': target.format } : {}),
      ...(event.redriven ? { 'millrace-redriven': 'true' } : {}),
      ...(event.replay === null ? {} : { 'millrace-replay': event.replay }),
      ...(trace === null ? {} : traceHeaders(trace)),
    },
  });
}

/** Events of one topic, and of one replay if they are of any, ascending. */
export type Batch = readonly [ClaimedEvent, ...ClaimedEvent[]];

/**
 * {@link webhookRequest} for several events: one delivery with a `webhook-id` of its own, the same as long as its members are.
 * Its attempt is the highest of theirs; each event has its own `traceparent` in it.
 */
export function batchRequest(
  subscription: string,
  target: WebhookTarget,
  events: Batch,
  at: number,
  version: string,
): WebhookRequest {
  const [{ topic, replay, redriven }] = events;
  const sequences = events.map(({ sequence }) => sequence);
  return signed(target, at, version, {
    url: target.url,
    headers: {},
    id: messageId(subscription, topic, ...sequences),
    content: batch(events.map(({ json }) => json)),
    about: {
      'millrace-attempt': String(Math.max(...events.map(({ attempt }) => attempt))),
      'millrace-topic': topic,
      'millrace-first-sequence': String(Math.min(...sequences)),
      'millrace-last-sequence': String(Math.max(...sequences)),
      ...(redriven ? { 'millrace-redriven': 'true' } : {}),
      ...(replay === null ? {} : { 'millrace-replay': replay }),
    },
  });
}

/** What a request is made of, beside what all requests to a target share. */
interface Subject {
  url: string;
  /** Made by a transform. */
  headers: Record<string, string>;
  /** `webhook-id`. */
  id: string;
  content: Content;
  /** The hub's headers that say where the content comes from. */
  about: Record<string, string>;
}

function signed(target: WebhookTarget, at: number, version: string, subject: Subject): WebhookRequest {
  const { id, content } = subject;
  const timestamp = Math.floor(at / 1000);
  const { headers, signers } = prepared(target);
  return {
    method: 'POST',
    url: subject.url,
    headers: {
      ...headers,
      ...subject.headers,
      ...content.headers,
      'user-agent': `Millrace/${version}`,
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signers.map((sign) => sign(id, timestamp, content.body)).join(' '),
      ...subject.about,
      ...(target.origin === undefined ? {} : { 'webhook-request-origin': target.origin }),
    },
    body: content.body,
  };
}

function encode(format: Exclude<WebhookFormat, 'batch'>, json: string): Content {
  switch (format) {
    case 'structured':
      return structured(json);
    case 'binary':
      return binary(json);
    case 'data':
      return dataOnly(json);
  }
}

interface Prepared {
  headers: Record<string, string>;
  signers: Signer[];
}

/** What is the same for every event of a claim. A target is one claim's, so it is forgotten with it. */
const PREPARED = new WeakMap<WebhookTarget, Prepared>();

function prepared(target: WebhookTarget): Prepared {
  const known = PREPARED.get(target);
  if (known !== undefined) return known;
  const fresh = { headers: configuredHeaders(target), signers: target.secrets.map(signer) };
  PREPARED.set(target, fresh);
  return fresh;
}

/** Without those that may not be set: the HTTP interface refuses them, an older version may have stored one. */
function configuredHeaders(target: WebhookTarget): Record<string, string> {
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
