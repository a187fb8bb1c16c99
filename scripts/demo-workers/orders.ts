import { githubEvents } from '../demo/payloads.ts';

/** What the shop publishes: an order for each payload that GitHub really sent, and a customer for each of their senders. */

/** Payloads that make an event too large for a queue's message. */
const LARGE_PAYLOADS = 30;

export interface ShopEvent {
  id: string;
  source: string;
  type: string;
  subject: string;
  data: Record<string, unknown>;
}

/** In cents; what billing has to add up to. */
export function amountOf({ data }: ShopEvent): number {
  return Number(data.amount);
}

export function orders(): ShopEvent[] {
  const payloads = githubEvents();
  const ordinary = payloads.map(({ id, subject = 'nobody', data }) => {
    const cause = JSON.stringify(data);
    return order(id, subject, cause.length, data);
  });
  const whole = payloads.slice(0, LARGE_PAYLOADS).map(({ data }) => data);
  return [...ordinary, order('everything-at-once', 'somebody', 1_000, whole)];
}

/** What billing has to reject: it costs nothing. */
export function freeOrder(): ShopEvent {
  return order('for-nothing', 'nobody', 0, null);
}

/** What analytics can't count, however often it comes. */
export function uncountable(): ShopEvent {
  return { ...order('uncountable', 'nobody', 0, null), type: 'order.mangled', data: { amount: { much: true } } };
}

function order(id: string, customer: string, amount: number, cause: unknown): ShopEvent {
  const data = { order: id, customer, amount, cause };
  return { id, source: '/shop', type: 'order.paid', subject: customer, data };
}

export function customers(): ShopEvent[] {
  const names = new Set(githubEvents().map(({ subject = 'nobody' }) => subject));
  return [...names].map((name) => {
    const email = `${name.replaceAll(/[^A-Za-z0-9]/g, '.')}@example.com`;
    return { id: name, source: '/shop', type: 'customer.created', subject: name, data: { name, email } };
  });
}
