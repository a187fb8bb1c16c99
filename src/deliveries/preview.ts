import { judge } from '../expressions/filter.ts';
import type { SubscriptionFilter } from '../subscriptions/document.ts';
import type { ClaimedEvent, DeliveryTarget } from '../subscriptions/protocol.ts';
import { shown } from './test-event.ts';
import { transformed } from './transforming.ts';
import { type WebhookPorts, type WebhookRequest, webhookRequest } from './webhook.ts';

/** What `POST /v1/subscriptions/{name}/preview` answers. */
export interface Preview {
  /** False too where the filter fails. */
  matches: boolean;
  /** Why no request would go out; null where one would. */
  error: string | null;
  /** As it would go out now; values of configured headers that are likely to be credentials are left out. */
  request: WebhookRequest | null;
}

/** What would become of an event at a subscription. Sends nothing. @throws if a secret of the target is none. */
export async function preview(
  subscription: string,
  target: DeliveryTarget,
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
    request: { ...request, headers: shown(request.headers, target) },
  };
}
