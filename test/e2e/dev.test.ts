import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/hub/free-port.ts';
import { isMigrated } from '../../scripts/hub/migrated.ts';
import { groupIsAlive, signalGroup } from '../../scripts/hub/process-group.ts';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { ApiClient, eventually } from './support/index.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-dev-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** `npm run dev` as another program starts it, in a process group that can be looked at as a whole. */
async function npmRunDev() {
  const port = await freePort();
  const args = ['run', 'dev', '--', '--port', String(port), '--persist-to', directory, '--var', 'ADMIN_KEY:secret'];
  const child = spawn('npm', args, { cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const group = child.pid ?? 0;
  const url = `http://127.0.0.1:${port}`;
  await eventually('the hub is up', async () => (await fetch(`${url}/healthz`)).ok, 90_000);
  await eventually('the key is printed', () => output.includes('Admin key'));
  return { child, group, url, output: () => output };
}

describe('npm run dev', () => {
  it('listens where it is told, on a migrated state where it is told, with the key it is told and prints', async () => {
    expect(isMigrated(directory)).toBe(false);
    const { group, url, output } = await npmRunDev();
    try {
      // The next start need not look.
      expect(isMigrated(directory)).toBe(true);
      expect(output()).toContain(url);
      expect(output()).toMatch(/Admin key\s+secret\n/);
      const api = new ApiClient(url, 'secret');
      expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
      expect(await api.json('GET', '/v1/dead-letters')).toEqual({ items: [], next: null });
      expect((await new ApiClient(url, 'another').request('GET', '/v1/topics')).status).toBe(401);
    } finally {
      signalGroup(group, 'SIGKILL');
    }
    await eventually('all processes are gone', () => !groupIsAlive(group));
    expect(readFileSync(join(ROOT, '.dev.vars'), 'utf8')).toMatch(/^HUB_SECRET=/m);
  });

  it.each(['SIGTERM', 'SIGKILL', 'SIGINT'] as const)('leaves no process behind when npm gets %s', async (signal) => {
    const { child, group } = await npmRunDev();
    child.kill(signal);
    await eventually('all processes are gone', () => !groupIsAlive(group), 20_000);
  });
});
