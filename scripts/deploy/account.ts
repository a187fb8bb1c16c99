import { randomBytes } from 'node:crypto';

/**
 * The resources of a hub in a Cloudflare account. Every step looks before it makes, so that a deployment that was
 * interrupted, or is run again, only does what is missing.
 */

/** Runs wrangler and gives what it printed; throws with its output if it fails. */
export type Wrangler = (args: readonly string[]) => Promise<string>;

export const DATABASE = 'millrace';
export const QUEUES = ['millrace-deliveries', 'millrace-retries'];

const SECRET_BYTES = 32;
const SECRETS: Record<string, () => string> = {
  ADMIN_KEY: () => `admin_${randomBytes(SECRET_BYTES).toString('base64url')}`,
  HUB_SECRET: () => randomBytes(SECRET_BYTES).toString('base64'),
};

/** What the platform's interface says of a Worker that has never been deployed. */
const NO_SUCH_WORKER = /\b10007\b/;
const NO_SUCH_QUEUE = /does not exist|not found|\b1100[01]\b/i;

/** @throws if nobody is logged in, with what to do about it. */
export async function requireAccount(wrangler: Wrangler): Promise<void> {
  try {
    await wrangler(['whoami', '--json']);
  } catch {
    throw new Error(
      'wrangler knows no account: run "npx wrangler login", or set CLOUDFLARE_API_TOKEN, and deploy again.',
    );
  }
}

/** The id of the hub's D1 database, made if there is none. */
export async function ensureDatabase(wrangler: Wrangler): Promise<{ id: string; made: boolean }> {
  const there = await databaseId(wrangler);
  if (there !== null) return { id: there, made: false };
  await wrangler(['d1', 'create', DATABASE]);
  const made = await databaseId(wrangler);
  if (made === null) throw new Error(`The database ${DATABASE} was made but is not listed. Deploy again in a minute.`);
  return { id: made, made: true };
}

async function databaseId(wrangler: Wrangler): Promise<string | null> {
  const databases: { name: string; uuid: string }[] = parseJson(await wrangler(['d1', 'list', '--json']));
  return databases.find(({ name }) => name === DATABASE)?.uuid ?? null;
}

/** True if it had to be made. */
export async function ensureQueue(wrangler: Wrangler, name: string): Promise<boolean> {
  try {
    await wrangler(['queues', 'info', name]);
    return false;
  } catch (error) {
    if (!NO_SUCH_QUEUE.test(String(error))) throw error;
  }
  await wrangler(['queues', 'create', name]);
  return true;
}

/**
 * The secrets the deployed Worker doesn't have yet, newly made.
 *
 * @throws if the account can't say which there are: a second HUB_SECRET would make every key invalid and every webhook
 * secret unreadable, so none is made on a guess.
 */
export async function missingSecrets(wrangler: Wrangler): Promise<Record<string, string>> {
  const names = await secretNames(wrangler);
  return Object.fromEntries(
    Object.entries(SECRETS)
      .filter(([name]) => !names.has(name))
      .map(([name, make]) => [name, make()]),
  );
}

async function secretNames(wrangler: Wrangler): Promise<Set<string>> {
  try {
    const secrets: { name: string }[] = parseJson(await wrangler(['secret', 'list', '--format', 'json']));
    return new Set(secrets.map(({ name }) => name));
  } catch (error) {
    if (NO_SUCH_WORKER.test(String(error))) return new Set();
    throw error;
  }
}

/** wrangler.toml with the database's id in it. */
export function withDatabaseId(toml: string, id: string): string {
  const line = /^database_id = "[^"]*"/m;
  if (!line.test(toml)) throw new Error('wrangler.toml has no line "database_id = ..."');
  return toml.replace(line, `database_id = "${id}"`);
}

/** wrangler may print a line before the JSON it was asked for. */
function parseJson<T>(printed: string): T {
  const start = printed.search(/^\s*[[{]/m);
  if (start < 0) throw new Error(`wrangler printed no JSON:\n${printed}`);
  return JSON.parse(printed.slice(start));
}
