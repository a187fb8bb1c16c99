/**
 * npm run wrangler -- ARGUMENTS: wrangler as the hub's own scripts run it, for a Worker beside the hub. Its `dev` goes on where
 * a sender breaks off in the middle of a request; without the guards of scripts/hub it ends.
 */
import { spawnWrangler } from './hub/wrangler.ts';

const wrangler = spawnWrangler(process.argv.slice(2), { stdio: 'inherit', cwd: process.cwd() });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => wrangler.kill(signal));
wrangler.on('exit', (code) => process.exit(code ?? 1));
