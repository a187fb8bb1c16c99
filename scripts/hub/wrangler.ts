import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** wrangler itself, not its starter: one process fewer that signals have to pass. */
const WRANGLER = join(ROOT, 'node_modules', 'wrangler', 'wrangler-dist', 'cli.js');
/** Ends the process once the one that started it is gone, however that one ended. */
const STOP_WITH_PARENT = join(ROOT, 'scripts', 'hub', 'stop-with-parent.ts');
/** Keeps one sender that hangs up from ending the hub. */
const SURVIVE_CUT_BODIES = join(ROOT, 'scripts', 'hub', 'survive-cut-bodies.ts');
/** Keeps the local queues from standing still after a pause. */
const KEEP_CONNECTIONS_OPEN = join(ROOT, 'scripts', 'hub', 'keep-connections-open.ts');

/** wrangler asks nothing, reports nothing, looks for no updates and keeps no log outside the project. */
const QUIET = {
  CI: '1',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  WRANGLER_WRITE_LOGS: 'false',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
};

/** Starts wrangler in the present process group, with the project as its directory. */
export function spawnWrangler(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const preloaded = [STOP_WITH_PARENT, SURVIVE_CUT_BODIES, KEEP_CONNECTIONS_OPEN].flatMap((file) => ['--import', file]);
  return spawn(process.execPath, ['--no-warnings', ...preloaded, WRANGLER, ...args], {
    cwd: ROOT,
    ...options,
    env: { ...process.env, ...QUIET, ...options.env },
  });
}

/**
 * Runs wrangler to its end.
 *
 * @returns what it wrote to standard output.
 * @throws with all that it wrote if it fails.
 */
export async function runWrangler(args: readonly string[]): Promise<string> {
  const child = spawnWrangler(args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  let all = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
    all += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    all += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`wrangler ${args.slice(0, 3).join(' ')} failed:\n${all.trim()}`);
  return printed;
}

/** The compatibility flags that wrangler.toml names. */
export function configuredFlags(): string[] {
  const line = /^compatibility_flags = (\[.*\])/m.exec(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8'));
  const flags: unknown = line?.[1] === undefined ? null : JSON.parse(line[1]);
  if (!Array.isArray(flags)) throw new Error('wrangler.toml has no line "compatibility_flags = [...]"');
  return flags.map(String);
}
