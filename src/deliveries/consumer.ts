import type { ClaimResult, LeaseMessage } from '../subscriptions/protocol-claims.ts';
import { clipped } from './clipped.ts';
import { type LeaseHolder, type LeasePorts, LeaseRun } from './lease-run.ts';
import { type WayPorts, wayOf } from './ways.ts';

/** The queue consumer: claims a lease, sends its events, settles it. It remembers nothing and may die at any moment. */

export interface ConsumerPorts extends WayPorts, LeasePorts {
  subscription: (name: string) => LeaseHolder;
}

/**
 * Handles one queue message; resolves when the lease is done with. Never throws: what is lost on the way here, its
 * Subscription sends again, so that the message can be acknowledged in any case.
 */
export async function deliverLease(message: unknown, ports: ConsumerPorts): Promise<void> {
  if (!isLeaseMessage(message)) {
    ports.log('error', 'A queue message is no lease of this version and is dropped.', { dropped: clipped(message) });
    return;
  }
  const { subscription, lease } = message;
  const claimedAt = ports.clock.now();
  let holder: LeaseHolder;
  let claim: ClaimResult;
  try {
    holder = ports.subscription(subscription);
    claim = await holder.claim(lease);
  } catch (error) {
    ports.log('warn', 'A lease could not be claimed; its subscription will send it again.', {
      subscription,
      lease,
      error,
    });
    return;
  }
  if (claim.outcome !== 'claimed') return;
  try {
    await new LeaseRun(message, claim, wayOf(claim, ports), claimedAt, holder, ports).run();
  } catch (error) {
    ports.log('error', 'A lease was given up; its claim will run out.', { subscription, lease, error });
  }
}

function isLeaseMessage(message: unknown): message is LeaseMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    'v' in message &&
    message.v === 1 &&
    'subscription' in message &&
    typeof message.subscription === 'string' &&
    'lease' in message &&
    Number.isSafeInteger(message.lease)
  );
}
