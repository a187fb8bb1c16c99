import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import analytics from '../../examples/analytics/src/worker.ts';
import billing from '../../examples/billing/src/worker.ts';
import welcomeEmail from '../../examples/welcome-email/src/worker.ts';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { ONCE_TABLE_SQL } from '../../src/client/once-table.ts';
import type { HandedEvent } from '../../src/events/handed.ts';
import type { StoredEvent } from '../../src/events/stored.ts';
import { hubBy, message, storedEvent } from '../client/consumer-bench.ts';
import { NodeD1 } from '../support/node-d1.ts';

const CONTEXT = { waitUntil: () => {}, props: { millrace: true } };

/** A database with an example's migrations applied. NodeD1 has of D1 what examples use. */
function database(example: string): { d1: NodeD1; DB: D1Database } {
  const d1 = new NodeD1();
  const folder = join(ROOT, 'examples', example, 'migrations');
  for (const file of readdirSync(folder).sort()) {
    const statements = readFileSync(join(folder, file), 'utf8').split(';\n');
    for (const statement of statements) if (statement.trim() !== '') d1.execute(statement, []);
  }
  return { d1, DB: d1 as unknown as D1Database };
}

function handed(sequence: number, more: Partial<StoredEvent> = {}, replay: string | null = null): HandedEvent {
  const event = storedEvent(sequence, { topic: 'shop', ...more });
  return { v: 1, subscription: 's', topic: event.topic, sequence, attempt: 1, replay, redriven: false, event };
}

/** Of a topic that is another team's. */
const FOREIGN = { topic: 'secret' };

describe('examples', () => {
  it.each(['billing', 'analytics'])("%s has the client library's table of once()", (example) => {
    const file = readFileSync(join(ROOT, 'examples', example, 'migrations', '0000_once.sql'), 'utf8');
    expect(file.replace(/^--.*\n/, '')).toBe(ONCE_TABLE_SQL.map((sql) => `${sql.trim()};\n`).join(''));
  });
});

describe("the hub's configuration in examples/", () => {
  it("is the hub's own and bindings", () => {
    const paths = /^(main|migrations_dir) = "(\.\.\/)?/gm;
    const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8').replace(paths, '$1 = "');
    const [own = ''] = textOf('wrangler.toml').split('# Consumer Workers (docs/consumers.md');
    expect(textOf('examples/wrangler.toml').startsWith(own)).toBe(true);
  });
});

describe('billing', () => {
  it('P5 writes one invoice an order, however often and however concurrently its event comes', async () => {
    const { d1, DB } = database('billing');
    const results = await Promise.all([1, 2, 3].map(() => billing.handle([handed(1), handed(2)], { DB }, CONTEXT)));
    expect(results.flat()).toEqual(Array(6).fill({ result: 'ack' }));
    expect(d1.query('SELECT order_id, amount FROM invoices ORDER BY sequence')).toEqual([
      { order_id: 'o1', amount: 100 },
      { order_id: 'o2', amount: 200 },
    ]);
  });

  it('writes nothing twice when the answer of its database is lost', async () => {
    const { d1, DB } = database('billing');
    d1.failure = 'after';
    expect(await billing.handle([handed(1)], { DB }, CONTEXT)).toMatchObject([{ result: 'retry' }]);
    d1.failure = null;
    expect(await billing.handle([handed(1)], { DB }, CONTEXT)).toEqual([{ result: 'ack' }]);
    expect(d1.query('SELECT count(*) AS n FROM invoices')).toEqual([{ n: 1 }]);
  });

  it('rejects an order that costs nothing', async () => {
    const { DB } = database('billing');
    const free = handed(1, { data: { order: 'o1', customer: 'c', amount: 0 } });
    const result = { result: 'reject', reason: 'The order o1 costs nothing.' };
    expect(await billing.handle([free], { DB }, CONTEXT)).toEqual([result]);
  });

  it('P7 writes no invoice for what another topic says', async () => {
    const { d1, DB } = database('billing');
    const result = { result: 'reject', reason: 'Not of the shop, but of secret.' };
    expect(await billing.handle([handed(1, FOREIGN)], { DB }, CONTEXT)).toEqual([result]);
    expect(d1.query('SELECT count(*) AS n FROM invoices')).toEqual([{ n: 0 }]);
  });

  it('shows its invoices', async () => {
    const { DB } = database('billing');
    await billing.handle([handed(1)], { DB }, CONTEXT);
    const response = await billing.fetch(new Request('https://billing/invoices'), { DB }, CONTEXT);
    expect(await response.json()).toEqual([{ order: 'o1', customer: 'c1', amount: 100, sequence: 1 }]);
  });
});

