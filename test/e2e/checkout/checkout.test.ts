import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Shop, startShop } from '../../../scripts/demo-checkout/shop.ts';
import type { EventOf } from '../../../src/client/index.ts';
import { startBrowser } from '../support/browser.ts';
import { eventually, type Receiver, startReceiver } from '../support/index.ts';

/** examples/checkout in a real browser: what the page shows is what it was pushed. */

/** A restart of the hub is waited for, and a retry of a delivery. */
const WITHIN_MS = 60_000;
const PLACED = 'We have your order';
const PAID = 'It is paid';
const MAILED = 'A mail is on its way to you';
const REFUSED = 'Your card was refused';

let browser: Browser;
let mailServer: Receiver;
let shop: Shop;
let page: Page;
/** What went wrong in the page that it did not handle. */
let errors: Error[];

beforeAll(async () => {
  browser = await startBrowser();
  mailServer = await startReceiver();
  shop = await startShop(mailServer.url);
});
afterAll(async () => {
  await shop?.stop();
  await mailServer?.stop();
  await browser?.close();
});

beforeEach(async () => {
  mailServer.answer = () => 202;
  errors = [];
  page = await open(shop.url);
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  expect(errors).toEqual([]);
});

async function open(url: string): Promise<Page> {
  const opened = await browser.newPage();
  opened.setDefaultTimeout(WITHIN_MS);
  opened.on('pageerror', (error) => errors.push(error));
  await opened.goto(url);
  return opened;
}

/** Until the page says so much and no less, and shows the spinner or doesn't. */
async function says(steps: string[], { waiting }: { waiting: boolean }, of: Page = page): Promise<void> {
  await of.locator(`body[data-state=${waiting ? 'waiting' : steps.includes(REFUSED) ? 'refused' : 'done'}]`).waitFor();
  await of
    .locator('li')
    .nth(steps.length - 1)
    .waitFor();
  expect(await of.locator('li').allTextContents()).toEqual(steps);
  expect(await of.locator('[role=status]').isVisible()).toBe(waiting);
  expect(await of.locator('form').isVisible()).toBe(false);
}

/** Its id is in the page's address before anything is sent. */
function orderOf(one: Page): string {
  return new URL(one.url()).searchParams.get('order') ?? '';
}

async function eventsOf(order: string): Promise<EventOf[]> {
  const events: EventOf[] = [];
  for await (const event of shop.admin.read('checkout', { subject: order })) events.push(event);
  return events;
}
const typesOf = async (order: string) => (await eventsOf(order)).map(({ type }) => type);

/** Ids of the mails that the mail server took. */
function mailsOf(order: string): (string | undefined)[] {
  const taken = mailServer.book.filter(({ status, body }) => status === 202 && body.includes(order));
  return taken.map(({ headers }) => headers['message-id']);
}

describe('the checkout', () => {
  it('shows a spinner, and is pushed "paid" and "mail sent"', async () => {
    mailServer.answer = () => 503;
    expect(await page.locator('[role=status]').isVisible()).toBe(false);
    await page.getByRole('button').click();
    await says([PLACED, PAID], { waiting: true });
    mailServer.answer = () => 202;
    await says([PLACED, PAID, MAILED], { waiting: false });
    expect(await typesOf(orderOf(page))).toEqual(['order.placed', 'order.paid', 'mail.sent']);
    expect(mailsOf(orderOf(page))).toEqual([`<${orderOf(page)}@checkout>`]);
  });

  it('tells of a card that is refused, takes no money and sends no mail', async () => {
    await page.getByLabel('Your card').selectOption('declined');
    await page.getByRole('button').click();
    await says([PLACED, REFUSED], { waiting: false });
    expect(await typesOf(orderOf(page))).toEqual(['order.placed', 'order.refused']);
    expect(mailsOf(orderOf(page))).toEqual([]);
    await page.getByRole('link', { name: 'Order another' }).click();
    await page.getByRole('button').waitFor();
  });

  it('P3: is one order, however it is clicked', async () => {
    await page.getByRole('button').dblclick();
    await says([PLACED, PAID, MAILED], { waiting: false });
    expect(await typesOf(orderOf(page))).toEqual(['order.placed', 'order.paid', 'mail.sent']);
  });

  it('P3: is one order when two windows send it at once, and both are told', async () => {
    const other = await open(page.url());
    const windows = [page, other];
    await other.getByRole('button').waitFor();
    expect(orderOf(other)).toBe(orderOf(page));
    await Promise.all(windows.map((one) => one.getByRole('button').click()));
    for (const one of windows) await says([PLACED, PAID, MAILED], { waiting: false }, one);
    expect(await typesOf(orderOf(page))).toEqual(['order.placed', 'order.paid', 'mail.sent']);
  });

  it('survives being loaded anew in the middle, and at the end', async () => {
    mailServer.answer = () => 503;
    await page.getByRole('button').click();
    await says([PLACED, PAID], { waiting: true });
    await page.reload();
    await says([PLACED, PAID], { waiting: true });
    mailServer.answer = () => 202;
    await says([PLACED, PAID, MAILED], { waiting: false });
    await page.reload();
    await says([PLACED, PAID, MAILED], { waiting: false });
  });

  it('has the same order after a reload before it was sent', async () => {
    const order = orderOf(page);
    await page.reload();
    await page.getByRole('button').click();
    await says([PLACED, PAID, MAILED], { waiting: false });
    expect(orderOf(page)).toBe(order);
  });

  it('P2: catches up on what came while it was cut off, missing and repeating nothing', async () => {
    mailServer.answer = () => 503;
    await page.getByRole('button').click();
    await says([PLACED, PAID], { waiting: true });
    const order = orderOf(page);
    // Being offline keeps a page from new connections alone: the one that it has breaks off with the hub.
    await page.context().setOffline(true);
    await shop.hub.kill9();
    await shop.hub.start();
    mailServer.answer = () => 202;
    await eventually('it is all done, unseen', async () => (await typesOf(order)).includes('mail.sent'), WITHIN_MS);
    await says([PLACED, PAID], { waiting: true });
    await page.context().setOffline(false);
    await says([PLACED, PAID, MAILED], { waiting: false });
  });

  it('P1: goes on where it was when the hub is killed in the middle and comes back', async () => {
    mailServer.answer = () => 503;
    await page.getByRole('button').click();
    await says([PLACED, PAID], { waiting: true });
    await shop.hub.kill9();
    mailServer.answer = () => 202;
    await says([PLACED, PAID], { waiting: true });
    await shop.hub.start();
    await says([PLACED, PAID, MAILED], { waiting: false });
    expect(await typesOf(orderOf(page))).toEqual(['order.placed', 'order.paid', 'mail.sent']);
  });

  it('says so when an order could not be placed, and takes it at the next try', async () => {
    await page.route('**/orders', (route) => route.abort());
    await page.getByRole('button').click();
    await page.getByRole('alert').filter({ hasText: 'try again' }).waitFor();
    await page.unroute('**/orders');
    await page.getByRole('button').click();
    await says([PLACED, PAID, MAILED], { waiting: false });
    expect(await page.getByRole('alert').textContent()).toBe('');
  });
});

