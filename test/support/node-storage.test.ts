import { describe, expect, it } from 'vitest';
import { NodeD1 } from './node-d1.ts';
import { NodeStorage } from './node-storage.ts';

function withTable(durability: 'at-once' | 'on-flush' = 'at-once'): NodeStorage {
  const storage = new NodeStorage({ durability });
  storage.sql.exec(
    'CREATE TABLE numbers (number INTEGER PRIMARY KEY); -- a script; of several; statements\nCREATE TABLE blobs (blob BLOB)',
  );
  storage.flush();
  return storage;
}

function numbers(storage: NodeStorage): number[] {
  return storage.sql
    .exec<{ number: number }>('SELECT number FROM numbers ORDER BY number')
    .toArray()
    .map((row) => row.number);
}

describe('Storage on Node', () => {
  it('refuses what the platform refuses', () => {
    const storage = withTable();
    for (const refused of ['BEGIN', '/* so */ SAVEPOINT a', 'COMMIT', 'PRAGMA user_version', "ATTACH 'x' AS y"]) {
      expect(() => storage.sql.exec(refused), refused).toThrow();
    }
    expect(() => storage.sql.exec('INSERT INTO numbers VALUES (?)')).toThrow('bindings');
    expect(() => storage.sql.exec('INSERT INTO numbers VALUES (?)', 2 ** 53)).toThrow('2^53');
    expect(() => storage.sql.exec('SELECT 9007199254740993 AS number').one()).toThrow();
    expect(() => storage.sql.exec('SELECT number FROM numbers').one()).toThrow('exactly one');
  });

  it('gives blobs back as ArrayBuffers', () => {
    const storage = withTable();
    storage.sql.exec('INSERT INTO blobs VALUES (?)', new Uint8Array([1, 2, 3]).buffer);
    expect(storage.sql.exec('SELECT blob FROM blobs').one().blob).toEqual(new Uint8Array([1, 2, 3]).buffer);
  });

  it('rolls a transaction back with its alarm, and an inner one by itself', () => {
    const storage = withTable();
    expect(() =>
      storage.transactionSync(() => {
        storage.sql.exec('INSERT INTO numbers VALUES (1)');
        void storage.setAlarm(5);
        throw new Error('no');
      }),
    ).toThrow('no');
    expect([numbers(storage), storage.alarm]).toEqual([[], null]);
    storage.transactionSync(() => {
      storage.sql.exec('INSERT INTO numbers VALUES (1)');
      void storage.setAlarm(7);
      expect(() =>
        storage.transactionSync(() => {
          storage.sql.exec('INSERT INTO numbers VALUES (2)');
          void storage.setAlarm(5);
          throw new Error('no');
        }),
      ).toThrow('no');
    });
    expect([numbers(storage), storage.alarm]).toEqual([[1], 7]);
  });

  it('loses in a crash what the disk has not confirmed, if asked to', () => {
    const storage = withTable('on-flush');
    storage.sql.exec('INSERT INTO numbers VALUES (1)');
    void storage.setAlarm(5);
    storage.flush();
    storage.transactionSync(() => storage.sql.exec('INSERT INTO numbers VALUES (2)'));
    void storage.setAlarm(6);
    expect([numbers(storage), storage.alarm, storage.dirty]).toEqual([[1, 2], 6, true]);
    storage.crash();
    expect([numbers(storage), storage.alarm, storage.dirty]).toEqual([[1], 5, false]);
  });
});

describe('D1 on Node', () => {
  it('runs a batch as one transaction and fails when told to, before or after the effect', async () => {
    const d1 = NodeD1.migrated();
    const insert = d1.prepare('INSERT INTO topics (name, created_at) VALUES (?1, ?2)');
    await expect(d1.batch([insert.bind('a', 1), insert.bind('a', 1)])).rejects.toThrow('D1_ERROR');
    expect(d1.query('SELECT name FROM topics')).toEqual([]);
    d1.failure = 'before';
    await expect(insert.bind('a', 1).run()).rejects.toThrow('D1_ERROR');
    expect(d1.query('SELECT name FROM topics')).toEqual([]);
    d1.failure = 'after';
    await expect(insert.bind('a', 1).run()).rejects.toThrow('D1_ERROR');
    d1.failure = null;
    expect(await d1.prepare('SELECT name FROM topics').first()).toEqual({ name: 'a' });
    expect((await d1.prepare('DELETE FROM topics').run()).meta.changes).toBe(1);
  });
});
