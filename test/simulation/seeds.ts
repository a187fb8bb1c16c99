import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Result } from './simulate.ts';

/** Seeds that a thread is sent at once. */
const CHUNK = 10;

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
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(fileURLToPath(new URL('./worker.ts', import.meta.url).href), {
        workerData: { module, options: { tables: run.tables ?? true } },
        execArgv: ['--no-warnings'],
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
      worker.on('message', (message: Result | 'more') => {
        if (message === 'more') {
          const chunk = Array.from({ length: Math.min(CHUNK, from + seeds - next) }, (_, index) => next + index);
          next += chunk.length;
          if (chunk.length === 0 || (failed.length > 0 && !keepGoing)) {
            void worker.terminate();
          } else {
            worker.postMessage(chunk);
          }
          return;
        }
        done += 1;
        if (message.violations.length > 0) {
          failed.push(message);
        }
        onResult(message, done);
      });
    });
  await Promise.all(Array.from({ length: run.threads ?? availableParallelism() }, one));
  return failed.sort((a, b) => a.seed - b.seed);
}
