import { describe, expect, it, vi } from 'vitest';
import { Millrace, MillraceError } from '../../src/client/index.ts';
import { all, wired } from './hub-client.ts';

const sequences = (events: readonly { sequence: string }[]) => events.map(({ sequence }) => Number(sequence));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function filled(count: number) {
  const hub = wired();
  const events = upTo(count).map((index) => ({ type: index % 2 === 0 ? 'even' : 'odd', data: { index } }));
  await hub.client.publish('numbers', events);
  return hub;
}

describe('reading', () => {
  it('P2: gives a range over any number of pages, in order and without a gap', async () => {
    const { client } = await filled(2_300);
    expect(sequences(await all(client.read('numbers')))).toEqual(upTo(2_300));
    expect(sequences(await all(client.read('numbers', { pageSize: 7, limit: 50 })))).toEqual(upTo(50));
    expect(sequences(await all(client.read('numbers', { after: 2_290, until: 2_295 })))).toEqual([
      2_291, 2_292, 2_293, 2_294, 2_295,
    ]);
    const backwards = await all(client.read('numbers', { order: 'desc', pageSize: 500, from: 11 }));
    expect(sequences(backwards)).toEqual(upTo(2_300).slice(10).reverse());
    expect(await all(client.read('numbers', { from: 'latest' }))).toEqual([]);
  });

  it('filters, also where whole pages are empty', async () => {
    const { client } = await filled(1_200);
    expect(await all(client.read('numbers', { type: 'even', pageSize: 100 }))).toHaveLength(600);
    expect(await all(client.read('numbers', { type: ['even', 'odd'] }))).toHaveLength(1_200);
    const found = client.read<{ index: number }>('numbers', { filter: 'data.index == 1100', pageSize: 10 });
    expect((await all(found)).map(({ data }) => data.index)).toEqual([1_100]);
  });

  it('ends, however fast events come', async () => {
    const { client } = await filled(20);
    let read = 0;
    for await (const _ of client.read('numbers', { pageSize: 10 })) {
      read += 1;
      await client.publish('numbers', { type: 'more' });
    }
    expect(read).toBe(20);
  });

  it('gives pages, waits for a first event, and gives one event', async () => {
    const { client } = await filled(3);
    expect(await client.readPage('numbers', { limit: 2 })).toMatchObject({ next: 2, lastSequence: 3 });
    const waiting = client.readPage('numbers', { after: 3, waitMs: 10_000 });
    await client.publish('numbers', { type: 'fourth' });
    expect(sequences((await waiting).events)).toEqual([4]);
    expect((await client.event<{ index: number }>('numbers', 2)).data.index).toBe(2);
  });

  it('P8: throws the problem, with all that it says', async () => {
    const { client } = wired();
    const error = await all(client.read('nowhere')).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) return expect.fail('no MillraceError');
    expect(error).toMatchObject({ code: 'unknown-topic', status: 404 });
    expect(error.requestId).toMatch(/./);
    expect(error.message).toContain(error.detail);
    await client.publish('numbers', { type: 'a' });
    await expect(client.event('numbers', 9)).rejects.toMatchObject({ code: 'unknown-event' });
    await expect(all(client.read('numbers', { from: 1, after: 1 }))).rejects.toMatchObject({ code: 'invalid-range' });
  });

  it('waits for an answer as long as it is told to', async () => {
    let tries = 0;
    const silent = new Millrace({
      url: 'http://hub.test',
      timeoutMs: 20,
      retry: { retries: 2, firstMs: 1 },
      fetch: (_url, { signal }) => {
        tries += 1;
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    await expect(silent.topics.get('numbers')).rejects.toMatchObject({ code: 'timeout', status: null });
    expect(tries).toBe(3);
    await expect(silent.keys.create({ name: 'a', scopes: [] })).rejects.toMatchObject({ code: 'timeout' });
    expect(tries).toBe(4);
  });

  it('waits no longer for a key', async () => {
    const silent = new Millrace({
      url: 'http://hub.test',
      timeoutMs: 20,
      retry: { retries: 0 },
      key: () => new Promise(() => {}),
    });
    await expect(silent.topics.get('numbers')).rejects.toMatchObject({ code: 'timeout', status: null });
    const ended = new Error('enough');
    await expect(silent.topics.get('numbers', { signal: AbortSignal.abort(ended) })).rejects.toBe(ended);
  });

  it('leaves nothing at a signal that outlives its calls', async () => {
    const { client } = wired();
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    await client.publish('numbers', { type: 'a' }, { signal });
    expect(added).toHaveBeenCalled();
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      expect.arrayContaining(added.mock.calls.map(([, listener]) => listener)),
    );
  });

  it('does not try again what can not be sent', async () => {
    let tries = 0;
    const { client } = wired(() => {
      tries += 1;
      return 'refused';
    }, 100);
    const options = { idempotencyKey: 'a key with €' };
    await expect(client.publish('numbers', { type: 'a' }, options)).rejects.toThrow(TypeError);
    await expect(client.topics.put('numbers', { description: 1n as unknown as string })).rejects.toThrow(TypeError);
    expect(tries).toBe(0);
    expect(() => new Millrace({ url: 'localhost:8787' })).toThrow('"localhost:8787" is no address of a hub');
    expect(() => new Millrace({ url: 'http://hub.test', key: 'a key with €' })).toThrow(TypeError);
  });

  it('says what is not the hub, and stops where it is told to', async () => {
    const { client } = wired(() => new Response('<html>', { status: 404 }));
    await expect(client.topics.get('numbers')).rejects.toMatchObject({ code: 'unexpected-answer', status: 404 });
    const { client: garbled } = wired(() => new Response('{', { headers: { 'content-type': 'application/json' } }));
    await expect(garbled.topics.get('numbers')).rejects.toMatchObject({ code: 'unexpected-answer', status: 200 });
    const login = () => new Response('<html>', { headers: { 'content-type': 'text/html' } });
    const { client: elsewhere } = wired(login);
    for (const call of [
      () => elsewhere.topics.get('numbers'),
      () => elsewhere.topics.put('numbers', {}),
      () => elsewhere.topics.delete('numbers'),
      () => elsewhere.event('numbers', 1),
      () => elsewhere.health(),
      () => elsewhere.publish('numbers', { type: 'a' }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'unexpected-answer', status: 200 });
    }
    const { client: away } = wired(() => 'refused', 100);
    const stop = new AbortController();
    const asked = away.topics.get('numbers', { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
  });
});
