import { env, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { topicLogName } from '../../src/object-names.ts';
import type { ObjectStorage, SqlRow, SqlValue } from '../../src/platform.ts';
import { clock, random } from '../../src/platform-workers.ts';
import type { WakeRequest } from '../../src/topics/protocol.ts';
import { TopicLog } from '../../src/topics/topic-log.ts';
import { packed, type TestEvent } from '../support/new-events.ts';

/** The log in workerd: real storage, real calls between objects, and what it costs in rows. */

/** The alarm fires by itself. */
const PATIENCE = { timeout: 20_000, interval: 20 };

let made = 0;

function event(key: string | null = null, type = 'order.created'): TestEvent {
  made += 1;
  const id = `id-${made}`;
  const source = '/tests';
  const subject = key === null ? {} : { subject: key };
  const time = '2026-01-01T00:00:00Z';
  const json = JSON.stringify({ specversion: '1.0', id, source, type, ...subject, time, data: { made } });
  return { type, source, id, key, json };
}

const append = (events: TestEvent[]) => ({
  v: 1 as const,
  events: packed(events),
  expectedLastSequence: null,
  create: true,
});

const all = {
  v: 1 as const,
  from: { kind: 'earliest' as const },
  until: null,
  order: 'asc' as const,
  limit: 1000,
  match: { types: [], exactTypes: [], sources: [], subjects: [] },
  waitMs: 0,
};

/** A log over the object's own storage, with every row it writes counted. `setAlarm` is one. */
async function counted(
  topic: string,
  work: (log: TopicLog, written: () => number, wakes: WakeRequest[]) => Promise<void>,
): Promise<void> {
  const stub = env.TOPIC_LOG.getByName(`counting/${topic}/0`);
  await runInDurableObject(stub, async (_instance, state) => {
    let written = 0;
    const wakes: WakeRequest[] = [];
    const cursors: { rowsWritten: number }[] = [];
    const { storage } = state;
    const counting: ObjectStorage = {
      sql: {
        exec: <Row extends SqlRow>(query: string, ...bindings: SqlValue[]) => {
          const cursor = storage.sql.exec<Row>(query, ...bindings);
          cursors.push(cursor);
          return cursor;
        },
        get databaseSize() {
          return storage.sql.databaseSize;
        },
      },
      transactionSync: (closure) => storage.transactionSync(closure),
      setAlarm: (at) => {
        written += 1;
        return storage.setAlarm(at);
      },
      deleteAlarm: () => storage.deleteAlarm(),
      sync: () => storage.sync(),
    };
    const log = new TopicLog({
      topic,
      storage: counting,
      clock,
      random,
      background: (task) => state.waitUntil(task),
      log: () => {},
      catalog: { announceTopic: async () => {}, removeTopic: async () => {}, patternsAfter: async () => [] },
      subscriptions: () => ({
        wake: async (request) => {
          wakes.push(request);
          return { state: 'parked', next: request.scannedTo + 1, low: request.scannedTo + 1 };
        },
        topicAppeared: async () => {},
        overtake: async () => {},
      }),
      systemLog: () => ({ append: async () => ({ outcome: 'appended', first: 1, duplicates: [] }) }),
    });
    await log.append(append([event()]));
    await work(
      log,
      () => {
        const sum = written + cursors.reduce((total, cursor) => total + cursor.rowsWritten, 0);
        written = 0;
        cursors.length = 0;
        return sum;
      },
      wakes,
    );
    await storage.deleteAlarm();
  });
}

describe('a log in workerd', () => {
  it('P1 P2 P3 appends, reads and knows its duplicates after it was evicted', async () => {
    const log = env.TOPIC_LOG.getByName(topicLogName('evicted'));
    const first = event('k');
    expect(await log.append(append([first, event()]))).toEqual({
      outcome: 'appended',
      first: 1,
      duplicates: [],
    });
    await evictDurableObject(log);
    expect(await log.append(append([first]))).toMatchObject({ duplicates: [{ index: 0, sequence: 1 }] });
    const page = await log.read(all);
    expect(page).toMatchObject({ outcome: 'page', next: null, lastSequence: 2 });
    expect(await log.describe()).toMatchObject({ name: 'evicted', events: 2 });
  });

  it('P2 many publishes at once share commits and keep one order', async () => {
    const log = env.TOPIC_LOG.getByName(topicLogName('busy'));
    const results = await Promise.all(Array.from({ length: 200 }, () => log.append(append([event('k'), event()]))));
    const firsts = results.map((result) => (result.outcome === 'appended' ? result.first : 0));
    expect(firsts.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => 2 * index + 1));
    const segments = await runInDurableObject(log, (_instance, state) =>
      state.storage.sql.exec<{ count: number }>('SELECT count(*) AS count FROM segments').one(),
    );
    expect(segments.count).toBeLessThan(100);
  });

  it('announces a new topic in D1 from its alarm', async () => {
    const log = env.TOPIC_LOG.getByName(topicLogName('announced'));
    await log.append(append([event()]));
    const inCatalog = () => env.DB.prepare('SELECT name FROM topics WHERE name = ?').bind('announced').first();
    await vi.waitFor(async () => expect(await inCatalog()).toEqual({ name: 'announced' }), PATIENCE);
    await log.remove({ force: true });
    await vi.waitFor(async () => expect(await inCatalog()).toBeNull(), PATIENCE);
  });

  it('forgets all identities although a page was read only in part', async () => {
    await counted('forgetting', async (log) => {
      await log.configure({ description: '', deduplicationWindowMs: 1000 }, null);
      for (let n = 0; n < 20; n += 1) await log.append(append([event(), event()]));
      const page = await log.read({ ...all, limit: 3 });
      expect(page).toMatchObject({ next: 3 });
      expect(await log.remove({ force: true })).toEqual({ outcome: 'removed' });
      expect(await log.append(append([event()]))).toMatchObject({ first: 42, duplicates: [] });
    });
  });

  it('a transaction that fails takes the alarm back with it', async () => {
    const stub = env.TOPIC_LOG.getByName(topicLogName('rollback'));
    await runInDurableObject(stub, async (_instance, state) => {
      const { storage } = state;
      await storage.deleteAlarm();
      expect(() =>
        storage.transactionSync(() => {
          storage.setAlarm(Date.now() + 60_000);
          throw new Error('no');
        }),
      ).toThrow('no');
      expect(await storage.getAlarm()).toBeNull();
    });
  });
});

