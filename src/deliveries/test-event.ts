import { messageId } from '../events/ids.ts';
import { withHubAttributes } from '../events/stored.ts';
import { formatTime } from '../events/times.ts';
import type { ClaimedEvent, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import type { SentRequest } from '../subscriptions/protocol-views.ts';
import { webhookRequest } from './request.ts';
import { toldRequest } from './told-request.ts';
import { transformed } from './transforming.ts';
import { attempt, type WebhookPorts } from './webhook.ts';

/** The `millrace.test` event a person sends to see whether a webhook works. It is in no log and counted nowhere. */

export const TEST_EVENT_TYPE = 'millrace.test';

/** What `POST /v1/subscriptions/{name}/test` answers. */
export interface TestResult {
  ok: boolean;
  status: number | null;
  latencyMs: number;
  /** The first KiB of the answer. */
  body: string;
  error: string | null;
  /** As attempts tell of theirs. */
  request: SentRequest;
}

/** @throws if a secret of the target is none. */
export async function sendTestEvent(
  subscription: string,
  target: WebhookTarget,
  ports: WebhookPorts,
): Promise<TestResult> {
  const at = ports.clock.now();
  const result = await transformed(target, testEvent(subscription, at));
  if (!result.ok) {
    const request = toldRequest(target.url, {}, []);
    return { ok: false, status: null, latencyMs: 0, body: '', error: result.error, request };
  }
  const { outgoing } = result;
  const request = webhookRequest(subscription, target, outgoing.event, at, ports.version, outgoing);
  const sent = await attempt(target, request, at, ports);
  const own = [...Object.keys(target.headers), ...Object.keys(outgoing.headers)];
  const told = toldRequest(request.url, request.headers, own);
  if (sent.kind === 'released') {
    const error = `Not sent: ${sent.obstacle}`;
    return { ok: false, status: null, latencyMs: 0, body: '', error, request: told };
  }
  return {
    ok: sent.kind === 'delivered',
    status: sent.status,
    latencyMs: sent.latencyMs,
    body: sent.response,
    error: sent.kind === 'delivered' ? null : sent.error,
    request: told,
  };
}

function testEvent(subscription: string, at: number): ClaimedEvent {
  // No log gave it a sequence; its id still has to differ from test to test, or receivers would drop the second one.
  const id = messageId(subscription, TEST_EVENT_TYPE, at);
  const json = JSON.stringify({
    specversion: '1.0',
    id,
    source: `/subscriptions/${subscription}`,
    type: TEST_EVENT_TYPE,
    time: formatTime(at),
    datacontenttype: 'application/json',
    data: { message: `This is a test of the subscription ${subscription}.` },
  });
  return {
    topic: TEST_EVENT_TYPE,
    sequence: at,
    json: withHubAttributes(json, TEST_EVENT_TYPE, at, formatTime(at)),
    attempt: 1,
    replay: null,
    redriven: false,
    key: null,
    notBefore: null,
  };
}
