import { encode } from './client.ts';
import { COUNTS_PATH, type Counts, each } from './counts.ts';
import type { Hub } from './hub.ts';
import { sleep, succeeded } from './measure.ts';

/** For what goes on after the last answer: settling, parking, mirrors in D1. */
export const QUIET_MS = 400;

/** What one of `count` things took while `work` ran, on a hub of bench/worker-counted.ts. */
export async function counted(hub: Hub, count: number, work: () => Promise<void>): Promise<Counts> {
  await sleep(QUIET_MS);
  const before = await countsOf(hub);
  await work();
  await sleep(QUIET_MS);
  return each(before, await countsOf(hub), count);
}

async function countsOf(hub: Hub): Promise<Counts> {
  const [connection] = await hub.connections(1);
  if (connection === undefined) throw new Error('No connection.');
  const counts: Counts = JSON.parse(succeeded(await connection.send(encode('GET', COUNTS_PATH, {}))).body);
  return counts;
}
