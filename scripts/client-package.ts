import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './hub/wrangler.ts';

/** What can be imported: `millrace` for all platforms, `millrace/worker` in Workers. Each is a file of src/client. */
const ENTRIES: Readonly<Record<string, string>> = { '.': 'index', './worker': 'worker' };

/**
 * Makes the package of the client in `folder`, as it is published: a module of JavaScript for each of its source, so that a
 * bundler takes what is used, with types, and without dependencies.
 *
 * @throws where it does not compile
 */
export function buildClient(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
  execFileSync(compiler, ['-p', join(ROOT, 'tsconfig.client.json'), '--outDir', folder], { stdio: 'inherit' });
  for (const file of globSync('**/*.d.ts', { cwd: folder })) {
    const path = join(folder, file);
    // The compiler renames what modules import, and leaves what types do.
    writeFileSync(path, readFileSync(path, 'utf8').replace(/(from '\.[^']+)\.ts'/g, "$1.js'"));
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
  copyFileSync(join(ROOT, 'src', 'client', 'README.md'), join(folder, 'README.md'));
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
}

function manifest() {
  const { name, version, license }: Record<string, string> = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  return {
    name,
    version,
    description:
      'The client of Millrace, the event hub: publish, read, tail, pull, verify webhooks, effects exactly once.',
    license,
    type: 'module',
    sideEffects: false,
    exports: Object.fromEntries(
      Object.entries(ENTRIES).map(([path, file]) => [
        path,
        { types: `./client/${file}.d.ts`, default: `./client/${file}.js` },
      ]),
    ),
    engines: { node: '>=20.3' },
  };
}
