import { describe, expect, it } from 'vitest';
import { beginIdempotent, requestHash, trimIdempotency } from '../../src/dedup/idempotency.ts';
import { trim } from '../../src/dedup/trim.ts';
import { NodeD1 } from '../support/node-d1.ts';

const REQUEST = { caller: 'admin', path: '/v1/topics/a/events', key: 'k', bodyHash: 'h' };
const ANSWER = { status: 201, body: '{"events":[]}' };
const DAY_MS = 24 * 60 * 60 * 1000;

function world() {
  const own = { db: NodeD1.migrated(), time: 1_000_000_000, now: () => own.time, log: () => undefined };
  return own;
}

async function run(own: ReturnType<typeof world>, request = REQUEST) {
  const begun = await beginIdempotent(request, own);
  if (begun.outcome !== 'run') throw new Error(begun.outcome);
  return begun;
}

describe('P3 once: an Idempotency-Key', () => {
  it('gives a kept answer again for 24 h, then runs anew', async () => {
    const own = world();
    await (await run(own)).keep(ANSWER);
    own.time += DAY_MS - 1;
    expect(await beginIdempotent(REQUEST, own)).toEqual({ outcome: 'answered', answer: ANSWER });
    own.time += 1;
    await run(own);
  });

  it('is scoped to caller, path and key', async () => {
    const own = world();
    await (await run(own)).keep(ANSWER);
    await run(own, { ...REQUEST, caller: 'other' });
    await run(own, { ...REQUEST, path: '/v1/topics/b/events' });
    await run(own, { ...REQUEST, key: 'k2' });
  });

  it('refuses another body, running or answered', async () => {
    const own = world();
    const first = await run(own);
    expect(await beginIdempotent({ ...REQUEST, bodyHash: 'x' }, own)).toEqual({ outcome: 'key-reused' });
    await first.keep(ANSWER);
    expect(await beginIdempotent({ ...REQUEST, bodyHash: 'x' }, own)).toEqual({ outcome: 'key-reused' });
  });

  it('forgets refusals', async () => {
    const own = world();
    await (await run(own)).forget();
    await run(own, { ...REQUEST, bodyHash: 'x' });
  });

  it('is in progress for 30 s, then runs again; the run that was taken for dead changes nothing', async () => {
    const own = world();
    const dead = await run(own);
    own.time += 29_999;
    expect(await beginIdempotent(REQUEST, own)).toEqual({ outcome: 'in-progress' });
    own.time += 1;
    const second = await run(own);
    await dead.forget();
    await dead.keep({ status: 200, body: 'late' });
    expect(await beginIdempotent(REQUEST, own)).toEqual({ outcome: 'in-progress' });
    await second.keep(ANSWER);
    expect(await beginIdempotent(REQUEST, own)).toMatchObject({ answer: ANSWER });
  });

  it('lets one of many at once run', async () => {
    const own = world();
    const begun = await Promise.all(Array.from({ length: 20 }, () => beginIdempotent(REQUEST, own)));
    expect(begun.filter(({ outcome }) => outcome === 'run')).toHaveLength(1);
    expect(begun.filter(({ outcome }) => outcome === 'in-progress')).toHaveLength(19);
  });

  it('runs unremembered while D1 is away', async () => {
    const own = world();
    own.db.failure = 'before';
    const begun = await run(own);
    await begun.keep(ANSWER);
    await (await run(own)).forget();
  });

  it('says so where D1 is not migrated', async () => {
    const bare = { ...world(), db: new NodeD1() };
    await expect(beginIdempotent(REQUEST, bare)).rejects.toThrow('no such table');
  });

  it('does not keep an answer that D1 has no room for', async () => {
    const own = world();
    await (await run(own)).keep({ status: 201, body: 'x'.repeat(500_001) });
    await run(own);
  });

  it('is trimmed after a day', async () => {
    const own = world();
    await (await run(own)).keep(ANSWER);
    expect(await trimIdempotency(own.db, own.time + DAY_MS - 1)).toBe(0);
    expect(await trimIdempotency(own.db, own.time + DAY_MS)).toBe(1);
  });
});

describe('the cron', () => {
  it('forgets all that is old, batch by batch, and lets D1 fail', async () => {
    const own = world();
    for (let index = 0; index < 1_500; index += 1) {
      await (await run(own, { ...REQUEST, key: String(index) })).keep(ANSWER);
    }
    const logged: string[] = [];
    const ports = {
      ...own,
      now: () => own.time + DAY_MS,
      log: (_level: string, message: string) => void logged.push(message),
    };
    await trim(ports);
    expect(await own.db.prepare('SELECT count(*) AS count FROM idempotency').first()).toEqual({ count: 0 });
    own.db.failure = 'before';
    await trim(ports);
    expect(logged).toHaveLength(3);
  });
});

describe('the hash of a request', () => {
  const body = new TextEncoder().encode('{}');
  const hash = (headers: Record<string, string>, bytes = body) => requestHash(new Headers(headers), bytes);

  it('is over body, content type and ce- headers, and nothing else', () => {
    const base = hash({ 'content-type': 'text/plain', 'ce-id': '1' });
    expect(hash({ 'ce-id': '1', 'content-type': 'text/plain', 'x-request-id': 'r', 'user-agent': 'u' })).toBe(base);
    expect(hash({ 'content-type': 'text/plain', 'ce-id': '2' })).not.toBe(base);
    expect(hash({ 'content-type': 'Text/Plain; charset=UTF-8', 'ce-id': '1' })).toBe(base);
    expect(hash({ 'content-type': 'text/plain; charset=latin1', 'ce-id': '1' })).not.toBe(base);
    expect(hash({ 'content-type': 'text/html', 'ce-id': '1' })).not.toBe(base);
    expect(hash({ 'content-type': 'text/plain', 'ce-id': '1' }, new Uint8Array(1))).not.toBe(base);
  });
});
