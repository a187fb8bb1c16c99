import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bill } from '../../examples/checkout/src/billing.ts';
import type { Env } from '../../examples/checkout/src/hub.ts';
import { sendMail } from '../../examples/checkout/src/mail.ts';
import { findOrder, placeOrder } from '../../examples/checkout/src/orders.ts';
import shop from '../../examples/checkout/src/worker.ts';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { type Delivery, type EventOf, Millrace, onceMigration } from '../../src/client/index.ts';
import { serve } from '../../src/http/app.ts';
import { ADMIN_KEY, WholeHub } from '../http/whole-hub.ts';
import { NodeD1 } from '../support/node-d1.ts';

/** What can break between any two lines of examples/checkout, over a hub in this process. */

const MIGRATIONS = join(ROOT, 'examples', 'checkout', 'migrations');
const HUB_URL = 'http://hub.test';
const MAIL_URL = 'http://mail.test/send';
const ORDER = '6b1f0f4e-96a4-4a67-9d9c-9d3a4ee6d0f1';

let d1: NodeD1;
let env: Env;
let admin: Millrace;
/** What becomes of the next requests to the hub; served, if nothing else is said. */
let fates: ('refused' | 'lost')[];
let mails: { id: string | null; to: string }[];
let mailStatus: number;

beforeEach(async () => {
  const hub = new WholeHub();
  d1 = new NodeD1();
  for (const file of readdirSync(MIGRATIONS).sort()) {
    const script = readFileSync(join(MIGRATIONS, file), 'utf8').replace(/--.*$/gm, '');
    for (const statement of script.split(';')) if (statement.trim() !== '') d1.execute(statement, []);
  }
  // NodeD1 has of D1 what the example uses.
  const DB = d1 as unknown as D1Database;
  env = { DB, HUB_URL, MAIL_URL, MILLRACE_KEY: ADMIN_KEY, BILLING_SECRET: '', MAIL_SECRET: '' };
  [fates, mails, mailStatus] = [[], [], 202];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const request = new Request(url, init);
    if (url === MAIL_URL) {
      const { to }: { to: string } = await request.json();
      mails.push({ id: request.headers.get('message-id'), to });
      return new Response(null, { status: mailStatus });
    }
    const fate = fates.shift();
    if (fate === 'refused') return new Response(null, { status: 403 });
    const response = await serve(request, hub);
    if (fate === undefined) return response;
    throw new TypeError('connection lost');
  });
  admin = new Millrace({ url: HUB_URL, key: ADMIN_KEY });
});
afterEach(() => vi.unstubAllGlobals());

function place(more: Record<string, unknown> = {}): Promise<Response> {
  const body = JSON.stringify({ id: ORDER, email: 'ada@example.com', card: 'good', ...more });
  return placeOrder(new Request('http://shop.test/orders', { method: 'POST', body }), env);
}

async function events(): Promise<EventOf[]> {
  const found: EventOf[] = [];
  for await (const event of admin.read('checkout')) found.push(event);
  return found;
}
const types = async () => (await events()).map(({ type }) => type);
const payments = () => d1.query('SELECT order_id, amount FROM payments');

/** An event on its way to a consumer. */
async function delivered(type: string): Promise<Delivery> {
  const event = (await events()).find((one) => one.type === type);
  if (event === undefined) throw new Error(`There is no ${type}.`);
  const { topic, sequence } = event;
  return { event, topic, sequence: Number(sequence), attempt: 1, replay: null, redriven: false };
}

it("has the client library's table of once()", () => {
  const file = readFileSync(join(MIGRATIONS, '0000_once.sql'), 'utf8');
  expect(file.replace(/^--.*\n/, '')).toBe(onceMigration);
});

