import { env, runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ensureOnceTable,
  type OnceEvent,
  once,
  onceBatch,
  onceInObject,
  onceMigration,
} from '../../src/client/index.ts';

/** Effects that are sums: whoever adds twice, or not at all, is found out. */

const DB = env.DB;

const add = (account: string, amount: number) =>
  DB.prepare('INSERT INTO balances VALUES (?1, ?2) ON CONFLICT DO UPDATE SET balance = balance + ?2').bind(
    account,
    amount,
  );
const event = (sequence: number, replay: string | null = null): OnceEvent => ({ topic: 'payments', sequence, replay });

async function balances(): Promise<Record<string, number>> {
  const { results } = await DB.prepare('SELECT account, balance FROM balances').all<{
    account: string;
    balance: number;
  }>();
  return Object.fromEntries(results.map(({ account, balance }) => [account, balance]));
}

async function rows(): Promise<number> {
  return (await DB.prepare('SELECT count(*) AS n FROM millrace_once').first<number>('n')) ?? 0;
}

/** Fails after the batch is committed, or before: what a lost connection looks like from a consumer. */
function unreliable(fails: (batch: number) => 'before' | 'after' | null): Pick<D1Database, 'prepare' | 'batch'> {
  let batches = 0;
  return {
    prepare: (sql) => DB.prepare(sql),
    batch: async <T>(statements: D1PreparedStatement[]) => {
      const when = fails(++batches);
      if (when === 'before') throw new Error('Network connection lost.');
      const results = await DB.batch<T>(statements);
      if (when === 'after') throw new Error('Network connection lost.');
      return results;
    },
  };
}

beforeEach(async () => {
  await DB.exec('DROP TABLE IF EXISTS balances');
  await DB.exec('DROP TABLE IF EXISTS millrace_once');
  await DB.exec('CREATE TABLE balances (account TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance < 1000000))');
  await ensureOnceTable(DB);
});

