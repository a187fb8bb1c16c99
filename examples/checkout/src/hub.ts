import { Millrace } from '../../../src/client/index.ts';

export interface Env {
  DB: D1Database;
  /** Where the hub is, for this Worker and for browsers. */
  HUB_URL: string;
  /** The mail server's HTTP interface. */
  MAIL_URL: string;
  MILLRACE_KEY: string;
  BILLING_SECRET: string;
  MAIL_SECRET: string;
}

/**
 * The topic of all that happens to orders. A browser may read all of it for a while, so nothing is in its events but which
 * order it is and how far that has come.
 */
export const TOPIC = 'checkout';

export function hubOf({ HUB_URL, MILLRACE_KEY }: Env): Millrace {
  return new Millrace({ url: HUB_URL, key: MILLRACE_KEY });
}

/**
 * Tells that something happened to an order. It can happen once: whoever tells it again, after a crash or beside another,
 * publishes an event with the same id, and the hub has one.
 *
 * @returns its sequence
 */
export async function tell(env: Env, type: string, order: string): Promise<number> {
  const event = { type, source: '/checkout', id: `${order}/${type}`, subject: order };
  const { sequence } = await hubOf(env).publish(TOPIC, event);
  return sequence;
}
