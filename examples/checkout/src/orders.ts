import { z } from 'zod';
import { type Env, hubOf, TOPIC, tell } from './hub.ts';

/** What the page calls: placing an order, finding it again, and following what becomes of it. */

const AMOUNT = 12_000;

const newOrder = z.strictObject({
  id: z.uuid(),
  email: z.email().max(254),
  card: z.enum(['good', 'declined']),
});

/** The page makes the order's id, so that a double click or another try is the same order: the first that came stands. */
export async function placeOrder(request: Request, env: Env): Promise<Response> {
  const { data, error } = newOrder.safeParse(await request.json().catch(() => null));
  if (error !== undefined) return new Response(z.prettifyError(error), { status: 400 });
  await env.DB.prepare('INSERT INTO orders (id, email, card, amount) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
    .bind(data.id, data.email, data.card, AMOUNT)
    .run();
  if ((await sequenceOf(data.id, env)) === null) {
    const sequence = await tell(env, 'order.placed', data.id);
    await env.DB.prepare('UPDATE orders SET sequence = ? WHERE id = ?').bind(sequence, data.id).run();
  }
  return findOrder(data.id, env);
}

/** Where an order can be followed. */
export async function findOrder(id: string, env: Env): Promise<Response> {
  const sequence = await sequenceOf(id, env);
  if (sequence === null) return new Response('There is no such order.', { status: 404 });
  return Response.json({ hub: env.HUB_URL, topic: TOPIC, from: sequence });
}

/** What the page follows its order with: reads this one topic, and soon expires. The key stays here. */
export async function tokenFor(id: string, env: Env): Promise<Response> {
  if ((await sequenceOf(id, env)) === null) return new Response('There is no such order.', { status: 404 });
  const { token } = await hubOf(env).tokens.create({ scopes: [`read:${TOPIC}`], expiresIn: '10m' });
  return new Response(token, { headers: { 'cache-control': 'no-store' } });
}

/** Of the order's first event; null if it isn't placed. */
async function sequenceOf(id: string, { DB }: Env): Promise<number | null> {
  const query = DB.prepare('SELECT sequence FROM orders WHERE id = ?').bind(id);
  const row = await query.first<{ sequence: number | null }>();
  return row?.sequence ?? null;
}
