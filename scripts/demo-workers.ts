/**
 * npm run demo:workers: a hub and the three consumer Workers of examples/, from nothing to books that balance. Publishes an
 * order for each payload that GitHub really sent; kills billing with -9 while they come, and starts it again; lets a mail
 * server be slow and refuse; has analytics count anew from zero by a replay; and exits 0 only if each order has one invoice,
 * each customer a mail, each event its count, and what nobody could take is a dead letter.
 */
import { type Check, check } from './demo/checks.ts';
import { Progress } from './demo/progress.ts';
import { type Fleet, startFleet } from './demo-workers/fleet.ts';
import { MailServer } from './demo-workers/mail-server.ts';
import { amountOf, customers, freeOrder, orders, type ShopEvent, uncountable } from './demo-workers/orders.ts';
import { ApiClient, type DeadLetter, type Subscription } from './hub/api-client.ts';
import { eventually } from './hub/eventually.ts';

const WITHIN_MS = 120_000;
const MAIL_TAKES_MS = 100;
const MAIL_REFUSES_EVERY = 5;
const AT_ONCE = 50;
/** Short: a demo can't wait for the default schedule's three days. */
const RETRY = { schedule: ['1s', '1s', '2s', '2s', '4s', '4s', '8s', '8s', '8s', '8s'], jitter: 0.1 };

const start = Date.now();
let fleet: Fleet | null = null;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(1));

try {
  say('Starting hub, welcome-email and analytics in one wrangler dev, billing in a process of its own …');
  const mailServer = await MailServer.start(MAIL_TAKES_MS, MAIL_REFUSES_EVERY);
  fleet = await startFleet(mailServer.url);
  const ok = await play(fleet, mailServer);
  await mailServer.stop();
  await end(ok ? 0 : 1);
} catch (error) {
  console.error(error);
  await end(1);
}

async function play({ hub, billing, query }: Fleet, mailServer: MailServer): Promise<boolean> {
  const api = new ApiClient(hub.url, hub.adminKey);
  await register(api);
  const paid = orders();
  const signedUp = customers();
  const total = paid.length + signedUp.length + 2;

  const [before, after] = [paid.slice(0, paid.length / 2), paid.slice(paid.length / 2)];
  say(
    `Publishing ${before.length} orders, one that costs nothing, one that can't be counted, ${signedUp.length} customers.`,
  );
  await publish(api, 'shop', [...before, freeOrder(), uncountable()]);
  await publish(api, 'customers', signedUp);

  say(`kill -9 of billing, and ${after.length} more orders.`);
  await billing.kill9();
  await publish(api, 'shop', after);
  const during = await eventually(
    'the hub has noticed',
    async () => {
      const sums = await api.subscription('billing');
      return sums.failed > 0 ? sums : null;
    },
    WITHIN_MS,
  );
  console.log(`  billing: ${during.delivered} delivered, ${open(during)} open, ${during.failed} attempts failed`);
  await drained(api, 'analytics', total);
  await drained(api, 'welcome-email', signedUp.length);

  say('Billing is back.');
  await billing.start();
  await drained(api, 'billing', paid.length);

  say('Waiting for what the queue of analytics gives up on.');
  const letters = await eventually(
    'both dead letters',
    async () => {
      const found = await api.deadLetters();
      return found.length >= 2 ? found : null;
    },
    WITHIN_MS,
  );
  for (const letter of letters) console.log(`  ${letter.subscription}: ${letter.event.id}, ${letter.reason}`);
  const counted = await totals(query);

  say('Analytics counts anew, from zero, by a replay.');
  await query('analytics', 'DELETE FROM totals; DELETE FROM millrace_once');
  for (const topic of ['shop', 'customers']) {
    const { id } = await api.startReplay(topic, { subscription: 'analytics', from: 'earliest' });
    await eventually('the replay is done', async () => (await api.replay(id)).status === 'done', WITHIN_MS);
  }
  const wanted = paid.length + signedUp.length;
  const recounted = await eventually(
    'all is counted',
    async () => {
      const now = await totals(query);
      return now.events >= wanted ? now : null;
    },
    WITHIN_MS,
  );

  say('What became of it all');
  const invoices = await query('billing', 'SELECT order_id, amount FROM invoices');
  const sums = await Promise.all(['billing', 'welcome-email', 'analytics'].map((name) => api.subscription(name)));
  console.log(
    `  ${invoices.length} invoices, ${mailServer.mails.length} mails (${mailServer.refused} refused at first)`,
  );
  const checks = [
    ...checkInvoices(invoices, paid),
    ...checkMails(mailServer, signedUp),
    ...checkTotals(counted, recounted, paid, signedUp),
    ...checkBooks(sums, letters, total),
  ];
  for (const { claim, wrong } of checks)
    console.log(`  ${wrong === null ? '✓' : '✗'} ${claim}${wrong === null ? '' : `: ${wrong}`}`);
  const ok = checks.every(({ wrong }) => wrong === null);
  const seconds = Math.round((Date.now() - start) / 1000);
  say(ok ? `The books balance, after ${seconds} s.` : `The books don't balance (after ${seconds} s).`);
  return ok;
}

