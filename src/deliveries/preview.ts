import { toBase64 } from '../base64.ts';
import { judge } from '../expressions/filter.ts';
import type { SubscriptionFilter } from '../subscriptions/document.ts';
import type { ClaimedEvent, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import { type WebhookRequest, webhookRequest } from './request.ts';
import { transformed } from './transforming.ts';
import type { WebhookPorts } from './webhook.ts';

/** A request to be looked at: bytes that are no text are in base64. */
interface ShownRequest extends Omit<WebhookRequest, 'body'> {
  body: string;
  bodyEncoding: 'utf-8' | 'base64';
}

/** What `POST /v1/subscriptions/{name}/preview` answers. */
export interface Preview {
  /** False too where the filter fails. */
  matches: boolean;
  /** Why no request would go out; null where one would. */
  error: string | null;
  /** As it would go out now; values of configured headers that are likely to be credentials are left out. */
  request: ShownRequest | null;
}

/** What would become of an event at a subscription. Sends nothing. @throws if a secret of the target is none. */
export async function preview(
  subscription: string,
  target: WebhookTarget,
  filter: SubscriptionFilter,
  event: ClaimedEvent,
  ports: Pick<WebhookPorts, 'clock' | 'guard' | 'version'>,
): Promise<Preview> {
  const { verdict } = judge(filter, event.json);
  if (verdict.kind === 'no-match') return { matches: false, error: null, request: null };
  if (verdict.kind === 'invalid') return { matches: false, error: verdict.error, request: null };
  const result = await transformed(target, event);
  if (!result.ok) return { matches: true, error: result.error, request: null };
  const { outgoing } = result;
  const now = ports.clock.now();
  const request = webhookRequest(subscription, target, outgoing.event, now, ports.version, outgoing);
  const permitted = await ports.guard.check(request.url);
  return {
    matches: true,
    error: permitted.ok ? null : `Not sent: ${permitted.detail}`,
    request: { ...request, headers: shown(request.headers, target), ...shownBody(request.body) },
  };
}

function shownBody(body: WebhookRequest['body']): Pick<ShownRequest, 'body' | 'bodyEncoding'> {
  return typeof body === 'string' ? { body, bodyEncoding: 'utf-8' } : { body: toBase64(body), bodyEncoding: 'base64' };
}

/** Names of configured headers whose values are likely to be credentials. */
const CREDENTIAL = /authorization|cookie|key|token|secret|passw|signature/;

/** Headers of a request to be looked at, without the configured credentials. */
function shown(headers: Record<string, string>, target: WebhookTarget): Record<string, string> {
  const configured = new Set(Object.keys(target.headers).map((name) => name.toLowerCase()));
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      configured.has(name) && CREDENTIAL.test(name) && !name.startsWith('webhook-') ? '…' : value,
    ]),
  );
}
