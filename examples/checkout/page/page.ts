import { Millrace } from '../../../src/client/index.ts';

/** The page: places an order, and shows what becomes of it as the hub tells it. */

const SAYS: Record<string, string> = {
  'order.placed': 'We have your order',
  'order.paid': 'It is paid',
  'order.refused': 'Your card was refused',
  'mail.sent': 'A mail is on its way to you',
};

// Made before anything else, and kept in the address: one page is one order, however often it is clicked, sent or loaded.
const address = new URL(location.href);
const before = address.searchParams.get('order');
const id = before ?? crypto.randomUUID();
address.searchParams.set('order', id);
history.replaceState(null, '', address);

only('form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (document.body.dataset.state !== 'new') return;
  const body = JSON.stringify({ id, ...Object.fromEntries(new FormData(only('form'))) });
  void follow(fetch('/orders', { method: 'POST', body }));
});
if (before === null) show('new');
else void follow(fetch(`/orders/${id}`)); // it may be under way, or never have been sent

async function follow(asked: Promise<Response>): Promise<void> {
  show('waiting');
  only('ol').replaceChildren();
  try {
    const response = await asked;
    if (response.status === 404) return show('new');
    if (!response.ok) throw new Error(await response.text());
    const { hub, topic, from }: { hub: string; topic: string; from: number } = await response.json();
    // Taken up wherever the connection breaks off: no step is missed or shown twice.
    for await (const { type } of new Millrace({ url: hub, key: token }).tail(topic, { from, subject: id })) {
      only('ol').append(Object.assign(document.createElement('li'), { textContent: SAYS[type] ?? type }));
      if (type === 'mail.sent') return show('done');
      if (type === 'order.refused') return show('refused');
    }
  } catch (error) {
    show('new', `That did not work, try again. ${error}`);
  }
}

/** Asked for at each connection, since it soon expires. */
async function token(): Promise<string> {
  const response = await fetch(`/orders/${id}/token`, { method: 'POST' });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}

function show(state: 'new' | 'waiting' | 'done' | 'refused', alert = ''): void {
  document.body.dataset.state = state;
  only('output').textContent = alert;
}

function only<Name extends keyof HTMLElementTagNameMap>(name: Name): HTMLElementTagNameMap[Name] {
  const [element] = document.getElementsByTagName(name);
  if (element === undefined) throw new Error(`The page has no ${name}.`);
  return element;
}
