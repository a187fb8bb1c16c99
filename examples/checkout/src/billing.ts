import { type Delivery, once } from '../../../src/client/index.ts';
import { type Env, tell } from './hub.ts';

/** Takes the money for each `order.placed`, and tells whether it got it. The table `payments` stands for the bank. */
export async function bill(delivery: Delivery, env: Env): Promise<void> {
  const id = delivery.event.subject ?? '';
  const { DB } = env;
  const query = DB.prepare('SELECT card, amount FROM orders WHERE id = ?').bind(id);
  const order = await query.first<{ card: string; amount: number }>();
  if (order === null) throw new Error(`There is no order ${id}.`);
  if (order.card === 'declined') {
    await tell(env, 'order.refused', id);
    return;
  }
  // However often the event comes, the money is taken once: the payment's row and the event's are one transaction.
  const payment = DB.prepare('INSERT INTO payments (order_id, amount) VALUES (?, ?)').bind(id, order.amount);
  await once(DB, delivery, [payment], { scope: 'billing' });
  // And told even if a crash kept the last one from telling it: so not only where `once` has just applied it.
  await tell(env, 'order.paid', id);
}
