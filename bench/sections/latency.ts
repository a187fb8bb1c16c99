import { openAll } from '../client.ts';
import { sequenceOf, single } from '../hub.ts';
import { openLoop, percentile, sleep } from '../measure.ts';
import { milliseconds, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** How long after it was sent an event is at its webhook: alone, and at half the rate that one subscriber keeps up with. */

const TOPIC = 'bench.latency';
const SUBSCRIPTION = 'bench-latency';
const IDLE_GOAL_MS = 25;
/** Between two lone events, so that the subscription is parked again. */
const PAUSE_MS = 25;
const CONNECTIONS = 32;

export const latency: Section = {
  name: 'latency',
  async run(bench) {
    const { hub, receiver } = bench;
    await hub.makeTopic(TOPIC);
    await hub.subscribe(SUBSCRIPTION, TOPIC, receiver.url, { timeout: '5s' });
    await idle(bench);
    const maximum = await maximalRate(bench);
    await halfRate(bench, maximum / 2);
    receiver.reset();
    await hub.unsubscribe(SUBSCRIPTION);
  },
};

async function idle({ hub, receiver, quick, row }: Bench): Promise<void> {
  const taken: number[] = [];
  for (let index = 0; index < (quick ? 40 : 200); index += 1) {
    receiver.reset();
    const sentAt = performance.now();
    await hub.publishOne(TOPIC);
    await receiver.arrived(1);
    taken.push(receiver.firstAt - sentAt);
    await sleep(PAUSE_MS);
  }
  const p50 = percentile(taken, 0.5);
  row({
    group: 'Publish → webhook received',
    what: 'one event at a time, p50',
    value: milliseconds(p50),
    goal: `< ${milliseconds(IDLE_GOAL_MS)}`,
    met: p50 < IDLE_GOAL_MS,
  });
  row({ group: 'Publish → webhook received', what: '… p99', value: milliseconds(percentile(taken, 0.99)) });
}

/** Publishing as fast as the hub answers while one subscriber is delivered to: the slower of the two is what it bears. */
async function maximalRate({ hub, receiver, quick, row }: Bench): Promise<number> {
  receiver.reset();
  const { rate } = await hub.publishSingles(TOPIC, CONNECTIONS, quick ? 1.5 : 5);
  const behind = (await hub.subscription(SUBSCRIPTION)).lag;
  const received = receiver.rate;
  await hub.drained(SUBSCRIPTION);
  row({
    group: 'Publish → webhook received',
    what: `published and delivered at once, ${CONNECTIONS} connections`,
    value: `${perSecond(rate, 'published')}, ${perSecond(received, 'received')}, ${behind} behind at the end`,
  });
  return Math.min(rate, received);
}

async function halfRate({ hub, receiver, quick, row }: Bench, rate: number): Promise<void> {
  const count = Math.round(rate * (quick ? 1.5 : 6));
  const connections = await openAll(hub.running.port, CONNECTIONS);
  const dueAt = new Map<number, number>();
  const arrivedAt = new Map<number, number>();
  receiver.reset();
  receiver.onReceipt = ({ sequence, at }) => {
    if (!arrivedAt.has(sequence)) arrivedAt.set(sequence, at);
  };
  await openLoop(
    connections,
    count,
    rate,
    () => single(TOPIC, true),
    ({ body }, due) => dueAt.set(sequenceOf(body), due),
  );
  await receiver.arrived(count);
  for (const connection of connections) connection.close();
  await hub.drained(SUBSCRIPTION);
  const taken = [...dueAt].map(([sequence, due]) => (arrivedAt.get(sequence) ?? Number.NaN) - due);
  const spread = [percentile(taken, 0.5), percentile(taken, 0.99)].map(milliseconds).join(' / ');
  row({
    group: 'Publish → webhook received',
    what: `at half of that (${perSecond(rate, 'events')}), p50 / p99`,
    value: spread,
  });
}
