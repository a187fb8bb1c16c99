import { GOES_ON_MS } from '../subscriptions/limits.ts';
import type { LeaseMessage } from '../subscriptions/protocol-claims.ts';
import { clipped } from './clipped.ts';
import { type ClaimedLease, type LeaseHolder, type LeasePorts, LeaseRun } from './lease-run.ts';
import { type WayPorts, wayOf } from './ways.ts';

/** The queue consumer: claims a lease, sends its events, settles it, goes on. It remembers nothing and may die at any moment. */

export interface ConsumerPorts extends WayPorts, LeasePorts {
  subscription: (name: string) => LeaseHolder;
}

/**
 * Handles one queue message; resolves when the lease is done with, and those that it went on with. Never throws: what is lost on
 * the way here, its Subscription sends again, so that the message can be acknowledged in any case.
 */
export async function deliverLease(message: unknown, ports: ConsumerPorts): Promise<void> {
  if (!isLeaseMessage(message)) {
    ports.log('error', 'A queue message is no lease of this version and is dropped.', { dropped: clipped(message) });
    return;
  }
  const { subscription, lease } = message;
  const claimedAt = ports.clock.now();
  try {
    const holder = ports.subscription(subscription);
    const claim = await holder.claim(lease);
    if (claim.outcome === 'claimed') await work({ lease, claim, claimedAt }, holder, ports);
  } catch (error) {
    ports.log('warn', 'A lease could not be claimed; its subscription will send it again.', {
      subscription,
      lease,
      error,
    });
  }
}

/** One lease after the other, while there are more and the invocation has time and requests left for them. Never throws. */
async function work(first: ClaimedLease, holder: LeaseHolder, ports: ConsumerPorts): Promise<void> {
  const startedAt = first.claimedAt;
  let requests = 0;
  for (let leased: ClaimedLease | null = first; leased !== null; ) {
    const { lease, claim }: ClaimedLease = leased;
    try {
      const way = wayOf(claim, ports);
      // And its settle.
      requests += way.runs.flat().length + 1;
      const goesOn = () => requests <= way.mayFollow && Math.abs(ports.clock.now() - startedAt) < GOES_ON_MS;
      leased = await new LeaseRun(leased, way, holder, goesOn, ports).run();
    } catch (error) {
      const { subscription } = claim;
      ports.log('error', 'A lease was given up; its claim will run out.', { subscription, lease, error });
      return;
    }
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
