import { beforeEach, describe, expect, it } from 'vitest';
import { type DeadLetter, DeadLetters } from '../../src/dead-letters/letters.ts';
import { FakeHub } from './fake-hub.ts';

const DIED_AT = Date.UTC(2026, 10, 23, 12);

function letter(id: string, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id,
    subscription: 'billing',
    topic: 'orders',
    sequence: 3,
    event: '{"specversion":"1.0","type":"order.created","data":{"amount":12345678901234567890,"rate":1.0}}',
    reason: 'exhausted',
    attempts: 10,
    lastStatus: 500,
    lastError: 'Answered 500.',
    firstAttemptAt: DIED_AT - 1_000,
    diedAt: DIED_AT,
    redrivenAt: null,
    resolvedAt: null,
    discardedAt: null,
    version: 1,
    ...changes,
  };
}

let hub: FakeHub;
let letters: DeadLetters;

beforeEach(() => {
  hub = new FakeHub();
  letters = new DeadLetters(hub.d1);
});

const ids = (items: unknown) => (Array.isArray(items) ? items.map((item: { id: string }) => item.id) : []);
const list = async (query = '', ...scopes: string[]) =>
  hub.call('GET', `/v1/dead-letters${query}`, undefined, scopes.length === 0 ? {} : { key: hub.keyWith(...scopes) });

describe('GET /v1/dead-letters', () => {
  it('gives the letter with its whole event, as the log had it', async () => {
    await letters.put([letter('dl_a')]);
    const listed = await list();
    expect(listed.headers.get('content-type')).toBe('application/json');
    expect(listed.body).toMatchObject({
      items: [
        {
          id: 'dl_a',
          subscription: 'billing',
          topic: 'orders',
          sequence: 3,
          event: { type: 'order.created' },
          reason: 'exhausted',
          attempts: 10,
          lastStatus: 500,
          lastError: 'Answered 500.',
          firstAttemptAt: '2026-11-23T11:59:59.000Z',
          diedAt: '2026-11-23T12:00:00.000Z',
          redrivenAt: null,
          resolvedAt: null,
          discardedAt: null,
        },
      ],
      next: null,
    });
    // Parsed and written again, these numbers would be others.
    const one = await hub.call('GET', '/v1/dead-letters/dl_a');
    for (const text of [listed.text, one.text]) expect(text).toContain('{"amount":12345678901234567890,"rate":1.0}');
  });

  it('lists open ones by default, and by every filter', async () => {
    await letters.put([
      letter('dl_a', { diedAt: DIED_AT }),
      letter('dl_b', { diedAt: DIED_AT + 1_000, topic: 'refunds', reason: 'gone' }),
      letter('dl_c', { diedAt: DIED_AT + 2_000, subscription: 'email', resolvedAt: DIED_AT + 9_000 }),
    ]);
    const listed = async (query: string) => ids((await list(query)).body.items);
    expect(await listed('')).toEqual(['dl_b', 'dl_a']);
    expect(await listed('?state=all')).toEqual(['dl_c', 'dl_b', 'dl_a']);
    expect(await listed('?state=resolved')).toEqual(['dl_c']);
    expect(await listed('?state=all&subscription=email')).toEqual(['dl_c']);
    expect(await listed('?topic=refunds')).toEqual(['dl_b']);
    expect(await listed('?reason=gone')).toEqual(['dl_b']);
    expect(await listed('?since=2026-11-23T12:00:01Z')).toEqual(['dl_b']);
    expect(await listed('?until=2026-11-23T12:00:00Z')).toEqual(['dl_a']);
    for (const bad of ['?state=closed', '?reason=tired', '?since=yesterday', '?topic=A', '?sequence=3', '?cursor=x']) {
      expect((await list(bad)).status).toBe(400);
    }
  });

  it('refuses a range that ends before it begins, listed, redriven or discarded', async () => {
    const range = { since: '2030-01-01T00:00:00Z', until: '2020-01-01T00:00:00Z' };
    const query = new URLSearchParams(range);
    for (const answer of [
      await list(`?${query}`),
      await hub.call('DELETE', `/v1/dead-letters?${query}`),
      await hub.call('POST', '/v1/dead-letters/redrive', range),
    ]) {
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-range', errors: [{ path: 'until' }] } });
    }
    expect((await list('?since=2020-01-01T00:00:00Z&until=2020-01-01T00:00:00Z')).status).toBe(200);
  });

  it('shows only those of topics the key may read, page by page', async () => {
    await letters.put(
      Array.from({ length: 9 }, (_, index) =>
        letter(`dl_${index}`, { topic: index % 3 === 0 ? 'orders' : 'secret', diedAt: DIED_AT - index }),
      ),
    );
    const scopes = ['dead-letters', 'read:orders'];
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = (await list(`?limit=2${cursor}`, ...scopes)).body;
      seen.push(...ids(page.items));
      cursor = typeof page.next === 'string' ? `&cursor=${page.next}` : '';
    } while (cursor !== '');
    expect(seen).toEqual(['dl_0', 'dl_3', 'dl_6']);
    expect((await list('?topic=secret', ...scopes)).status).toBe(403);
    expect((await list('', 'read:>')).status).toBe(403);
    const one = await hub.call('GET', '/v1/dead-letters/dl_1', undefined, { key: hub.keyWith(...scopes) });
    expect(one.status).toBe(403);
  });

  it('is 404 for an id there is not', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/redrive'],
    ] as const) {
      const answer = await hub.call(method, `/v1/dead-letters/dl_none${path}`);
      expect(answer).toMatchObject({ status: 404, body: { code: 'unknown-dead-letter' } });
    }
  });
});