describe("the shop's Worker", () => {
  const post = (path: string, body: string) => fetch(shop.url + path, { method: 'POST', body });

  it.each(['', '[]', '{"id":"1","email":"ada@example.com","card":"good"}', '{"id":"'])(
    'refuses %j as an order, and tells nobody',
    async (body) => {
      const { lastSequence } = await shop.admin.topics.get('checkout');
      expect((await post('/orders', body)).status).toBe(400);
      expect((await shop.admin.topics.get('checkout')).lastSequence).toBe(lastSequence);
    },
  );

  it('P7: takes no webhook that the hub did not sign', async () => {
    for (const consumer of ['billing', 'mail']) {
      expect((await post(`/hooks/${consumer}`, '{"specversion":"1.0"}')).status).toBe(400);
    }
  });

  it('P7: gives a token to who has an order alone, good for reading this topic and nothing else', async () => {
    expect((await post(`/orders/${crypto.randomUUID()}/token`, '')).status).toBe(404);
    const order = { id: crypto.randomUUID(), email: 'ada@example.com', card: 'good' };
    expect((await post('/orders', JSON.stringify(order))).status).toBe(200);
    const token = await (await post(`/orders/${order.id}/token`, '')).text();
    const asked = (path: string, init: RequestInit = {}) =>
      fetch(`${shop.hub.url}/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
    expect((await asked('/topics/checkout/events')).status).toBe(200);
    expect((await asked('/topics/others/events')).status).toBe(403);
    expect((await asked('/topics/checkout/events', { method: 'POST', body: '{"type":"order.paid"}' })).status).toBe(
      403,
    );
    await eventually('its mail is out', async () => (await typesOf(order.id)).includes('mail.sent'), WITHIN_MS);
  });

  it('P5: takes the money and tells of it once, though both consumers are given everything again', async () => {
    const before = (await shop.admin.topics.get('checkout')).lastSequence;
    for (const name of ['checkout-billing', 'checkout-mail']) {
      const { delivered } = await shop.admin.subscriptions.get(name);
      await shop.admin.subscriptions.seek(name, { to: 'earliest' });
      await eventually(
        `${name} has everything again`,
        async () => {
          const again = await shop.admin.subscriptions.get(name);
          return again.lag === 0 && again.delivered >= delivered;
        },
        WITHIN_MS,
      );
    }
    expect((await shop.admin.topics.get('checkout')).lastSequence).toBe(before);
    const paid: string[] = [];
    const ids = new Set<string>();
    for await (const { type, subject = '' } of shop.admin.read('checkout')) {
      if (type === 'order.paid') paid.push(subject);
      if (type === 'mail.sent') ids.add(`<${subject}@checkout>`);
    }
    const payments = await shop.query('SELECT order_id, amount FROM payments ORDER BY order_id');
    expect(payments).toEqual(paid.sort().map((order_id) => ({ order_id, amount: 12_000 })));
    // A mail server recognises a mail that comes again by its id.
    const sent = mailServer.book
      .filter(({ status }) => status === 202)
      .map(({ headers }) => headers['message-id'] ?? '');
    expect(sent.length).toBeGreaterThan(ids.size);
    expect(new Set(sent)).toEqual(ids);
  });
});