describe('rows written for an event', () => {
  it('published alone with a key: 3', async () => {
    await counted('alone', async (log, written) => {
      written();
      for (let n = 0; n < 50; n += 1) await log.append(append([event(`k${n}`)]));
      expect(written() / 50).toBeLessThanOrEqual(3.2);
    });
  });

  it('in batches of 100 with keys: 2.01, without: 1.01', async () => {
    await counted('batches', async (log, written) => {
      written();
      for (let n = 0; n < 10; n += 1) {
        await log.append(append(Array.from({ length: 100 }, (_, index) => event(`k${index}`))));
      }
      expect(written() / 1000).toBeLessThanOrEqual(2.1);
      for (let n = 0; n < 10; n += 1) await log.append(append(Array.from({ length: 100 }, () => event())));
      expect(written() / 1000).toBeLessThanOrEqual(1.1);
    });
  });

  it('again: none, but one a request that counts them', async () => {
    await counted('again', async (log, written) => {
      const twice = append([event('k'), event()]);
      await log.append(twice);
      written();
      await log.append(twice);
      expect(written()).toBe(1);
    });
  });

  it('woken for one by one: two more, and an alarm every few seconds', async () => {
    await counted('woken', async (log, written, wakes) => {
      const request = { v: 1 as const, subscription: 's', attachment: 'a', ticket: 1, types: [], low: 2, limit: 50 };
      await log.attach({ v: 1, subscription: 's', attachment: 'a', exact: true, from: { kind: 'latest' } });
      expect(await log.readOrPark({ ...request, next: 2 })).toMatchObject({ outcome: 'parked' });
      written();
      for (let n = 0; n < 50; n += 1) {
        await log.append(append([event()]));
        await scheduler.wait(2);
      }
      expect(wakes.length).toBe(50);
      expect(written() / 50).toBeLessThanOrEqual(4.1);
    });
  });
});
