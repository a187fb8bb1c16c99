import type { DeliveryKind } from '../subscriptions/document.ts';
import type { Locked, NoWebhook } from '../subscriptions/protocol.ts';
import { type DeclaredProblem, Problem } from './problem.ts';

/** The refusals that several resources share because a subscription gives them. */

export function unknownSubscription(name: string): Problem {
  return new Problem('unknown-subscription', `There is no subscription "${name}".`);
}

/** Its secret can't be opened; `detail` says what to change. */
export function secretUnreadable(detail: string): Problem {
  return new Problem('secret-unreadable', detail);
}

/** @throws Problem unless there is such a subscription, and its secret can be opened */
export function unlocked<T extends object>(answer: T | Locked | null, name: string): T {
  if (answer === null) throw unknownSubscription(name);
  if ('locked' in answer) throw secretUnreadable(answer.locked);
  return answer;
}

/** @throws Problem unless there is such a subscription, it is a webhook's, and its secret can be opened */
export function ofWebhook<T extends object>(answer: T | NoWebhook | Locked | null, name: string): T {
  const known = unlocked(answer, name);
  if ('noWebhook' in known) throw noWebhook(name, known.noWebhook);
  return known;
}

function noWebhook(name: string, kind: NoWebhook['noWebhook']): Problem {
  return new Problem('no-webhook', `The subscription "${name}" is of the kind ${kind}: it has no secret.`);
}

/** It is of a kind that does not do what is asked; `problem` goes on from "it". */
export function wrongKind(name: string, kind: DeliveryKind, problem: string): Problem {
  return new Problem('wrong-delivery-kind', `The subscription "${name}" is of the kind ${kind}: it ${problem}.`);
}

/** {@link subscriptionGone}, for the routes that declare it. */
export const SUBSCRIPTION_GONE: DeclaredProblem = { code: 'unknown-subscription', status: 409 };

/** In answer to a request for one thing that the subscription would have to do, and can't for not being there. */
export function subscriptionGone(name: string): Problem {
  return new Problem('unknown-subscription', `The subscription "${name}" is gone.`, { status: 409 });
}

export function topicNotSubscribed(subscription: string, topic: string): Problem {
  return new Problem('topic-not-subscribed', `The subscription "${subscription}" does not have the topic "${topic}".`);
}

/** A position that the topic does not have (any more, or yet); `path` is the field it was given in. */
export function positionProblem(
  refusal:
    | { outcome: 'position-ahead'; topic: string; lastSequence: number }
    | { outcome: 'sequence-expired'; topic: string; firstSequence: number },
  path: string,
): Problem {
  const { topic } = refusal;
  if (refusal.outcome === 'position-ahead') {
    const { lastSequence } = refusal;
    const message = `lies beyond the end of ${topic}, whose last sequence is ${lastSequence}`;
    return new Problem('position-ahead', `${path} ${message}.`, {
      errors: [{ path, message }],
      extra: { topic, lastSequence },
    });
  }
  const { firstSequence } = refusal;
  const message = `is older than what ${topic} retains, whose first sequence is ${firstSequence}`;
  return new Problem('sequence-expired', `${path} ${message}.`, {
    errors: [{ path, message }],
    extra: { topic, firstSequence },
  });
}
