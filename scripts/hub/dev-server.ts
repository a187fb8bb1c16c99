import { join } from 'node:path';
import { devArguments } from './dev-arguments.ts';
import { ensureDevVars } from './dev-vars.ts';
import { isMigrated } from './migrated.ts';
import { configuredFlags, ROOT, runWrangler, spawnWrangler } from './wrangler.ts';

/** The cron of wrangler.toml, which doesn't fire by itself locally. */
const SWEEP_EVERY_MS = 60_000;
/** How long wrangler gets to end in order, before it is ended. */
const STOP_WITHIN_MS = 5_000;
/** How long a started hub gets to answer, before it counts as broken. */
const READY_WITHIN_MS = 60_000;
const POLL_EVERY_MS = 100;
/** A poll that has no answer by then is given up: wrangler may lose a request that comes while it starts. */
const POLL_TIMEOUT_MS = 5_000;

export interface DevServer {
  url: string;
  /** The admin key that is in force. */
  adminKey: string;
  /** The hosts that webhooks may reach beside public ones, as `WEBHOOK_ALLOW_HOSTS` has them. */
  allowedHosts: string;
  /** Ends the hub, workerd included. */
  stop(): Promise<void>;
  /** Settles when the hub has ended, with its exit code. */
  ended: Promise<number>;
}

/**
 * Makes the local secrets, applies the D1 migrations and starts the hub with `wrangler dev`, in this process's group.
 *
 * @param given arguments for wrangler; they win over what is set here.
 * @throws if the migrations can't be applied or the hub doesn't come up.
 */
export async function startDevServer(given: readonly string[]): Promise<DevServer> {
  const args = devArguments(given, configuredFlags());
  const secrets = args.vars.ADMIN_KEY && args.vars.HUB_SECRET ? args.vars : ensureDevVars(join(ROOT, '.dev.vars'));
  if (args.isConfigured || !isMigrated(args.persistTo))
    await runWrangler(['d1', 'migrations', 'apply', 'DB', '--local', ...args.shared]);

  const child = spawnWrangler(args.dev, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 0));
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const giveUp = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(giveUp);
  };
  const listening = new Promise<number>((resolve) => {
    child.on('message', (message) => {
      const port = readyPort(message);
      if (port !== null) resolve(port);
    });
  });

  const port = await Promise.race([listening, ended.then((code) => failed(`wrangler dev ended with code ${code}`))]);
  const url = `http://${urlHost(args.ip)}:${port}`;
  await answers(`${url}/healthz`, ended);
  const sweep = setInterval(() => void fireCron(url), SWEEP_EVERY_MS);
  void ended.then(() => clearInterval(sweep));
  return {
    url,
    adminKey: args.vars.ADMIN_KEY ?? secrets.ADMIN_KEY ?? '',
    allowedHosts: args.vars.WEBHOOK_ALLOW_HOSTS ?? '',
    stop,
    ended,
  };
}

function failed(reason: string): never {
  throw new Error(reason);
}

/** The port in wrangler's message that it listens, or null for any other message. */
function readyPort(message: unknown): number | null {
  if (typeof message !== 'string') return null;
  const news: { event?: string; port?: number } = JSON.parse(message);
  return news.event === 'DEV_SERVER_READY' && news.port !== undefined ? news.port : null;
}

/** A wildcard address is listened on, not connected to. */
function urlHost(ip: string): string {
  if (ip === '0.0.0.0' || ip === '*') return '127.0.0.1';
  if (ip === '::') return '[::1]';
  return ip.includes(':') ? `[${ip}]` : ip;
}

async function answers(url: string, ended: Promise<number>): Promise<void> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!over && Date.now() < deadline) {
    const response = await fetch(url, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) }).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
  }
  throw new Error(over ? 'The hub ended before it answered.' : `${url} doesn't answer.`);
}

async function fireCron(url: string): Promise<void> {
  // A hub that is just restarting misses one sweep; the next comes in a minute.
  await fetch(`${url}/cdn-cgi/handler/scheduled?cron=${encodeURIComponent('* * * * *')}`, {
    signal: AbortSignal.timeout(SWEEP_EVERY_MS),
  }).catch(() => null);
}
