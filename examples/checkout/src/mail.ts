import type { Delivery } from '../../../src/client/index.ts';
import { type Env, tell } from './hub.ts';

/** Sends the customer a mail for each `order.paid`, and tells when it is out. */
export async function sendMail({ event }: Delivery, env: Env): Promise<void> {
  const id = event.subject ?? '';
  const order = await env.DB.prepare('SELECT email FROM orders WHERE id = ?').bind(id).first<{ email: string }>();
  if (order === null) throw new Error(`There is no order ${id}.`);
  const response = await fetch(env.MAIL_URL, {
    method: 'POST',
    // A mail can't be taken back: by this the server knows one that it has sent.
    headers: { 'content-type': 'application/json', 'message-id': `<${id}@checkout>` },
    body: JSON.stringify({ to: order.email, subject: 'Your order', text: `Thank you! Your order ${id} is paid.` }),
  });
  if (!response.ok) throw new Error(`The mail server answered ${response.status}.`);
  await tell(env, 'mail.sent', id);
}
