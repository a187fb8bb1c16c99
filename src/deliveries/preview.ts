import { toBase64 } from '../base64.ts';
import { judge } from '../expressions/filter.ts';
import { NO_HUB_SECRET } from '../hub-secret.ts';
import type { SubscriptionFilter } from '../subscriptions/document.ts';
import { packed } from '../subscriptions/packed-deliveries.ts';
import type { ClaimedEvent, DeliveryTarget, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import { isConfigured, missingBinding } from './bindings.ts';
import { handed, handedJson } from './handed.ts';
import { messageOf } from './queue.ts';
import { type WebhookRequest, webhookRequest } from './request.ts';
import { LEFT_OUT } from './told-request.ts';
import { transformed, transformedEvent } from './transforming.ts';
import type { WayPorts } from './ways.ts';

/** A request to be looked at: bytes that are no text are in base64. */
interface ShownRequest extends Omit<WebhookRequest, 'body'> {
  body: string;
  bodyEncoding: 'utf-8' | 'base64';
}

/** What `POST /v1/subscriptions/{name}/preview` answers. */
export interface Preview {
  /** False too where the filter fails. */
  matches: boolean;
  /** Why nothing would go out; null where something would. */
  error: string | null;
  /** As it would go out now; values of configured headers that are likely to be credentials are left out. */
  request: ShownRequest | null;
  /** What the consumer would be handed, as JSON; absent where that is the request. */
  delivery?: string | null;
}

type Shown = Omit<Preview, 'matches'>;
type PreviewPorts = Pick<WayPorts, 'bindings' | 'clock' | 'guard' | 'seals' | 'version'>;

/** What would become of an event at a subscription. Sends nothing. @throws if a secret of the target is none. */
export async function preview(
  subscription: string,
  target: DeliveryTarget,
  filter: SubscriptionFilter,
  event: ClaimedEvent,
  ports: PreviewPorts,
): Promise<Preview> {
  const { verdict } = judge(filter, event.json);
  if (verdict.kind === 'no-match') return { matches: false, ...nothing(target, null) };
  if (verdict.kind === 'invalid') return { matches: false, ...nothing(target, verdict.error) };
  const shown =
    target.kind === 'webhook'
      ? shownRequest(subscription, target, event, ports)
      : shownDelivery(subscription, target, event, ports);
  return { matches: true, ...(await shown) };
}

function nothing({ kind }: DeliveryTarget, error: string | null): Shown {
  return kind === 'webhook' ? { error, request: null } : { error, request: null, delivery: null };
}

async function shownRequest(
  subscription: string,
  target: WebhookTarget,
  event: ClaimedEvent,
  { clock, guard, version }: PreviewPorts,
): Promise<Shown> {
  const result = await transformed(target, event);
  if (!result.ok) return nothing(target, result.error);
  const { outgoing } = result;
  const request = webhookRequest(subscription, target, outgoing.event, clock.now(), version, outgoing);
  const permitted = await guard.check(request.url);
  return {
    error: permitted.ok ? null : notSent(permitted.detail),
    request: { ...request, headers: shownHeaders(request.headers, target), ...shownBody(request.body) },
  };
}

function shownBody(body: WebhookRequest['body']): Pick<ShownRequest, 'body' | 'bodyEncoding'> {
  return typeof body === 'string' ? { body, bodyEncoding: 'utf-8' } : { body: toBase64(body), bodyEncoding: 'base64' };
}

/** Names of configured headers whose values are likely to be credentials. */
const CREDENTIAL = /authorization|cookie|key|token|secret|passw|signature/;

/** Headers of a request to be looked at, without the configured credentials. */
function shownHeaders(headers: Record<string, string>, target: WebhookTarget): Record<string, string> {
  const configured = new Set(Object.keys(target.headers).map((name) => name.toLowerCase()));
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      configured.has(name) && CREDENTIAL.test(name) && !name.startsWith('webhook-') ? LEFT_OUT : value,
    ]),
  );
}

/** Targets to which no request goes: their consumers are handed the events. */
type HandingTarget = Exclude<DeliveryTarget, WebhookTarget>;

async function shownDelivery(
  subscription: string,
  target: HandingTarget,
  event: ClaimedEvent,
  { bindings, clock, seals }: PreviewPorts,
): Promise<Shown> {
  const result = await transformedEvent(target.transform, event);
  if (!result.ok) return nothing(target, result.error);
  const delivery = deliveryOf(subscription, target, result.event, clock.now());
  if (!delivery.ok) return nothing(target, delivery.error);
  const isGone = target.kind !== 'pull' && !isConfigured(bindings, target.kind, target.binding);
  const isUnsealed = target.kind === 'queue' && seals === null;
  const obstacle = isUnsealed ? NO_HUB_SECRET : isGone ? missingBinding(bindings, target.kind, target.binding) : null;
  const error = obstacle === null ? null : notSent(obstacle);
  return { error, request: null, delivery: delivery.json };
}

/**
 * The JSON of what is handed over for an event. Left out is what only a delivery has: an ack id, and the seal of a message,
 * by which the hub would believe whoever has it.
 */
function deliveryOf(
  subscription: string,
  target: HandingTarget,
  event: ClaimedEvent,
  at: number,
): { ok: true; json: string } | { ok: false; error: string } {
  switch (target.kind) {
    case 'service': {
      // What is called with objects gets what JSON's numbers become; a request has them as they were published.
      const json =
        target.call === 'rpc' ? JSON.stringify(handed(subscription, event)) : handedJson(subscription, event);
      return { ok: true, json };
    }
    case 'queue': {
      const given = target.confirm ? { ...event, ackId: LEFT_OUT } : event;
      const message = messageOf(subscription, target, given, at);
      return message.ok ? { ok: true, json: JSON.stringify({ ...message.body, seal: LEFT_OUT }) } : message;
    }
    case 'pull':
      return { ok: true, json: packed([{ ...event, ackId: LEFT_OUT }]) };
  }
}

function notSent(why: string): string {
  return `Not sent: ${why}`;
}
