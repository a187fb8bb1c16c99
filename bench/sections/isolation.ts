import { percentile, sleep } from '../measure.ts';
import { Receiver } from '../receiver.ts';
import { milliseconds } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** What those with healthy receivers notice of one that hangs, with ten thousand events behind it. */

const GROUP = 'Beside a receiver that hangs with 10,000 events behind it';
const HEALTHY = ['bench.healthy-1', 'bench.healthy-2', 'bench.healthy-3', 'bench.healthy-4', 'bench.healthy-5'];
const HANGING = 'bench.hanging';
const EVENTS = 10_000;
/** It hangs all the while. */
const TIMEOUT = '30s';
const IN_FLIGHT = 512;
const PAUSE_MS = 25;
const TAKEN = [
  ['publish', 'request to answer'],
  ['webhook', 'publish → webhook'],
] as const;
const SHARES = [
  ['p50', 0.5],
  ['p99', 0.99],
] as const;

export const isolation: Section = {
  name: 'isolation',
  async run(bench) {
    const { hub, receiver } = bench;
    const hole = await Receiver.open();
    hole.hangs = true;
    for (const name of [...HEALTHY, HANGING]) await hub.makeTopic(name);
    for (const name of HEALTHY) await hub.subscribe(name, name, receiver.url);
    await hub.subscribe(HANGING, HANGING, hole.url, { timeout: TIMEOUT, maxInFlight: IN_FLIGHT });
    await sample(bench); // warm
    const alone = await sample(bench);
    await hub.load(HANGING, EVENTS);
    const beside = await sample(bench);
    for (const [taken, what] of TAKEN) {
      for (const [name, share] of SHARES) {
        bench.row({
          group: GROUP,
          what: `five others, ${what}, ${name}`,
          value: milliseconds(percentile(beside[taken], share)),
          floor: `alone: ${milliseconds(percentile(alone[taken], share))}`,
        });
      }
    }
    for (const name of [...HEALTHY, HANGING]) await hub.unsubscribe(name);
    hole.close();
    receiver.reset();
  },
};

/** One event at a time for one of them after the other; milliseconds. */
async function sample({ hub, receiver, quick }: Bench): Promise<{ publish: number[]; webhook: number[] }> {
  const taken = { publish: [] as number[], webhook: [] as number[] };
  for (let round = 0; round < (quick ? 8 : 40); round += 1) {
    for (const topic of HEALTHY) {
      receiver.reset();
      const sentAt = performance.now();
      await hub.publishOne(topic);
      taken.publish.push(performance.now() - sentAt);
      await receiver.arrived(1);
      taken.webhook.push(receiver.firstAt - sentAt);
      await sleep(PAUSE_MS);
    }
  }
  return taken;
}