describe('an order', () => {
  it('P3: is placed once, however often and however concurrently it is sent; the first that came stands', async () => {
    const answers = await Promise.all([place(), place(), place({ card: 'declined' })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await answers[0]?.json()).toEqual({ hub: HUB_URL, topic: 'checkout', from: 1 });
    expect(await types()).toEqual(['order.placed']);
    expect(d1.query('SELECT id, card, amount FROM orders')).toEqual([{ id: ORDER, card: 'good', amount: 12_000 }]);
  });

  it('P7: tells the hub nothing that concerns a customer', async () => {
    await place();
    expect(JSON.stringify(await events())).not.toMatch(/ada|good|12000/);
  });

  it('is none until the hub has it, and one after the next try', async () => {
    fates = ['refused'];
    await expect(place()).rejects.toMatchObject({ name: 'PublishError' });
    expect((await findOrder(ORDER, env)).status).toBe(404);
    expect((await place()).status).toBe(200);
    expect((await findOrder(ORDER, env)).status).toBe(200);
  });

  it('P3: is one when the answer of the hub was lost', async () => {
    fates = ['lost'];
    expect((await place()).status).toBe(200);
    expect(await types()).toEqual(['order.placed']);
  });
});

describe('a webhook', () => {
  const secret = `whsec_${btoa('a secret of thirty-two bytes !!!')}`;

  /** As the hub sends it, which signs whatever a subscription is pointed at. */
  async function hook(name: string, { event }: Delivery): Promise<number> {
    const body = JSON.stringify(event);
    const at = new Date();
    const headers = {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign('msg_1', at, body),
    };
    const secrets = { BILLING_SECRET: secret, MAIL_SECRET: secret };
    return (await shop.request(`/hooks/${name}`, { method: 'POST', headers, body }, { ...env, ...secrets })).status;
  }

  it('P7: moves nothing unless it is of the topic of orders', async () => {
    await place();
    const placed = await delivered('order.placed');
    const foreign = { ...placed, event: { ...placed.event, topic: 'others' } };
    expect(await hook('billing', foreign)).toBe(403);
    expect(await hook('mail', foreign)).toBe(403);
    expect([payments(), mails]).toEqual([[], []]);
    expect(await hook('billing', placed)).toBe(204);
    expect(await hook('mail', await delivered('order.paid'))).toBe(204);
    expect(mails).toHaveLength(1);
  });
});

describe('billing', () => {
  beforeEach(async () => {
    await place();
  });

  it('P5: takes the money once and tells it once, of three deliveries at once', async () => {
    const delivery = await delivered('order.placed');
    await Promise.all([bill(delivery, env), bill(delivery, env), bill(delivery, env)]);
    expect(payments()).toEqual([{ order_id: ORDER, amount: 12_000 }]);
    expect(await types()).toEqual(['order.placed', 'order.paid']);
  });

  it('P5: tells what it could not tell before, without taking the money again', async () => {
    const delivery = await delivered('order.placed');
    fates = ['refused'];
    await expect(bill(delivery, env)).rejects.toThrow();
    expect(payments()).toHaveLength(1);
    expect(await types()).toEqual(['order.placed']);
    await bill(delivery, env);
    expect(payments()).toHaveLength(1);
    expect(await types()).toEqual(['order.placed', 'order.paid']);
  });

  it('P5: takes the money once when the answer of its database is lost, and tells nothing until it knows', async () => {
    const delivery = await delivered('order.placed');
    d1.failure = 'after';
    await expect(bill(delivery, env)).rejects.toThrow('Network connection lost');
    expect(await types()).toEqual(['order.placed']);
    d1.failure = null;
    await bill(delivery, env);
    expect(payments()).toHaveLength(1);
  });

  it('fails for an order that its database does not have, so that it is a dead letter in the end', async () => {
    const delivery = await delivered('order.placed');
    d1.execute('DELETE FROM orders', []);
    await expect(bill(delivery, env)).rejects.toThrow(`There is no order ${ORDER}.`);
    expect(payments()).toEqual([]);
  });
});

it('P5: a card that is refused is told once, and costs nothing', async () => {
  await place({ card: 'declined' });
  const delivery = await delivered('order.placed');
  await Promise.all([bill(delivery, env), bill(delivery, env)]);
  expect(payments()).toEqual([]);
  expect(await types()).toEqual(['order.placed', 'order.refused']);
});

describe('the mail', () => {
  beforeEach(async () => {
    await place();
    await bill(await delivered('order.placed'), env);
  });

  it('is not told of until the mail server has it', async () => {
    const delivery = await delivered('order.paid');
    mailStatus = 503;
    await expect(sendMail(delivery, env)).rejects.toThrow('The mail server answered 503.');
    expect(await types()).not.toContain('mail.sent');
    mailStatus = 202;
    await sendMail(delivery, env);
    expect(await types()).toEqual(['order.placed', 'order.paid', 'mail.sent']);
  });

  it('P5: can be recognised when it is sent again, and is told once', async () => {
    const delivery = await delivered('order.paid');
    await sendMail(delivery, env);
    await sendMail(delivery, env);
    expect(mails).toEqual(Array(2).fill({ id: `<${ORDER}@checkout>`, to: 'ada@example.com' }));
    expect(await types()).toEqual(['order.placed', 'order.paid', 'mail.sent']);
  });
});
