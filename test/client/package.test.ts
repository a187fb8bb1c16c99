import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildClient } from '../../scripts/client-package.ts';
import { clientTypes } from '../../scripts/client-types.ts';
import { ROOT } from '../../scripts/hub/wrangler.ts';

/** The package as somebody has it who installs it: packed, in a project of their own. */

const PATIENCE_MS = 120_000;
const IMPORTED = /^(?:import|export)\b[^;]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;
const workshop = mkdtempSync(join(tmpdir(), 'millrace-client-'));
const project = join(workshop, 'project');
const installed = join(project, 'node_modules', 'millrace');

function run(command: string, args: readonly string[], cwd = project): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

beforeAll(() => {
  const made = join(workshop, 'package');
  buildClient(made);
  mkdirSync(project);
  const tarball = run('npm', ['pack', '--silent', made], workshop).trim();
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--silent', join(workshop, tarball)]);
}, PATIENCE_MS);
afterAll(() => rmSync(workshop, { recursive: true }));

it(
  'has the types of the interface as it is: npm run client writes them',
  async () => {
    expect(readFileSync(join(ROOT, 'src', 'client', 'wire.ts'), 'utf8')).toBe(await clientTypes());
  },
  PATIENCE_MS,
);

describe('the package millrace', () => {
  it('is imported by Node, and calls a hub', () => {
    const program = `
      import { createServer } from 'node:http';
      import { Millrace, MillraceError, once, verify } from 'millrace';
      const server = createServer((request, response) => {
        response.setHeader('content-type', 'application/json');
        if (request.method === 'POST') return response.writeHead(201).end('{"events":[{"id":"a","sequence":1}]}');
        response.writeHead(404).end('{"code":"unknown-topic","detail":"No such topic."}');
      }).listen(0, '127.0.0.1', async () => {
        const hub = new Millrace({ url: 'http://127.0.0.1:' + server.address().port, key: 'k' });
        const { sequence } = await hub.publish('orders', { type: 'order.created' });
        const error = await hub.topics.get('orders').catch((thrown) => thrown);
        console.log(sequence, error instanceof MillraceError, error.code, typeof once, typeof verify);
        server.close();
        server.closeAllConnections();
      });`;
    expect(run(process.execPath, ['--input-type=module', '-e', program]).trim()).toBe(
      '1 true unknown-topic function function',
    );
  });

  it('depends on nothing, and imports nothing of one platform', async () => {
    expect(JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies');
    for (const file of globSync('**/*.{js,d.ts}', { cwd: installed })) {
      const imported = [...readFileSync(join(installed, file), 'utf8').matchAll(IMPORTED)];
      for (const [, ...specifiers] of imported) expect(specifiers.join(''), file).toMatch(/^\.{1,2}\/.*\.js$/);
    }
  });

  it(
    'gives a bundle what it uses, and no more',
    async () => {
      const bundle = async (names: string) => {
        const { outputFiles } = await build({
          stdin: { contents: `export { ${names} } from 'millrace';`, resolveDir: project },
          bundle: true,
          minify: true,
          write: false,
          format: 'esm',
          platform: 'neutral',
        });
        return outputFiles[0]?.text ?? '';
      };
      const whole = await bundle('Millrace, verify, once, onceInObject');
      expect(whole).toContain('/v1/subscriptions/{name}/pull');
      for (const names of ['verify', 'once, onceBatch', 'onceInObject']) {
        const part = await bundle(names);
        expect(part, names).not.toContain('/v1/');
        expect(part.length, names).toBeLessThan(whole.length / 3);
      }
    },
    PATIENCE_MS,
  );

  it.each([
    ['a browser', { lib: ['es2022', 'dom'], types: [] }, ''],
    ['Node', { lib: ['es2022'], types: ['node'] }, ''],
    [
      'a Worker',
      { lib: ['es2022'], types: ['@cloudflare/workers-types'] },
      `export const apply = (db: D1Database, delivery: Delivery) => once(db, delivery, [db.prepare('SELECT 1')]);
       export const inObject = (state: DurableObjectState, delivery: Delivery) =>
         onceInObject(state.storage, delivery, () => state.storage.sql.exec('SELECT 1').toArray());`,
    ],
  ])('has types that fit in %s', (_, options, more) => {
    const program = `
      import { type Delivery, Millrace, MillraceError, once, onceInObject, verify } from 'millrace';
      interface Order { amount: number }
      const hub = new Millrace({ url: 'https://hub.example.com', key: 'k' });
      export async function program(request: Request): Promise<number> {
        const { sequence } = await hub.publish('orders', { type: 'order.created', data: { amount: 1 } });
        for await (const event of hub.read<Order>('orders', { after: sequence, type: ['a'] })) return event.data.amount;
        const { deliveries } = await verify<Order>(request, 'whsec_');
        for (const { event, attempt } of deliveries) return event.data.amount + attempt;
        await hub.subscriptions.put('billing', { topics: ['orders'], delivery: { url: 'https://example.com/' } });
        // @ts-expect-error no such ordering
        await hub.subscriptions.put('billing', { topics: ['orders'], ordering: 'some', delivery: { url: 'https://example.com/' } });
        // @ts-expect-error no such parameter
        hub.deadLetters.list({ states: 'open' });
        await hub.subscribe<Order>('billing', async ({ event }) => void event.data.amount);
        return hub.topics.get('orders').then(({ lastSequence }) => lastSequence, (error: unknown) => {
          if (error instanceof MillraceError && error.code === 'unknown-topic') return 0;
          // @ts-expect-error no such code
          if (error instanceof MillraceError && error.code === 'unknown') return 1;
          throw error;
        });
      }
      export const parts = [once, onceInObject];
      export type { Delivery };
      ${more}`;
    writeFileSync(join(project, 'program.ts'), program);
    const configuration = {
      compilerOptions: {
        ...options,
        strict: true,
        exactOptionalPropertyTypes: true,
        module: 'esnext',
        moduleResolution: 'bundler',
        target: 'es2022',
        noEmit: true,
        typeRoots: [join(ROOT, 'node_modules', '@types'), join(ROOT, 'node_modules')],
      },
      files: ['program.ts'],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(configuration));
    expect(run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', project, '--pretty', 'false'])).toBe('');
  });
});
