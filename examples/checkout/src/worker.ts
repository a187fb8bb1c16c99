import { type Context, Hono } from 'hono';
import { type Delivery, MillraceError, VerificationError, verify } from '../../../src/client/index.ts';
import { bill } from './billing.ts';
import { type Env, TOPIC } from './hub.ts';
import { sendMail } from './mail.ts';
import { findOrder, placeOrder, tokenFor } from './orders.ts';

/** A shop. Its page (public/) places an order and is told what becomes of it; the hub calls the two consumers by webhook. */

type ShopContext = Context<{ Bindings: Env }>;

const shop = new Hono<{ Bindings: Env }>();
export default shop;

shop.post('/orders', ({ req, env }) => placeOrder(req.raw, env));
shop.get('/orders/:id', ({ req, env }) => findOrder(req.param('id'), env));
shop.post('/orders/:id/token', ({ req, env }) => tokenFor(req.param('id'), env));

shop.post('/hooks/billing', (context) => webhook(context, context.env.BILLING_SECRET, bill));
shop.post('/hooks/mail', (context) => webhook(context, context.env.MAIL_SECRET, sendMail));

/** 204 when all that it brings is dealt with; after anything else the hub brings it again. */
async function webhook(
  { req, env }: ShopContext,
  secret: string,
  handle: (delivery: Delivery, env: Env) => Promise<void>,
): Promise<Response> {
  const { deliveries } = await verify(req.raw, secret);
  // The signature says which subscription it is of, which somebody may have pointed at other topics.
  if (deliveries.some(({ topic }) => topic !== TOPIC)) return new Response(`Not of ${TOPIC}.`, { status: 403 });
  for (const delivery of deliveries) await handle(delivery, env);
  return new Response(null, { status: 204 });
}

shop.onError((error) => {
  if (error instanceof VerificationError) return new Response(error.message, { status: 400 });
  console.error(String(error));
  // The page tries again, and so does the hub.
  return new Response('Not now.', { status: error instanceof MillraceError ? 503 : 500 });
});
