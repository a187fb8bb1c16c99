/**
 * npm test: types, lint, unit, workerd and end-to-end tests, one after the other, with one summary. Names of steps as
 * arguments run those alone. Later steps run even if an earlier one failed: a broken build says all that is wrong with it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './hub/wrangler.ts';
import { describeTotals, isVitestStep, REPORTS, readTotals } from './test-totals.ts';

const BIN = join(ROOT, 'node_modules', '.bin');

const STEPS: Record<string, string[][]> = {
  types: ['tsconfig.json', 'tsconfig.node.json', 'tsconfig.workers.json', 'examples/checkout/page/tsconfig.json'].map(
    (config) => ['tsc', '-p', config],
  ),
  lint: [['biome', 'check']],
  unit: [vitest('unit')],
  workers: [vitest('workers')],
  e2e: [vitest('e2e')],
  faults: [vitest('faults')],
};

/** Where there is more than one argument after the steps' names, they go to vitest: `npm run test:unit -- test/events`. */
const given = process.argv.slice(2);
const names = given.filter((argument) => argument in STEPS);
const forVitest = given.filter((argument) => !(argument in STEPS));

const results: { name: string; ok: boolean; seconds: number }[] = [];
for (const name of names.length > 0 ? names : Object.keys(STEPS)) {
  console.log(`\n── ${name} ${'─'.repeat(Math.max(0, 76 - name.length))}`);
  const report = join(REPORTS, `${name}.json`);
  mkdirSync(REPORTS, { recursive: true });
  rmSync(report, { force: true });
  const start = Date.now();
  let ok = true;
  for (const [tool = '', ...args] of STEPS[name] ?? []) {
    if (!(await run(join(BIN, tool), tool === 'vitest' ? [...args, ...forVitest] : args))) ok = false;
  }
  if (!isVitestStep(name)) writeFileSync(report, JSON.stringify({ ok }));
  results.push({ name, ok, seconds: (Date.now() - start) / 1000 });
}

console.log(`\n${'─'.repeat(80)}`);
for (const { name, ok, seconds } of results) {
  console.log(`${ok ? '  ok    ' : '  FAILED'}  ${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s`);
}
const totals = readTotals(results.map(({ name }) => name));
for (const failure of totals.failures) console.log(`\n  FAILED  ${failure}`);
console.log(`\n  ${describeTotals(totals)}`);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;

function vitest(project: string): string[] {
  const report = join(REPORTS, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return ['vitest', 'run', '--project', project, ...reporters];
}

function run(command: string, args: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit' });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