describe('welcome-email', () => {
  afterEach(() => vi.unstubAllGlobals());

  const hub = hubBy(({ body }) => {
    const { ackIds }: { ackIds: string[] } = JSON.parse(body ?? '');
    return Response.json({ results: ackIds.map((ackId) => ({ ackId, ok: true })) });
  });
  const env = {
    MAIL_URL: 'http://mail/send',
    MILLRACE_KEY: 'k',
    HUB: { fetch: hub.access().fetch } as unknown as Fetcher,
  };
  const signedUp = (sequence: number, email: string, topic = 'customers') =>
    message({ ...handed(sequence, { topic, data: { email, name: 'Ada' } }), sentAt: 1, ackId: `a${sequence}` });

  it('sends a mail for each customer and confirms it, once the mail server has it', async () => {
    const mails: { id: string | null; to: string }[] = [];
    vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
      const request = new Request(url, init);
      const { to }: { to: string } = await request.json();
      mails.push({ id: request.headers.get('message-id'), to });
      if (to === 'busy@example.com') return new Response(null, { status: 429 });
      return new Response(null, { status: to === 'down@example.com' ? 500 : 202 });
    });
    const messages = ['ada@example.com', 'busy@example.com', 'down@example.com', 'nobody'].map((email, index) =>
      signedUp(index + 1, email),
    );
    await welcomeEmail.queue({ messages }, env, CONTEXT);
    expect(mails.map(({ to }) => to)).toEqual(['ada@example.com', 'busy@example.com', 'down@example.com']);
    expect(mails[0]?.id).toBe('<customers.1@welcome-email>');
    expect(hub.asked.map(({ path, body }) => [path.split('/').at(-1), JSON.parse(body ?? '')])).toEqual([
      ['ack', { ackIds: ['a1'] }],
      ['nack', { ackIds: ['a2'], reason: 'The mail server is busy.', delay: '2s' }],
      ['nack', { ackIds: ['a3'], reason: 'The mail server answered 500.' }],
      ['nack', { ackIds: ['a4'], reason: '"nobody" is no address.', reject: true }],
    ]);
    expect(messages.map(({ did }) => did)).toEqual(Array(4).fill('ack'));
  });

  it('P7 writes to nobody because another topic says so', async () => {
    vi.stubGlobal('fetch', () => expect.fail('A mail was sent.'));
    hub.asked.length = 0;
    await welcomeEmail.queue({ messages: [signedUp(1, 'ada@example.com', FOREIGN.topic)] }, env, CONTEXT);
    const reason = 'Not of customers, but of secret.';
    expect(hub.asked.map(({ body }) => JSON.parse(body ?? ''))).toEqual([{ ackIds: ['a1'], reason, reject: true }]);
  });
});

describe('analytics', () => {
  const hubless = {
    MILLRACE_KEY: 'k',
    HUB: { fetch: () => Promise.reject(new Error('nobody asks')) } as unknown as Fetcher,
  };
  const totals = async (DB: D1Database) =>
    (await analytics.fetch(new Request('https://analytics/totals'), { ...hubless, DB }, CONTEXT)).json();
  const take = async (DB: D1Database, ...events: HandedEvent[]) => {
    const messages = events.map((event) => message({ ...event, sentAt: 1 }));
    await analytics.queue({ messages }, { ...hubless, DB }, CONTEXT);
    expect(messages.map(({ did }) => did)).toEqual(messages.map(() => 'ack'));
  };

  it('counts each event once and sums up by day and type', async () => {
    const { DB } = database('analytics');
    const other = handed(3, { type: 'customer.created', time: '2026-01-02T00:00:00Z', data: undefined });
    await take(DB, handed(1), handed(2), handed(1), other);
    await take(DB, handed(2));
    expect(await totals(DB)).toEqual([
      { day: '2026-01-01', type: 'order.paid', events: 2, amount: 300 },
      { day: '2026-01-02', type: 'customer.created', events: 1, amount: 0 },
    ]);
  });

  it('P7 counts nothing of other topics', async () => {
    const { DB } = database('analytics');
    const foreign = message({ ...handed(1, FOREIGN), sentAt: 1 });
    await analytics.queue({ messages: [foreign] }, { ...hubless, DB }, CONTEXT);
    expect(foreign.did).toBe('retry');
    expect(await totals(DB)).toEqual([]);
  });

  it('can count anew from zero by a replay, beside live events', async () => {
    const { DB } = database('analytics');
    await take(DB, handed(1), handed(2));
    await analytics.fetch(new Request('https://analytics/reset', { method: 'POST' }), { ...hubless, DB }, CONTEXT);
    expect(await totals(DB)).toEqual([]);
    await take(DB, handed(1, {}, 'r1'), handed(3), handed(2, {}, 'r1'), handed(3, {}, 'r1'));
    expect(await totals(DB)).toEqual([{ day: '2026-01-01', type: 'order.paid', events: 3, amount: 600 }]);
  });
});
