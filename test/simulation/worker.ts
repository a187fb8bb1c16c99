import { parentPort, workerData } from 'node:worker_threads';
import type { Options, Result } from './simulate.ts';

/** A thread of run.ts: simulates the seeds it is sent, with the build it is told. */

const { module, options }: { module: string; options: Options } = workerData;
const { simulate }: { simulate: (seed: number, options: Options) => Promise<Result> } = await import(module);

parentPort?.on('message', (seeds: number[]) => {
  void (async () => {
    for (const seed of seeds) {
      const result = await simulate(seed, options);
      parentPort?.postMessage(result.violations.length > 0 ? result : { ...result, trace: [] });
    }
    parentPort?.postMessage('more');
  })();
});
parentPort?.postMessage('more');
