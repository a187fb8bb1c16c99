import type { SubscriptionDocument } from '../subscriptions/document.ts';
import type { Context, Needed } from './context.ts';

/*
 * Who may have what handed to a consumer Worker. It takes what comes by its binding for the hub's word, whose subscription
 * says which topics that is of and what is made of them: so whoever says it needs the binding, as well as the subscription.
 */

/** What is needed to say what goes where `delivery` leads, beside its subscription; null: nothing. */
function needOf({ delivery }: SubscriptionDocument): Needed | null {
  switch (delivery.kind) {
    case 'queue':
    case 'service':
      return { scope: 'bindings', on: delivery.binding };
    case 'webhook':
    case 'pull':
      return null;
  }
}

/** True if the caller may make this of a subscription, whatever that was before. */
export function mayBind(document: SubscriptionDocument, context: Context): boolean {
  const need = needOf(document);
  return need === null || context.may(need);
}

/**
 * Refuses to have something handed to a consumer Worker that it does not get already.
 *
 * @param present what the subscription is now; null: there is none
 * @throws Problem `forbidden`
 */
export function requireBinding(
  document: SubscriptionDocument,
  present: SubscriptionDocument | null,
  context: Context,
): void {
  const need = needOf(document);
  if (need !== null && (present === null || feedOf(document) !== feedOf(present))) context.require(need);
}

/** Which events go where, what is made of them, and what is called with them: not when, how often or how fast. */
function feedOf({ topics, filter, transform, delivery }: SubscriptionDocument): string {
  const binding = 'binding' in delivery ? delivery.binding : null;
  const call = delivery.kind === 'service' ? delivery.call : null;
  return JSON.stringify([topics, filter, transform, delivery.kind, binding, call]);
}