async function register(api: ApiClient): Promise<void> {
  for (const topic of ['shop', 'customers']) await api.putTopic(topic);
  const filter = { types: ['order.paid'] };
  await api.putSubscription('billing', {
    topics: ['shop'],
    filter,
    retry: RETRY,
    delivery: { kind: 'service', binding: 'BILLING', timeout: '5s' },
  });
  await api.putSubscription('welcome-email', {
    topics: ['customers'],
    retry: RETRY,
    delivery: { kind: 'queue', binding: 'WELCOME_EMAIL_QUEUE', confirm: true, ackDeadline: '20s' },
  });
  await api.putSubscription('analytics', {
    topics: ['shop', 'customers'],
    delivery: { kind: 'queue', binding: 'ANALYTICS_QUEUE' },
  });
}

async function publish(api: ApiClient, topic: string, events: readonly ShopEvent[]): Promise<void> {
  for (let from = 0; from < events.length; from += AT_ONCE) {
    await api.publish(topic, events.slice(from, from + AT_ONCE));
  }
}

/** Waits until a consumer is done with `count` events, and shows how far it is. */
async function drained(api: ApiClient, name: string, count: number): Promise<void> {
  const progress = new Progress(name, count);
  await eventually(
    `${name} is done with ${count} events`,
    async () => {
      const { delivered, dead } = await api.subscription(name);
      progress.show(Math.min(count, delivered + dead));
      return delivered + dead >= count;
    },
    WITHIN_MS,
  );
  progress.end();
}

function open({ waiting, pending }: Subscription): number {
  return waiting + pending;
}

async function totals(query: Fleet['query']): Promise<{ events: number; amount: number }> {
  const [row] = await query('analytics', 'SELECT sum(events) AS events, sum(amount) AS amount FROM totals');
  return { events: Number(row?.events ?? 0), amount: Number(row?.amount ?? 0) };
}

function sum(events: readonly ShopEvent[]): number {
  return events.reduce((total, event) => total + amountOf(event), 0);
}

function checkInvoices(invoices: Record<string, unknown>[], paid: readonly ShopEvent[]): Check[] {
  const ids = new Set(invoices.map(({ order_id }) => order_id));
  const amount = invoices.reduce((total, invoice) => total + Number(invoice.amount), 0);
  return [
    check(
      `each of ${paid.length} orders has exactly one invoice, though billing was killed among them`,
      invoices.length === paid.length && ids.size === paid.length,
      () => `${invoices.length} invoices of ${ids.size} orders`,
    ),
    check(`the invoices add up to ${sum(paid)}`, amount === sum(paid), () => String(amount)),
  ];
}

function checkMails({ mails }: MailServer, signedUp: readonly ShopEvent[]): Check[] {
  const sent = new Set(mails.map(({ to }) => to));
  return [
    check(
      `each of ${signedUp.length} customers was sent a mail`,
      sent.size === signedUp.length && new Set(mails.map(({ id }) => id)).size === signedUp.length,
      () => `${sent.size} were`,
    ),
  ];
}

function checkTotals(
  counted: { events: number; amount: number },
  recounted: { events: number; amount: number },
  paid: readonly ShopEvent[],
  signedUp: readonly ShopEvent[],
): Check[] {
  // The order that costs nothing counts, too.
  const wanted = { events: paid.length + signedUp.length + 1, amount: sum(paid) };
  const isRight = ({ events, amount }: typeof wanted) => events === wanted.events && amount === wanted.amount;
  return [
    check(`analytics counted ${wanted.events} events of ${wanted.amount}`, isRight(counted), () =>
      JSON.stringify(counted),
    ),
    check('and the same from zero, by a replay', isRight(recounted), () => JSON.stringify(recounted)),
  ];
}

function checkBooks(sums: readonly Subscription[], letters: readonly DeadLetter[], total: number): Check[] {
  const [billing, email, analytics] = sums;
  const told = (reason: string, name: string) =>
    letters.some((letter) => letter.reason === reason && letter.subscription === name);
  const booked = (one: Subscription | undefined) =>
    one === undefined ? 0 : one.delivered + one.dead + one.filtered + one.skipped + one.discarded;
  const shop = total - booked(email);
  return [
    check('what billing rejected is a dead letter', told('rejected', 'billing'), () => JSON.stringify(letters)),
    check('so is what the queue of analytics gave up on', told('consumer', 'analytics'), () => JSON.stringify(letters)),
    check('and nothing else', letters.length === 2, () => `there are ${letters.length}`),
    check(
      'the sums of all three balance, and nothing is open',
      booked(billing) === shop && booked(analytics) === total && sums.every((one) => open(one) === 0),
      () => JSON.stringify(sums),
    ),
  ];
}

function say(text: string): void {
  console.log(`\n${text}`);
}

async function end(code: number): Promise<never> {
  await fleet?.stop();
  process.exit(code);
}
