/** What is published: one event of about 250 bytes, a different one each time, as a producer with ids of its own sends it. */

/** Subjects are taken in turn, so that keys repeat as they do in life. */
export const SUBJECTS = 1000;
const DATA = {
  customer: 'c-20871',
  currency: 'EUR',
  amount: 129.95,
  lines: [{ sku: 'A-1001', quantity: 2 }],
  note: 'leave it at the door',
};

let made = 0;

/** `keyed`: with one of so many subjects, which is what ordering by key goes by. */
export function event(keyed: boolean, subjects = SUBJECTS): string {
  made += 1;
  const subject = keyed ? { subject: `order-${made % subjects}` } : {};
  return JSON.stringify({
    specversion: '1.0',
    id: `e-${String(made).padStart(9, '0')}`,
    source: '/bench/shop',
    type: 'order.created',
    ...subject,
    time: '2026-01-01T12:00:00Z',
    datacontenttype: 'application/json',
    data: DATA,
  });
}

export function batch(size: number, keyed: boolean, subjects = SUBJECTS): string {
  return `[${Array.from({ length: size }, () => event(keyed, subjects)).join(',')}]`;
}
