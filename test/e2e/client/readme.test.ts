import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildClient } from '../../../scripts/client-package.ts';
import { freePort } from '../../../scripts/hub/free-port.ts';
import { ROOT } from '../../../scripts/hub/wrangler.ts';
import { startHub } from '../support/index.ts';

/** The client's README, read as one program and followed to the letter. */

const README = readFileSync(join(ROOT, 'src', 'client', 'README.md'), 'utf8');
/** What the README's hub and receiver are reached at. */
const README_URL = 'http://localhost:8787';
const README_PORT = '9999';
const PROGRAM_WITHIN_MS = 120_000;
const MARK = '--- the next block ---';

/** The blocks of JavaScript, each with what it prints. */
function blocks(): { code: string; output: string }[] {
  return [...README.matchAll(/^```js\n([\s\S]*?)^```\n(?:```text\n([\s\S]*?)^```$)?/gm)].map(
    ([, code = '', output = '']) => ({ code, output }),
  );
}

function project(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-client-readme-'));
  mkdirSync(join(folder, 'node_modules'));
  buildClient(join(folder, 'package'));
  symlinkSync(join(folder, 'package'), join(folder, 'node_modules', 'millrace'));
  return folder;
}

describe("the client's README", () => {
  it('prints what it says, for each of its programs', async () => {
    const folder = project();
    const hub = await startHub();
    try {
      const port = String(await freePort());
      const program = blocks()
        .map(({ code }) => `${code}\nconsole.log(${JSON.stringify(MARK)});\n`)
        .join('')
        .replaceAll(README_URL, hub.url)
        .replaceAll(README_PORT, port);
      writeFileSync(join(folder, 'program.mjs'), `${program}\nprocess.exit(0);\n`);
      const env = { ...process.env, MILLRACE_KEY: hub.adminKey, NO_COLOR: '1' };
      const { stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], {
        cwd: folder,
        env,
        encoding: 'utf8',
        timeout: PROGRAM_WITHIN_MS,
      });
      expect(stderr).toBe('');
      const printed = stdout.split(`${MARK}\n`);
      for (const [index, { code, output }] of blocks().entries()) {
        expect(printed[index]?.replaceAll(port, README_PORT), code).toBe(output);
      }
    } finally {
      await hub.stop();
      rmSync(folder, { recursive: true });
    }
  });

  it('compiles, for each of its Workers', () => {
    const folder = project();
    try {
      const programs = [...README.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);
      for (const [index, code] of programs.entries()) writeFileSync(join(folder, `worker-${index}.ts`), code);
      const options = {
        strict: true,
        noEmit: true,
        target: 'es2022',
        module: 'esnext',
        moduleResolution: 'bundler',
        lib: ['es2022'],
        types: ['@cloudflare/workers-types'],
        typeRoots: [join(ROOT, 'node_modules')],
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
      const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
      const { stdout, status } = spawnSync(compiler, ['-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
      expect(stdout).toBe('');
      expect(status).toBe(0);
      expect(programs.length).toBeGreaterThan(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