describe('redriving', () => {
  it('gives one letter back to its subscription with its event', async () => {
    await letters.put([letter('dl_a')]);
    const { redrive } = hub.subscription('billing');
    redrive.mockResolvedValue(true);
    const answer = await hub.call('POST', '/v1/dead-letters/dl_a/redrive');
    expect(answer).toMatchObject({ status: 202, body: { id: 'dl_a', status: 'pending' } });
    expect(redrive).toHaveBeenCalledWith({ topic: 'orders', sequence: 3, event: letter('dl_a').event });
  });

  it('sends nothing twice that is resolved, and nothing that was discarded', async () => {
    await letters.put([letter('dl_a', { resolvedAt: 1 }), letter('dl_b', { discardedAt: 1 })]);
    expect((await hub.call('POST', '/v1/dead-letters/dl_a/redrive')).status).toBe(202);
    expect(await hub.call('POST', '/v1/dead-letters/dl_b/redrive')).toMatchObject({
      status: 409,
      body: { code: 'not-redrivable' },
    });
    expect(hub.subscription('billing').redrive).not.toHaveBeenCalled();
  });

  it('is 409 where the subscription is gone', async () => {
    await letters.put([letter('dl_a')]);
    expect(await hub.call('POST', '/v1/dead-letters/dl_a/redrive')).toMatchObject({
      status: 409,
      body: { code: 'unknown-subscription' },
    });
    const byFilter = await hub.call('POST', '/v1/dead-letters/redrive', { subscription: 'billing' });
    expect(byFilter).toMatchObject({ status: 409, body: { code: 'unknown-subscription' } });
  });

  it('by filter starts a job for each subscription and topic, and counts the letters', async () => {
    await letters.put([
      letter('dl_a'),
      letter('dl_b'),
      letter('dl_c', { topic: 'refunds' }),
      letter('dl_d', { subscription: 'email' }),
      letter('dl_e', { subscription: 'email', reason: 'gone' }),
      letter('dl_f', { subscription: 'deleted' }),
      letter('dl_g', { resolvedAt: 5 }),
    ]);
    for (const name of ['billing', 'email']) hub.subscription(name).startJob.mockResolvedValue(true);
    const answer = await hub.call('POST', '/v1/dead-letters/redrive', {
      reason: 'exhausted',
      since: '2026-11-23T00:00:00Z',
    });
    expect(answer).toMatchObject({ status: 202, body: { job: expect.stringMatching(/^job_[a-z2-7]{26}$/), count: 4 } });
    const jobs = hub.subscription('billing').startJob.mock.calls.map(([job]) => job);
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(2);
    expect(jobs).toEqual(
      ['orders', 'refunds'].map((topic) =>
        expect.objectContaining({
          action: 'redrive',
          topic,
          reason: 'exhausted',
          since: Date.UTC(2026, 10, 23),
          until: null,
        }),
      ),
    );
    expect(hub.subscription('email').startJob).toHaveBeenCalledOnce();
  });

  it('by filter takes only what the key may read', async () => {
    await letters.put([letter('dl_a'), letter('dl_b', { topic: 'secret' })]);
    hub.subscription('billing').startJob.mockResolvedValue(true);
    const key = hub.keyWith('dead-letters', 'read:orders');
    const redrive = (body: object) => hub.call('POST', '/v1/dead-letters/redrive', body, { key });
    expect((await redrive({ subscription: 'billing' })).body.count).toBe(1);
    expect((await redrive({ topic: 'secret' })).status).toBe(403);
    expect(hub.subscription('billing').startJob.mock.calls.map(([{ topic }]) => topic)).toEqual(['orders']);
  });

  it('needs a filter', async () => {
    expect(await hub.call('POST', '/v1/dead-letters/redrive', {})).toMatchObject({
      status: 400,
      body: {
        code: 'filter-required',
        errors: expect.arrayContaining([expect.objectContaining({ path: 'subscription' })]),
      },
    });
    expect(await hub.call('DELETE', '/v1/dead-letters')).toMatchObject({
      status: 400,
      body: {
        code: 'filter-required',
        errors: expect.arrayContaining([expect.objectContaining({ path: 'subscription' })]),
      },
    });
    expect((await hub.call('POST', '/v1/dead-letters/redrive', { state: 'all' })).status).toBe(400);
    expect((await hub.call('DELETE', '/v1/dead-letters?state=open&topic=orders')).status).toBe(400);
  });
});

describe('discarding', () => {
  it('leaves one letter to its subscription', async () => {
    await letters.put([letter('dl_a')]);
    const { discard } = hub.subscription('billing');
    discard.mockResolvedValue(true);
    expect(await hub.call('DELETE', '/v1/dead-letters/dl_a')).toMatchObject({ status: 204, text: '' });
    expect(discard).toHaveBeenCalledWith({ topic: 'orders', sequence: 3 });
  });

  it('marks the letters of a subscription that is gone itself', async () => {
    await letters.put([letter('dl_a'), letter('dl_b'), letter('dl_c', { subscription: 'email' })]);
    hub.subscription('email').startJob.mockResolvedValue(true);
    expect((await hub.call('DELETE', '/v1/dead-letters/dl_a')).status).toBe(204);
    expect((await hub.call('DELETE', '/v1/dead-letters/dl_a')).status).toBe(204);
    expect((await letters.get('dl_a'))?.discardedAt).toBe(hub.now);
    const all = await hub.call('DELETE', '/v1/dead-letters?topic=orders');
    expect(all).toMatchObject({ status: 202, body: { job: expect.any(String), count: 2 } });
    expect((await letters.get('dl_b'))?.discardedAt).toBe(hub.now);
    expect((await letters.get('dl_c'))?.discardedAt).toBeNull();
  });
});
