import { describe, expect, it } from 'vitest';
import { Access } from '../../src/access/authenticate.ts';
import { type SigningKey, signingKeys, signKey, verifyKey } from '../../src/access/key-tokens.ts';
import { addKey, deleteKey, trimRevocations } from '../../src/access/keys.ts';
import { Revocations } from '../../src/access/revocations.ts';
import type { Statement } from '../../src/platform.ts';
import { NodeD1 } from '../support/node-d1.ts';

const SECRET = 'dGVzdC1odWItc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmc=';
const OTHER = 'b3RoZXItaHViLXNlY3JldC1vZi0zMi1ieXRlcy1sb25n';
const CLAIMS = {
  id: 'abcdefghijklmnop',
  name: 'writer',
  scopes: ['publish:orders', 'read:>'],
  expiresAt: null,
  quota: null,
};

function keysOf(secret: string): SigningKey[] {
  const keys = signingKeys(secret);
  if (keys === null) throw new Error('malformed');
  return keys;
}

describe('P7 closed: a key proves itself', () => {
  it('says what it may, and verifies under the secret that signed it alone', () => {
    const token = signKey(CLAIMS, keysOf(SECRET));
    expect(token).toMatch(/^mr_[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/);
    expect(verifyKey(token, keysOf(SECRET))).toEqual(CLAIMS);
    expect(verifyKey(token, keysOf(OTHER))).toBeNull();
  });

  it('says its quota, if it has one; a key made before there were quotas has none', () => {
    const limited = { ...CLAIMS, quota: { count: 10, spanMs: 60_000 } };
    expect(verifyKey(signKey(limited, keysOf(SECRET)), keysOf(SECRET))).toEqual(limited);
    const old = 'mr_WyJhYmNkZWZnaGlqa2xtbm9wIiwid3JpdGVyIixbInB1Ymxpc2g6b3JkZXJzIiwicmVhZDo-Il0sbnVsbF0';
    expect(signKey(CLAIMS, keysOf(SECRET)).split('.')[0]).toBe(old);
  });

  it('verifies under an older secret while that one is kept behind the new one', () => {
    const token = signKey(CLAIMS, keysOf(SECRET));
    expect(verifyKey(token, keysOf(`${OTHER}, ${SECRET}`))).toEqual(CLAIMS);
    expect(signKey(CLAIMS, keysOf(`${OTHER},${SECRET}`))).toBe(signKey(CLAIMS, keysOf(OTHER)));
  });

  it('is refused with any character changed, cut or added', () => {
    const token = signKey(CLAIMS, keysOf(SECRET));
    for (let index = 0; index < token.length; index += 1) {
      const other = token[index] === 'A' ? 'B' : 'A';
      expect(verifyKey(token.slice(0, index) + other + token.slice(index + 1), keysOf(SECRET))).toBeNull();
    }
    for (const wrong of ['', 'mr_', 'mr_.', token.slice(0, -1), `${token}A`, `${token}.`, token.replace('.', '..')]) {
      expect(verifyKey(wrong, keysOf(SECRET))).toBeNull();
    }
  });

  it.each(['', 'short', 'not base64!', 'c2hvcnQ='])('%j is no HUB_SECRET', (secret) => {
    expect(signingKeys(secret)).toBeNull();
  });

  it('admits the admin key exactly', async () => {
    const access = new Access('correct horse', keysOf(SECRET));
    const world = worldOf(NodeD1.migrated());
    expect(await access.authenticate('Bearer correct horse', world)).toMatchObject({ caller: { id: 'admin' } });
    expect(await access.authenticate('bearer correct horse', world)).toMatchObject({ outcome: 'known' });
    expect(await access.authenticate('Bearer correct hors', world)).toEqual({ outcome: 'bad-key' });
    expect(await access.authenticate('Bearer correct horsee', world)).toEqual({ outcome: 'bad-key' });
    expect(await access.authenticate(null, world)).toEqual({ outcome: 'no-key' });
  });

  it('is looked for in a hostile header without much work', async () => {
    const access = new Access('admin', keysOf(SECRET));
    const start = performance.now();
    const header = `Bearer a${' '.repeat(100_000)}b`;
    expect(await access.authenticate(header, worldOf(NodeD1.migrated()))).toEqual({ outcome: 'bad-key' });
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it('expires', async () => {
    const access = new Access('admin', keysOf(SECRET));
    const world = worldOf(NodeD1.migrated());
    const token = signKey({ ...CLAIMS, expiresAt: world.time + 1000 }, keysOf(SECRET));
    expect(await access.authenticate(`Bearer ${token}`, world)).toMatchObject({ outcome: 'known' });
    world.time += 1000;
    expect(await access.authenticate(`Bearer ${token}`, world)).toEqual({ outcome: 'expired-key' });
  });
});

describe('P7 closed: a deleted key works nowhere after 10 s', () => {
  it('is known by its id, so a key made again under its name is another', async () => {
    const db = NodeD1.migrated();
    const key = { ...CLAIMS, createdAt: 1, signedUnder: 'one' };
    expect(await addKey(db, key)).toBe(true);
    expect(await addKey(db, { ...key, id: 'another' })).toBe(false);
    expect(await deleteKey(db, 'writer', 2)).toEqual(key);
    expect(await deleteKey(db, 'writer', 2)).toBeNull();
    expect(await addKey(db, { ...key, id: 'another' })).toBe(true);
    const world = worldOf(db);
    const revocations = new Revocations();
    expect(await revocations.isRevoked(CLAIMS.id, world)).toBe(true);
    expect(await revocations.isRevoked('another', world)).toBe(false);
  });

  it('is seen by another isolate within 10 s, without a request waiting while the list is young', async () => {
    const db = NodeD1.migrated();
    const world = worldOf(db);
    const revocations = new Revocations();
    expect(await revocations.isRevoked('id', world)).toBe(false);
    await db.prepare("INSERT INTO revocations (id, revoked_at) VALUES ('id', 1)").run();
    world.tasks = [];
    world.time += 4_999;
    expect(await revocations.isRevoked('id', world)).toBe(false);
    expect(world.tasks).toHaveLength(0);
    world.time += 1;
    expect(await revocations.isRevoked('id', world)).toBe(false);
    await Promise.all(world.tasks);
    expect(await revocations.isRevoked('id', world)).toBe(true);
  });

  it('reads a list of 10 s before it answers', async () => {
    const db = NodeD1.migrated();
    const world = worldOf(db);
    const revocations = new Revocations();
    await revocations.isRevoked('id', world);
    await db.prepare("INSERT INTO revocations (id, revoked_at) VALUES ('id', 1)").run();
    world.time += 10_000;
    expect(await revocations.isRevoked('id', world)).toBe(true);
  });

  it('keeps what is known while D1 is away, and does not wait for it again and again', async () => {
    const db = NodeD1.migrated();
    const world = worldOf(db);
    const revocations = new Revocations();
    revocations.add('known');
    let reads = 0;
    const hanging = {
      ...world,
      db: {
        prepare: () => {
          reads += 1;
          return hangs();
        },
        batch: db.batch.bind(db),
      },
      now: world.now,
    };
    const start = performance.now();
    expect(await revocations.isRevoked('other', hanging)).toBe(false);
    expect(performance.now() - start).toBeGreaterThan(200);
    expect(await revocations.isRevoked('other', hanging)).toBe(false);
    expect(await revocations.isRevoked('known', hanging)).toBe(true);
    expect(reads).toBe(1);
  });

  it('is seen where D1 always takes longer than a request waits', async () => {
    const db = NodeD1.migrated();
    await db.prepare("INSERT INTO revocations (id, revoked_at) VALUES ('id', 1)").run();
    const world = worldOf(db);
    const far = {
      ...world,
      now: world.now,
      db: { prepare: (query: string) => slow(db.prepare(query)), batch: db.batch.bind(db) },
    };
    const revocations = new Revocations();
    expect(await revocations.isRevoked('id', far)).toBe(false);
    await Promise.all(world.tasks);
    expect(await revocations.isRevoked('id', far)).toBe(true);
  });

  it('is seen within 10 s after the clock was set back', async () => {
    const db = NodeD1.migrated();
    const world = worldOf(db);
    const revocations = new Revocations();
    await revocations.isRevoked('id', world);
    await db.prepare("INSERT INTO revocations (id, revoked_at) VALUES ('id', 1)").run();
    world.time -= 3_600_000;
    expect(await revocations.isRevoked('id', world)).toBe(true);
    world.tasks = [];
    await revocations.isRevoked('other', world);
    expect(world.tasks).toHaveLength(0);
  });

  it('is forgotten when it would have expired anyway', async () => {
    const db = NodeD1.migrated();
    await db
      .prepare("INSERT INTO revocations (id, revoked_at, expires_at) VALUES ('a', 1, 10), ('b', 1, 20), ('c', 1, NULL)")
      .run();
    expect(await trimRevocations(db, 10)).toBe(1);
    expect(await trimRevocations(db, 10)).toBe(0);
  });
});

function worldOf(db: NodeD1) {
  const world = {
    db,
    time: 1_000_000,
    tasks: [] as Promise<unknown>[],
    now: () => world.time,
    background: (task: Promise<unknown>) => void world.tasks.push(task),
    log: () => undefined,
  };
  return world;
}

/** A statement that is never answered. */
function hangs() {
  const never = () => new Promise<never>(() => undefined);
  const statement = { bind: () => statement, first: never, all: never, run: never };
  return statement;
}

/** Answers after more than a request waits. */
function slow(statement: Statement): Statement {
  const later = async <T>(answer: () => Promise<T>) => {
    await new Promise((resolve) => setTimeout(resolve, 350));
    return answer();
  };
  return {
    bind: (...values) => slow(statement.bind(...values)),
    first: <T>() => later(() => statement.first<T>()),
    all: <T>() => later(() => statement.all<T>()),
    run: () => later(() => statement.run()),
  };
}
