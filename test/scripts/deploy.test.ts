import { describe, expect, it } from 'vitest';
import {
  ensureDatabase,
  ensureQueue,
  missingSecrets,
  requireAccount,
  type Wrangler,
  withDatabaseId,
} from '../../scripts/deploy/account.ts';

/** An account as far as `npm run deploy` sees it; records what was made. */
function account(state: { databases?: string[]; queues?: string[]; secrets?: string[] | Error; loggedIn?: boolean }) {
  const databases = [...(state.databases ?? [])];
  const queues = [...(state.queues ?? [])];
  const made: string[] = [];
  const wrangler: Wrangler = async (args) => {
    const [first, second, name = ''] = args;
    switch (`${first} ${second}`) {
      case 'whoami --json':
        if (state.loggedIn === false) throw new Error('You are not authenticated.');
        return '{"loggedIn":true}';
      case 'd1 list':
        return `a line first\n${JSON.stringify(databases.map((database) => ({ name: database, uuid: `id-of-${database}` })))}`;
      case 'd1 create':
        databases.push(name);
        made.push(name);
        return '';
      case 'queues info':
        if (!queues.includes(name)) throw new Error(`Queue "${name}" does not exist.`);
        return '';
      case 'queues create':
        queues.push(name);
        made.push(name);
        return '';
      case 'secret list':
        if (state.secrets instanceof Error) throw state.secrets;
        return JSON.stringify((state.secrets ?? []).map((secret) => ({ name: secret, type: 'secret_text' })));
      default:
        throw new Error(`unexpected: ${args.join(' ')}`);
    }
  };
  return { wrangler, made };
}

describe('npm run deploy', () => {
  it('makes the database and the queue that are missing, and the second time nothing', async () => {
    const { wrangler, made } = account({ databases: ['another'] });
    expect(await ensureDatabase(wrangler)).toEqual({ id: 'id-of-millrace', made: true });
    expect(await ensureQueue(wrangler, 'millrace-deliveries')).toBe(true);
    expect(await ensureDatabase(wrangler)).toEqual({ id: 'id-of-millrace', made: false });
    expect(await ensureQueue(wrangler, 'millrace-deliveries')).toBe(false);
    expect(made).toEqual(['millrace', 'millrace-deliveries']);
  });

  it('makes both secrets for a Worker that was never deployed', async () => {
    const { wrangler } = account({ secrets: new Error('This Worker does not exist on your account. [code: 10007]') });
    const secrets = await missingSecrets(wrangler);
    expect(Object.keys(secrets)).toEqual(['ADMIN_KEY', 'HUB_SECRET']);
    expect(Buffer.from(secrets.HUB_SECRET ?? '', 'base64')).toHaveLength(32);
  });

  it('makes only the secret that is missing', async () => {
    const { wrangler } = account({ secrets: ['HUB_SECRET'] });
    expect(Object.keys(await missingSecrets(wrangler))).toEqual(['ADMIN_KEY']);
  });

  it('makes no secret when the account cannot say which there are', async () => {
    const { wrangler } = account({ secrets: new Error('fetch failed') });
    await expect(missingSecrets(wrangler)).rejects.toThrow('fetch failed');
  });

  it('says how to log in', async () => {
    const { wrangler } = account({ loggedIn: false });
    await expect(requireAccount(wrangler)).rejects.toThrow('npx wrangler login');
  });

  it('writes the database id into wrangler.toml and leaves the rest', () => {
    const toml = 'name = "millrace"\n[[d1_databases]]\ndatabase_id = "0000" # yours\nmigrations_dir = "schemas/d1"\n';
    expect(withDatabaseId(toml, 'abc')).toBe(toml.replace('0000', 'abc'));
    expect(() => withDatabaseId('name = "millrace"', 'abc')).toThrow('database_id');
  });
});
