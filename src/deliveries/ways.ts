import {
  CALLED_EVENTS_MAX,
  INVOCATION_REQUESTS_MAX,
  INVOCATION_SERVICE_CALLS_MAX,
  SERVICE_CALLS_MAX,
  SWIFT_EVENTS_MAX,
} from '../subscriptions/limits.ts';
import type { Claim, QueueTarget, ServiceTarget, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import { canStart, type Slot } from './pace.ts';
import { partsOf, type QueuePorts, sendToQueue } from './queue.ts';
import { callService, type ServicePorts } from './service.ts';
import { Timeouts } from './timeouts.ts';
import { type Part, type Run, runsOf, type Way } from './way.ts';
import { sendBatch, sendWebhook, sharedRequest, type WebhookPorts } from './webhook.ts';

/** The ways out, one for each kind of delivery that the hub sends. */

export type WayPorts = WebhookPorts & ServicePorts & QueuePorts;

export function wayOf(claim: Claim, ports: WayPorts): Way {
  const { target } = claim;
  switch (target.kind) {
    case 'webhook':
      return webhookWay({ ...claim, target }, ports);
    case 'service':
      return serviceWay({ ...claim, target }, ports);
    case 'queue':
      return queueWay({ ...claim, target }, ports);
  }
}

function webhookWay({ subscription, target, events }: Claim<WebhookTarget>, ports: WayPorts): Way {
  const timeouts = new Timeouts(ports.clock, target.timeoutMs);
  const common = {
    mayFollow: INVOCATION_REQUESTS_MAX - SWIFT_EVENTS_MAX,
    ready: () => ports.guard.check(target.url),
    shared: () => sharedRequest(target),
  };
  if (target.format === 'batch') {
    const send = (part: Part, slot: Slot | null) => sendBatch(subscription, target, part, ports, timeouts, slot);
    return { ...common, runs: together(events), send };
  }
  return {
    ...common,
    runs: runsOf(events, 1),
    send: async ([event], slot) => [await sendWebhook(subscription, target, event, ports, timeouts, slot)],
  };
}

/**
 * Several events in a call, but for those that have failed before, which may be what the others fail of, and those with
 * slots, of which each is a call's.
 */
function serviceWay({ subscription, target, events }: Claim<ServiceTarget>, ports: WayPorts): Way {
  const timeouts = new Timeouts(ports.clock, target.timeoutMs);
  return {
    ...NOTHING_TOLD,
    mayFollow: INVOCATION_SERVICE_CALLS_MAX - SERVICE_CALLS_MAX,
    runs: runsOf(events, target.maxBatch, ({ attempt, notBefore }) => attempt > 1 || notBefore !== null),
    send: inSlot(ports, (part) => callService(subscription, target, part, ports, timeouts)),
  };
}

/** A call a run: a queue keeps no order, so that none has to wait for another, and each can be left undone. */
function queueWay({ subscription, target, events }: Claim<QueueTarget>, ports: WayPorts): Way {
  const paced = events.some(({ notBefore }) => notBefore !== null);
  return {
    ...NOTHING_TOLD,
    mayFollow: INVOCATION_REQUESTS_MAX - CALLED_EVENTS_MAX,
    runs: paced ? events.map((event): Run => [[event]]) : partsOf(events).map((part): Run => [part]),
    send: inSlot(ports, (part) => sendToQueue(subscription, target, part, ports)),
  };
}

const NOTHING_TOLD = { ready: async () => undefined, shared: () => undefined };

function together([first, ...others]: Claim['events']): Run[] {
  return first === undefined ? [] : [[[first, ...others]]];
}

function inSlot({ clock }: WayPorts, send: (part: Part) => ReturnType<Way['send']>): Way['send'] {
  return async (part, slot) => {
    if (slot === null || canStart(slot, clock.now())) return send(part);
    return part.map(({ topic, sequence }) => ({ kind: 'released', topic, sequence, missed: true }));
  };
}
