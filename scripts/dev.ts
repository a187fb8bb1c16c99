/**
 * npm run dev: the hub on this machine, for daily work. State is kept in .wrangler/state; anything after `--` goes to
 * `wrangler dev` and wins over what is set here.
 */
import { reach } from './hub/dev-arguments.ts';
import { type DevServer, startDevServer } from './hub/dev-server.ts';

const PARENT_CHECK_EVERY_MS = 500;

let server: DevServer | null = null;
let stopping = false;

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await server?.stop();
  process.exit(0);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop());

// A kill -9 of npm can't be passed on: then nothing may be left running either. A hub that is meant to outlive its starter says so.
const parent = process.ppid;
if (process.env.MILLRACE_OUTLIVE_PARENT === undefined) {
  setInterval(() => {
    if (process.ppid !== parent) void stop();
  }, PARENT_CHECK_EVERY_MS).unref();
}

try {
  server = await startDevServer(process.argv.slice(2));
  if (stopping) await server.stop();
  console.log(`
  Millrace is running.

    URL        ${server.url}
    Admin key  ${server.adminKey}
    Reference  ${server.url}/docs

  ${reach(server.allowedHosts)} Ctrl-C stops the hub.
`);
  process.exitCode = await server.ended;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
