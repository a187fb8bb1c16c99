import { type Connection, encode, openAll } from '../client.ts';
import { batch, event } from '../events.ts';
import { alternate, closedLoop, percentile } from '../measure.ts';
import { milliseconds, percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** Publishing to a topic that nobody subscribes to, against a Worker and an object that only store the same bytes. */

const BATCH = 100;
const BATCH_CONNECTIONS = 4;
const GOALS = new Map([
  [1, 0.7],
  [32, 0.9],
]);
const BATCH_GOAL = 0.5;
const TOPIC = 'bench.publish';

export const publish: Section = {
  name: 'publish',
  async run(bench) {
    await bench.hub.makeTopic(TOPIC);
    for (const [connections, goal] of GOALS) await singles(bench, connections, goal);
    await batches(bench);
  },
};

/** Short rounds and many: what a request at a time takes depends on the disk, which is another from second to second. */
async function singles({ hub, floor, quick, row }: Bench, count: number, goal: number): Promise<void> {
  const seconds = quick ? 0.7 : 1;
  const floorConnections = await openAll(floor.port, count);
  const latencies: number[] = [];
  const pair = await alternate(
    quick ? 3 : 16,
    async () => {
      const load = await hub.publishSingles(TOPIC, count, seconds);
      latencies.push(...load.latencies);
      return load.rate;
    },
    async () => (await closedLoop(floorConnections, seconds, () => floorRequest('/one', event(true)))).rate,
  );
  closeAll(floorConnections);
  row({
    group: 'Publish',
    what: `single events, ${count} connection${count === 1 ? '' : 's'}`,
    value: perSecond(pair.ours, 'requests'),
    floor: perSecond(pair.floor, 'requests'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(goal)}`,
    met: pair.ratio >= goal,
  });
  const spread = [percentile(latencies, 0.5), percentile(latencies, 0.99)].map(milliseconds).join(' / ');
  row({ group: 'Publish', what: '… request to answer, p50 / p99', value: spread });
}

async function batches({ hub, floor, quick, row }: Bench): Promise<void> {
  const seconds = quick ? 0.7 : 1;
  const floorConnections = await openAll(floor.port, BATCH_CONNECTIONS);
  const pair = await alternate(
    quick ? 3 : 12,
    async () => (await hub.publishBatches(TOPIC, BATCH, seconds)).rate * BATCH,
    async () =>
      (await closedLoop(floorConnections, seconds, () => floorRequest('/many', batch(BATCH, true)))).rate * BATCH,
  );
  closeAll(floorConnections);
  row({
    group: 'Publish',
    what: `batches of ${BATCH}, ${BATCH_CONNECTIONS} connections`,
    value: perSecond(pair.ours, 'events'),
    floor: perSecond(pair.floor, 'events'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(BATCH_GOAL)}`,
    met: pair.ratio >= BATCH_GOAL,
  });
}

function floorRequest(path: string, body: string): Buffer {
  return encode('POST', path, { 'content-type': 'application/json' }, body);
}

function closeAll(connections: Connection[]): void {
  for (const connection of connections) connection.close();
}
