import { once } from '../../../src/client/once.ts';
import { consumer, Reject } from '../../../src/client/worker.ts';

/** Writes one invoice for each paid order, called by the hub through a service binding (`delivery.kind: service`). */

interface Env {
  DB: D1Database;
}

interface Paid {
  order: string;
  customer: string;
  /** In cents. */
  amount: number;
}

/** Whoever may publish there says what is paid. What comes of any other topic was sent here by mistake, or worse. */
const TOPIC = 'shop';

export default consumer<Env, Paid>({
  async handle(delivery, { DB }) {
    if (delivery.topic !== TOPIC) throw new Reject(`Not of the ${TOPIC}, but of ${delivery.topic}.`);
    const { order, customer, amount } = delivery.event.data;
    if (!Number.isSafeInteger(amount) || amount <= 0) throw new Reject(`The order ${order} costs nothing.`);
    // However often the event comes, there is one invoice: its row and the event's are one transaction.
    await once(DB, delivery, [
      DB.prepare('INSERT INTO invoices (order_id, customer, amount, sequence) VALUES (?, ?, ?, ?)').bind(
        order,
        customer,
        amount,
        delivery.sequence,
      ),
    ]);
  },

  async fetch(request, { DB }) {
    if (new URL(request.url).pathname !== '/invoices') return new Response(null, { status: 404 });
    const { results } = await DB.prepare('SELECT order_id AS "order", customer, amount, sequence FROM invoices').all();
    return Response.json(results);
  },
});
