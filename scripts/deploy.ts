/**
 * npm run deploy: from nothing to a hub in your own Cloudflare account, and again for every update (docs/deploy.md).
 * `-- --dry-run` builds what would be uploaded, into dist/worker, and needs no account.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ensureDatabase,
  ensureQueue,
  missingSecrets,
  QUEUES,
  requireAccount,
  withDatabaseId,
} from './deploy/account.ts';
import { ROOT, runWrangler } from './hub/wrangler.ts';

const CONFIG = join(ROOT, 'wrangler.toml');
const OWNER_ONLY = 0o600;

try {
  if (process.argv.slice(2).includes('--dry-run')) await dryRun();
  else await deploy();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function dryRun(): Promise<void> {
  console.log((await runWrangler(['deploy', '--dry-run', '--outdir', join('dist', 'worker')])).trim());
}

async function deploy(): Promise<void> {
  await requireAccount(runWrangler);

  const database = await ensureDatabase(runWrangler);
  const toml = readFileSync(CONFIG, 'utf8');
  const updated = withDatabaseId(toml, database.id);
  if (updated !== toml) writeFileSync(CONFIG, updated);
  console.log(
    `database   ${database.made ? 'made' : 'there'}   ${database.id}${updated === toml ? '' : ' (written into wrangler.toml)'}`,
  );

  for (const queue of QUEUES)
    console.log(`queue      ${(await ensureQueue(runWrangler, queue)) ? 'made ' : 'there'}  ${queue}`);

  // Before the code that needs it: a migration only adds, so the version that still runs doesn't mind.
  await runWrangler(['d1', 'migrations', 'apply', 'DB', '--remote']);
  console.log('migrations applied');

  const secrets = await missingSecrets(runWrangler);
  console.log(
    `secrets    ${Object.keys(secrets).length === 0 ? 'there' : `made   ${Object.keys(secrets).join(', ')}`}`,
  );
  console.log(`\n${(await upload(secrets)).trim()}`);

  if (secrets.ADMIN_KEY !== undefined) {
    console.log(`\nThe admin key, shown this once:\n\n  ${secrets.ADMIN_KEY}\n`);
  }
}

/** Code and new secrets go up in one step, so that no version ever runs without its secrets. */
async function upload(secrets: Record<string, string>): Promise<string> {
  if (Object.keys(secrets).length === 0) return runWrangler(['deploy']);
  const directory = mkdtempSync(join(tmpdir(), 'millrace-deploy-'));
  try {
    const file = join(directory, 'secrets.json');
    writeFileSync(file, JSON.stringify(secrets), { mode: OWNER_ONLY });
    return await runWrangler(['deploy', '--secrets-file', file]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
