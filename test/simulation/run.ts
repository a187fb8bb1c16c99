import { parseArgs } from 'node:util';
import { runSeeds } from './seeds.ts';
import { type Result, simulate } from './simulate.ts';

/**
 * `npm run simulate -- [--seeds N] [--from N] [--threads N] [--keep-going]`, or `--seed N` for one with all that happens.
 * Exits with 1 if a rule was broken.
 */

const TRACE_LINES = 60;
const PROGRESS_MS = 5_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    threads: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
  },
});

function show(result: Result, lines: number): void {
  console.log(`seed ${result.seed} broke a rule after ${result.steps} steps`);
  for (const line of result.trace.slice(result.trace.length - lines)) {
    console.log(`  ${line}`);
  }
  for (const { rule, detail } of result.violations) {
    console.log(`BROKEN ${rule}: ${detail}`);
  }
  console.log(`repeat it with: npm run simulate -- --seed ${result.seed}`);
}

if (values.seed !== undefined) {
  const result = await simulate(Number(values.seed), { verbose: true });
  if (result.violations.length > 0) {
    show(result, 0);
    process.exitCode = 1;
  }
  console.log(`seed ${result.seed}: ${result.steps} steps, trace ${result.hash}`);
} else {
  const started = Date.now();
  let shownAt = started;
  let steps = 0;
  const failed = await runSeeds({
    from: Number(values.from),
    seeds: Number(values.seeds),
    ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
    keepGoing: values['keep-going'],
    onResult: (result, done) => {
      steps += result.steps;
      const [broken] = result.violations;
      if (broken !== undefined) {
        console.log(`seed ${result.seed}: ${broken.rule}: ${broken.detail}`);
      }
      if (Date.now() - shownAt > PROGRESS_MS) {
        shownAt = Date.now();
        console.log(`${done} seeds, ${((done * 1000) / (Date.now() - started)).toFixed(1)} a second`);
      }
    },
  });
  const seconds = (Date.now() - started) / 1000;
  const [first] = failed;
  if (first !== undefined) {
    show(first, TRACE_LINES);
    console.log(`seeds that broke a rule: ${failed.map((result) => result.seed).join(', ')}`);
    process.exitCode = 1;
  }
  console.log(
    `${values.seeds} seeds from ${values.from}: ${failed.length} broke a rule; ${steps} steps in ${seconds.toFixed(1)} s` +
      (first === undefined ? `, ${(Number(values.seeds) / seconds).toFixed(1)} seeds a second` : ''),
  );
}
