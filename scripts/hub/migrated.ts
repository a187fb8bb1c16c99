import { createHash, createHmac } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ROOT } from './wrangler.ts';

/** Under which the local platform keeps D1 databases. */
const KIND = 'miniflare-D1DatabaseObject';
const STATE = join('.wrangler', 'state');

/**
 * Has the local database of wrangler.toml all migrations of schemas/d1? Wrangler takes seconds to see that it has nothing to
 * do. Where it can't be told here, false: then wrangler looks.
 *
 * @param persistTo where the state is kept, if not where it usually is
 */
export function isMigrated(persistTo: string = STATE): boolean {
  const file = resolve(ROOT, persistTo, 'v3', 'd1', KIND, `${objectId(KIND, databaseId())}.sqlite`);
  if (!existsSync(file)) return false;
  try {
    const database = new DatabaseSync(file, { readOnly: true });
    const applied = new Set(
      database
        .prepare('SELECT name FROM d1_migrations')
        .all()
        .map(({ name }) => name),
    );
    database.close();
    const all = readdirSync(join(ROOT, 'schemas', 'd1')).filter((name) => name.endsWith('.sql'));
    return all.every((name) => applied.has(name));
  } catch {
    return false;
  }
}

function databaseId(): string {
  const [, id] = /^database_id = "([^"]+)"/m.exec(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')) ?? [];
  if (id === undefined) throw new Error('wrangler.toml has no line "database_id = …"');
  return id;
}

/** The id of the object with a name, as miniflare derives it. Should it do so in another way one day, no file is found. */
function objectId(uniqueKey: string, name: string): string {
  const key = createHash('sha256').update(uniqueKey).digest();
  const half = (bytes: string | Buffer) => createHmac('sha256', key).update(bytes).digest().subarray(0, 16);
  const first = half(name);
  return Buffer.concat([first, half(first)]).toString('hex');
}