describe('once, in D1', () => {
  it('P5: applies an event once, however often it comes, and says so', async () => {
    expect(await once(DB, event(1), [add('a', 5), add('b', 7)])).toEqual({ applied: true });
    expect(await once(DB, event(1), [add('a', 5), add('b', 7)])).toEqual({ applied: false });
    expect(await once(DB, event(2), [add('a', 5)])).toEqual({ applied: true });
    expect(await balances()).toEqual({ a: 10, b: 7 });
  });

  it('P5: lets one of several deliveries at the same time win', async () => {
    const deliveries = Array.from({ length: 40 }, (_, index) => index + 1).flatMap((sequence) => [
      sequence,
      sequence,
      sequence,
    ]);
    const outcomes = await Promise.all(deliveries.map((sequence) => once(DB, event(sequence), [add('a', sequence)])));
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(40);
    expect(await balances()).toEqual({ a: (40 * 41) / 2 });
  });

  it('P5: adds up after crashes before and after the commit', async () => {
    // Each event comes until it is not thrown at: at most three times. Of its batches the first is lost before, the second after.
    for (let sequence = 1; sequence <= 20; sequence += 1) {
      const db = unreliable((batch) => (batch === 1 ? 'before' : batch === 2 ? 'after' : null));
      let outcome: { applied: boolean } | null = null;
      for (let delivery = 1; outcome === null && delivery <= 3; delivery += 1) {
        outcome = await once(db, event(sequence), [add('a', sequence)]).catch(() => null);
      }
      // The second found what it had done itself, though it had no answer.
      expect(outcome).toEqual({ applied: false });
    }
    expect(await balances()).toEqual({ a: (20 * 21) / 2 });
  });

  it('undoes all where a statement fails, and throws what it threw', async () => {
    await once(DB, event(1), [add('a', 1)]);
    const bad = [add('a', 1), DB.prepare('INSERT INTO balances VALUES (?, 1)').bind('a'), add('b', 1)];
    await expect(once(DB, event(2), bad)).rejects.toThrow(/UNIQUE constraint failed: balances.account/);
    await expect(once(DB, event(3), [add('a', 1_000_000)])).rejects.toThrow(/CHECK/);
    expect(await balances()).toEqual({ a: 1 });
    expect(await rows()).toBe(1);
    expect(await once(DB, event(2), [add('a', 1)])).toEqual({ applied: true });
  });

  it('is not deceived by a consumer that fails while another delivery wins', async () => {
    const statement = DB.prepare('INSERT INTO balances VALUES (?, ?)').bind('a', 1);
    const outcomes = await Promise.all([event(1), event(1), event(1)].map((one) => once(DB, one, [statement])));
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(1);
    expect(await balances()).toEqual({ a: 1 });
  });

  it('skips what a replay brings again, and applies what it brings for the first time', async () => {
    await once(DB, event(1), [add('a', 1)]);
    expect(await once(DB, event(1, 'rpl_1'), [add('a', 1)])).toEqual({ applied: false });
    expect(await once(DB, event(2, 'rpl_1'), [add('a', 1)])).toEqual({ applied: true });
    expect(await once(DB, event(2), [add('a', 1)])).toEqual({ applied: false });
    expect(await balances()).toEqual({ a: 2 });
  });

  it('applies once for each replay where that is wanted', async () => {
    const apply = (one: OnceEvent) => once(DB, one, [add('a', 1)], { replay: 'apply' });
    const deliveries = [event(1), event(1, 'rpl_1'), event(1, 'rpl_2')].flatMap((one) => [one, one, one]);
    const outcomes = await Promise.all(deliveries.map(apply));
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(3);
    expect(await balances()).toEqual({ a: 3 });
  });

  it('keeps consumers that share a database apart, and topics', async () => {
    for (const scope of ['billing', 'mail', 'é"\\', '']) {
      expect(await once(DB, event(1), [add('a', 1)], { scope })).toEqual({ applied: true });
      expect(await once(DB, event(1), [add('a', 1)], { scope })).toEqual({ applied: false });
    }
    expect(await once(DB, { ...event(1), topic: 'orders' }, [add('a', 1)])).toEqual({ applied: true });
    await expect(once(DB, { ...event(1), sequence: Number.NaN }, [add('a', 1)])).rejects.toThrow(TypeError);
  });

  it('takes the events of a lease in one batch', async () => {
    let batches = 0;
    const db = unreliable(() => {
      batches += 1;
      return null;
    });
    const effects = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => ({ event: event(from + index), statements: [add('a', 1)] }));
    expect(await onceBatch(db, [...effects(1, 50), ...effects(50, 50)])).toEqual([
      ...Array.from({ length: 50 }, () => ({ applied: true })),
      { applied: false },
    ]);
    expect(batches).toBe(1);
    // Some are there: all others are applied, in a second batch.
    const outcome = await onceBatch(db, effects(41, 60));
    expect(outcome.map(({ applied }) => applied)).toEqual([...Array(10).fill(false), ...Array(10).fill(true)]);
    expect(batches).toBe(3);
    expect(await balances()).toEqual({ a: 60 });
    const oneBad = [...effects(61, 62), { event: event(63), statements: [add('a', 1_000_000)] }];
    await expect(onceBatch(db, oneBad)).rejects.toThrow(/CHECK/);
    expect(await balances()).toEqual({ a: 60 });
    expect(await onceBatch(DB, [])).toEqual([]);
  });

  it('P5: adds up where batches overlap at the same time', async () => {
    const lease = (from: number) =>
      Array.from({ length: 20 }, (_, index) => ({ event: event(from + index), statements: [add('a', 1)] }));
    const outcomes = (
      await Promise.all([1, 11, 21, 1, 11, 21, 1, 11, 21].map((from) => onceBatch(DB, lease(from))))
    ).flat();
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(40);
    expect(await balances()).toEqual({ a: 40 });
  });

  it('forgets nothing, or what is older than it is told to keep, a little at a time', async () => {
    for (let sequence = 1; sequence <= 10; sequence += 1) await once(DB, event(sequence), []);
    await DB.exec('UPDATE millrace_once SET applied_at = applied_at - 91 * 86400');
    await once(DB, event(11), []);
    expect(await rows()).toBe(11);
    await once(DB, event(12), [], { keepDays: 90 });
    expect(await rows()).toBe(10);
    const more = [13, 14].map((sequence) => ({ event: event(sequence), statements: [] }));
    await onceBatch(DB, more, { keepDays: 92 });
    expect(await rows()).toBe(12);
    await onceBatch(DB, more.slice(0, 1).concat({ event: event(15), statements: [] }), { keepDays: 90 });
    expect(await rows()).toBe(11);
    for (let sequence = 16; sequence <= 20; sequence += 1) await once(DB, event(sequence), [], { keepDays: 90 });
    expect(await rows()).toBe(10);
  });

  it('writes two rows an event: the row and its place in the order of age', async () => {
    const written: number[] = [];
    const db: Pick<D1Database, 'prepare' | 'batch'> = {
      prepare: (sql) => DB.prepare(sql),
      batch: async <T>(statements: D1PreparedStatement[]) => {
        const results = await DB.batch<T>(statements);
        written.push(results.reduce((sum, { meta }) => sum + meta.rows_written, 0));
        return results;
      },
    };
    await once(db, event(1), []);
    expect(written).toEqual([2]);
  });

  it('has its table from the migration too', async () => {
    await DB.exec('DROP TABLE millrace_once');
    for (const sql of onceMigration.split(';\n').filter((text) => text !== '')) await DB.prepare(sql).run();
    await ensureOnceTable(DB);
    expect(await once(DB, event(1), [])).toEqual({ applied: true });
  });
});

