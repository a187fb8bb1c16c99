import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { signingKeys, signKey } from '../../src/access/key-tokens.ts';
import { HubProcess } from '../hub/hub-process.ts';
import { WorkerProcess } from '../hub/worker-process.ts';
import { ROOT, runWrangler } from '../hub/wrangler.ts';

const EXAMPLES = join(ROOT, 'examples');

/**
 * The hub and the example consumers. Hub, welcome-email and analytics run in one `wrangler dev`, because local queues do not
 * leave one; billing is in a process of its own, which can be killed, and is reached through wrangler's registry.
 */
export interface Fleet {
  hub: HubProcess;
  billing: WorkerProcess;
  /** Rows of a query over a consumer's D1. */
  query(example: 'billing' | 'analytics', sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** @param mailUrl where welcome-email sends its mails */
export async function startFleet(mailUrl: string): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-workers-'));
  const persistTo = join(folder, 'state');
  // Of its own: other hubs on this machine have the same names.
  const env = { WRANGLER_REGISTRY_PATH: join(folder, 'registry') };
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64');
  const keyFor = (...scopes: string[]) => ({ MILLRACE_KEY: keySignedBy(secret, scopes) });
  const configs = {
    hub: join(EXAMPLES, 'wrangler.toml'),
    billing: join(EXAMPLES, 'billing', 'wrangler.toml'),
    email: withVars(folder, 'welcome-email', {
      MAIL_URL: mailUrl,
      ...keyFor('subscriptions:welcome-email', 'read:customers'),
    }),
    analytics: withVars(folder, 'analytics', keyFor('subscriptions:analytics', 'read:>')),
  };
  const database = (config: string) => ['DB', '--local', '--config', config, '--persist-to', persistTo];
  for (const config of [configs.billing, configs.analytics]) {
    await runWrangler(['d1', 'migrations', 'apply', ...database(config)]);
  }
  const billing = await WorkerProcess.start({ name: 'billing', config: configs.billing, persistTo, env });
  const hub = await HubProcess.start({
    persistTo,
    env,
    vars: { HUB_SECRET: secret },
    configs: [configs.hub, configs.email, configs.analytics],
  });
  return {
    hub,
    billing,
    query: async (example, sql) => {
      const printed = await runWrangler(['d1', 'execute', ...database(configs[example]), '--json', '--command', sql]);
      const [answer]: { results: Record<string, unknown>[] }[] = JSON.parse(printed);
      return answer?.results ?? [];
    },
    stop: async () => {
      await Promise.all([hub.stop(), billing.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A key as the hub makes it with that secret: the consumers need one before the hub runs that would make it. */
function keySignedBy(secret: string, scopes: string[]): string {
  const keys = signingKeys(secret);
  if (keys === null) throw new Error('The secret is malformed.');
  return signKey({ id: crypto.randomUUID(), name: 'consumer', scopes, expiresAt: null, quota: null }, keys);
}

/** A copy of an example's configuration that has variables of this run in it, and leads to the same files. */
function withVars(folder: string, example: string, vars: Record<string, string>): string {
  const source = join(EXAMPLES, example, 'wrangler.toml');
  const target = join(folder, example, 'wrangler.toml');
  const text = readFileSync(source, 'utf8')
    .replace(/^(main|migrations_dir) = "(.*)"$/gm, (_, name, path) => `${name} = "${resolve(dirname(source), path)}"`)
    .replace(/^\[vars\]\n([A-Z_]+ = .*\n)*/m, '');
  const lines = Object.entries(vars).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, `${text}\n[vars]\n${lines.join('')}`);
  return target;
}
