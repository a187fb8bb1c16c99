/**
 * What the shop needs of a hub: a topic, a key, and a subscription for each of its two consumers. Run it once, with an
 * admin key in MILLRACE_KEY, where the hub and the shop are: it prints the shop's secrets.
 *
 *     npx node examples/checkout/setup.ts http://localhost:8787 http://localhost:8788 > shop.vars && mv shop.vars examples/checkout/.dev.vars
 */
import { Millrace } from '../../src/client/index.ts';

/** @returns the secrets of the shop's Worker, by name */
export async function setUp(hub: Millrace, shop: string): Promise<Record<string, string>> {
  // So late may a consumer tell again what it told, say after a redrive, without telling it twice.
  await hub.topics.put('checkout', { description: 'What becomes of orders', deduplicationWindow: '90d' });
  const consumer = async (name: string, type: string) => {
    await hub.subscriptions.put(`checkout-${name}`, {
      topics: ['checkout'],
      filter: { types: [type] },
      retry: { schedule: ['1s', '2s', '5s', '15s', '1m', '10m', '1h', '6h'] },
      delivery: { kind: 'webhook', url: `${shop}/hooks/${name}` },
    });
    const { secret } = await hub.subscriptions.secret(`checkout-${name}`);
    return secret;
  };
  return {
    BILLING_SECRET: await consumer('billing', 'order.placed'),
    MAIL_SECRET: await consumer('mail', 'order.paid'),
    MILLRACE_KEY: (await hub.keys.create({ name: 'checkout', scopes: ['publish:checkout', 'read:checkout'] })).key,
  };
}

if (import.meta.main) {
  const [, , url = '', shop = ''] = process.argv;
  const secrets = await setUp(new Millrace({ url, key: process.env.MILLRACE_KEY ?? '' }), shop);
  for (const [name, value] of Object.entries(secrets)) console.log(`${name}=${value}`);
}
