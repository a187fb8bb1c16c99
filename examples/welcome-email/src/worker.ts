import { consumer, Reject, Retry } from '../../../src/client/worker.ts';

/**
 * Sends a mail to each new customer, at the pace of its mail server: the events wait in a queue of its own, and the hub
 * counts one as delivered once its mail is out (`delivery.kind: queue` with `confirm`).
 */

interface Env {
  /** The mail server's HTTP interface. */
  MAIL_URL: string;
  /** A service binding to the hub, and a key with `subscriptions:welcome-email` and `read:customers`. */
  HUB: Fetcher;
  MILLRACE_KEY: string;
}

interface SignedUp {
  email: string;
  name: string;
}

const TOPIC = 'customers';
const BUSY = 429;

export default consumer<Env, SignedUp>({
  hub: (env) => ({ url: 'https://hub', key: env.MILLRACE_KEY, fetch: (url, init) => env.HUB.fetch(url, init) }),

  async handle({ event, topic, sequence }, env) {
    if (topic !== TOPIC) throw new Reject(`Not of ${TOPIC}, but of ${topic}.`);
    const { email, name } = event.data;
    if (!/^[^@\s]+@[^@\s]+$/.test(email)) throw new Reject(`"${email}" is no address.`);
    const response = await fetch(env.MAIL_URL, {
      method: 'POST',
      // A mail can't be taken back: by this the server knows one that it has sent.
      headers: { 'content-type': 'application/json', 'message-id': `<${topic}.${sequence}@welcome-email>` },
      body: JSON.stringify({ to: email, subject: `Welcome, ${name}!`, text: 'It is good to have you here.' }),
    });
    if (response.status === BUSY) throw new Retry('The mail server is busy.', '2s');
    if (!response.ok) throw new Error(`The mail server answered ${response.status}.`);
  },
});
