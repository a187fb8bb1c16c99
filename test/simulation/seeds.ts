import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Result } from './simulate.ts';

/** Seeds that a thread is sent at once. */
const CHUNK = 10;
/** A seed that takes so long goes round in circles without ever waiting for anything, which only its end shows. */
const SEED_MAX_MS = 120_000;

export interface Run {
  from: number;
  seeds: number;
  /** URL of the module with `simulate`: this source, or a sabotaged build of it. */
  module?: string;
  threads?: number;
  /** See `Options` of simulate.ts. */
  tables?: boolean;
  /** Go on after a seed has failed. */
  keepGoing?: boolean;
  onResult?: (result: Result, done: number) => void;
}

/** Simulates a range of seeds on all cores; resolves with those that broke a rule. Stops at the first unless told otherwise. */
export async function runSeeds(run: Run): Promise<Result[]> {
  const { from, seeds, keepGoing = false, onResult = () => {} } = run;
  const module = run.module ?? new URL('./simulate.ts', import.meta.url).href;
  const failed: Result[] = [];
  let next = from;
  let done = 0;
  const record = (result: Result) => {
    done += 1;
    if (result.violations.length > 0) {
      failed.push(result);
    }
    onResult(result, done);
  };
  /** One thread; true if it had to be ended over a seed, and another one has to take its place. */
  const thread = () =>
    new Promise<boolean>((resolve, reject) => {
      const worker = new Worker(fileURLToPath(new URL('./worker.ts', import.meta.url).href), {
        workerData: { module, options: { tables: run.tables ?? true } },
        execArgv: ['--no-warnings'],
      });
      let chunk: number[] = [];
      let hung = false;
      const watch = setInterval(() => {
        const [seed] = chunk;
        if (seed !== undefined && Date.now() - since > SEED_MAX_MS) {
          hung = true;
          const detail = `no end after ${SEED_MAX_MS} ms`;
          record({ seed, violations: [{ rule: 'hangs', detail }], steps: 0, hash: '', trace: [] });
          void worker.terminate();
        }
      }, 1_000);
      let since = Date.now();
      worker.on('error', reject);
      worker.on('exit', () => {
        clearInterval(watch);
        resolve(hung && keepGoing);
      });
      worker.on('message', (message: Result | 'more') => {
        since = Date.now();
        if (message !== 'more') {
          chunk.shift();
          record(message);
          return;
        }
        chunk = Array.from({ length: Math.min(CHUNK, from + seeds - next) }, (_, index) => next + index);
        next += chunk.length;
        if (chunk.length === 0 || (failed.length > 0 && !keepGoing)) {
          void worker.terminate();
        } else {
          worker.postMessage(chunk);
        }
      });
    });
  const one = async () => {
    while (await thread()) {
      // The seeds after the one that hung in its chunk are left out: it has failed already.
    }
  };
  await Promise.all(Array.from({ length: run.threads ?? availableParallelism() }, one));
  return failed.sort((a, b) => a.seed - b.seed);
}