describe('once, in a Durable Object', () => {
  const inObject = <T>(work: (storage: DurableObjectStorage) => T) =>
    runInDurableObject(env.TOPIC_LOG.getByName('test/once/0'), async (_, { storage }) => {
      storage.sql.exec('DROP TABLE IF EXISTS balance');
      storage.sql.exec('DROP TABLE IF EXISTS millrace_once');
      storage.sql.exec('CREATE TABLE balance (amount INTEGER NOT NULL)');
      return work(storage);
    });
  const deposit = (storage: DurableObjectStorage, amount: number) => {
    storage.sql.exec('INSERT INTO balance VALUES (?)', amount);
    return storage.sql.exec<{ sum: number }>('SELECT sum(amount) AS sum FROM balance').one().sum;
  };

  it('P5: applies an event once, and gives what the function gave', async () => {
    await inObject((storage) => {
      for (let sequence = 1; sequence <= 10; sequence += 1) {
        expect(onceInObject(storage, event(sequence), () => deposit(storage, 1))).toEqual({
          applied: true,
          value: sequence,
        });
        expect(onceInObject(storage, event(sequence), () => deposit(storage, 1))).toEqual({ applied: false });
        expect(onceInObject(storage, event(sequence, 'rpl_1'), () => deposit(storage, 1))).toEqual({ applied: false });
      }
      expect(onceInObject(storage, event(1, 'rpl_1'), () => deposit(storage, 1), { replay: 'apply' })).toEqual({
        applied: true,
        value: 11,
      });
    });
  });

  it('undoes all that the function did before it threw', async () => {
    await inObject((storage) => {
      const crash = () => {
        deposit(storage, 1);
        throw new Error('crashed');
      };
      expect(() => onceInObject(storage, event(1), crash)).toThrow('crashed');
      expect(onceInObject(storage, event(1), () => deposit(storage, 1))).toEqual({ applied: true, value: 1 });
    });
  });

  it('takes no promise, by its types and when it runs', async () => {
    await inObject((storage) => {
      const slow = async () => deposit(storage, 1);
      // @ts-expect-error what comes after an await is outside the transaction
      expect(() => onceInObject(storage, event(1), slow)).toThrow(TypeError);
      expect(onceInObject(storage, event(1), () => deposit(storage, 1))).toEqual({ applied: true, value: 1 });
    });
  });

  it('forgets what is old', async () => {
    await inObject((storage) => {
      for (let sequence = 1; sequence <= 5; sequence += 1) onceInObject(storage, event(sequence), () => null);
      storage.sql.exec('UPDATE millrace_once SET applied_at = applied_at - 91 * 86400');
      onceInObject(storage, event(6), () => null, { keepDays: 90 });
      expect(storage.sql.exec('SELECT count(*) AS n FROM millrace_once').one()).toEqual({ n: 4 });
    });
  });
});
