/**
 * npm run demo:checkout: a hub and the shop of examples/checkout, for a person with a browser: an order, and what becomes of it
 * pushed to the page. Its mails go to a server that takes two seconds for each. Runs until Ctrl-C.
 */
import { startShop } from './demo-checkout/shop.ts';
import { MailServer } from './demo-workers/mail-server.ts';

const MAIL_TAKES_MS = 2_000;

console.log('\nStarting the hub and the shop with fresh local state …');
const mail = await MailServer.start(MAIL_TAKES_MS, Number.POSITIVE_INFINITY);
const shop = await startShop(mail.url);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void stop());

const { url, adminKey } = shop.hub;
console.log(`
  The shop is open.

    Shop       ${shop.url}
    Hub        ${url}
    Admin key  ${adminKey}

  Order something. In the middle of it load the page anew, or open its address in a second window. What the hub has of it:

    curl -s -H 'authorization: Bearer ${adminKey}' '${url}/v1/topics/checkout/events?order=desc'

  Ctrl-C stops both.
`);

async function stop(): Promise<void> {
  await shop.stop();
  await mail.stop();
  process.exit(0);
}
