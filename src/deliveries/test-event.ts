import { messageId } from '../events/ids.ts';
import { withHubAttributes } from '../events/stored.ts';
import { formatTime } from '../events/times.ts';
import type { Claim, ClaimedEvent, DeliveryOutcome, Unnamed, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import type { SentRequest } from '../subscriptions/protocol-views.ts';
import { sendToQueue } from './queue.ts';
import { webhookRequest } from './request.ts';
import { callService } from './service.ts';
import { Timeouts } from './timeouts.ts';
import { toldRequest } from './told-request.ts';
import { transformed } from './transforming.ts';
import type { WayPorts } from './ways.ts';
import { attempt, type WebhookPorts } from './webhook.ts';

/** The `millrace.test` event a person sends to see whether a consumer takes what it is sent. It is in no log and counted nowhere. */

/** Its type, and the topic it is said to be of, to which nobody can publish. */
const TEST_EVENT = 'millrace.test';

/** Is a delivery one of a test? */
export function isOfTest({ topic }: { topic: string }): boolean {
  return topic === TEST_EVENT;
}

/** What `POST /v1/subscriptions/{name}/test` answers. */
export interface TestResult {
  ok: boolean;
  status: number | null;
  latencyMs: number;
  /** The first KiB of the answer. */
  body: string;
  error: string | null;
  /** As attempts tell of theirs. */
  request: SentRequest | null;
}

/** Sends one in the way of the target. @throws if a secret of the target is none. */
export async function sendTestEvent(
  subscription: string,
  target: Claim['target'],
  ports: WayPorts,
): Promise<TestResult> {
  const at = ports.clock.now();
  const event = testEvent(subscription, at);
  switch (target.kind) {
    case 'webhook':
      return testWebhook(subscription, target, event, at, ports);
    case 'service': {
      const timeouts = new Timeouts(ports.clock, target.timeoutMs);
      return resultOf(await callService(subscription, target, [event], ports, timeouts));
    }
    case 'queue':
      // It has no ack id: the hub holds nothing that could be confirmed.
      return resultOf(await sendToQueue(subscription, { ...target, confirm: false }, [event], ports));
  }
}

async function testWebhook(
  subscription: string,
  target: WebhookTarget,
  event: ClaimedEvent,
  at: number,
  ports: WebhookPorts,
): Promise<TestResult> {
  const made = await transformed(target, event);
  if (!made.ok) return told({ kind: 'invalid', error: made.error }, toldRequest(target.url, {}, []));
  const { outgoing } = made;
  const request = webhookRequest(subscription, target, outgoing.event, at, ports.version, outgoing);
  const own = [...Object.keys(target.headers), ...Object.keys(outgoing.headers)];
  return told(await attempt(target, request, at, ports), toldRequest(request.url, request.headers, own));
}

function resultOf([outcome]: DeliveryOutcome[]): TestResult {
  if (outcome === undefined) throw new Error('Nothing is said of what became of a test event.');
  return told(outcome, null);
}

function told(outcome: Unnamed<DeliveryOutcome>, request: SentRequest | null): TestResult {
  switch (outcome.kind) {
    case 'delivered':
    case 'failed': {
      const { kind, status, latencyMs, response: body } = outcome;
      const error = kind === 'failed' ? outcome.error : null;
      return { ok: kind === 'delivered', status, latencyMs, body, error, request };
    }
    case 'invalid':
      return unsent(outcome.error, request);
    case 'released':
      return unsent(`Not sent: ${outcome.obstacle ?? 'it has to wait.'}`, request);
  }
}

function unsent(error: string, request: SentRequest | null): TestResult {
  return { ok: false, status: null, latencyMs: 0, body: '', error, request };
}

function testEvent(subscription: string, at: number): ClaimedEvent {
  // No log gave it a sequence; its id still has to differ from test to test, or receivers would drop the second one.
  const id = messageId(subscription, TEST_EVENT, at);
  const json = JSON.stringify({
    specversion: '1.0',
    id,
    source: `/subscriptions/${subscription}`,
    type: TEST_EVENT,
    time: formatTime(at),
    datacontenttype: 'application/json',
    data: { message: `This is a test of the subscription ${subscription}.` },
  });
  return {
    topic: TEST_EVENT,
    sequence: at,
    json: withHubAttributes(json, TEST_EVENT, at, formatTime(at)),
    attempt: 1,
    replay: null,
    redriven: false,
    key: null,
    notBefore: null,
  };
}
