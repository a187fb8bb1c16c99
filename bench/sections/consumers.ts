import { Connection, encode } from '../client.ts';
import { event } from '../events.ts';
import type { ConsumerOrder } from '../floor-worker.ts';
import { alternate, succeeded } from '../measure.ts';
import { percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** A backlog on its way to a consumer Worker that only counts, against what only calls it, or only feeds its queue. */

const GROUP = 'A backlog to a consumer Worker';
const GOAL = 0.6;
/** Events in one call. */
const SIZE = 50;
const IN_FLIGHT = 512;

interface Way {
  name: 'queue' | 'service';
  what: string;
  delivery: object;
  /** Where the floor does the same. */
  path: string;
}

const QUEUE: Way = {
  name: 'queue',
  what: `behind a queue of its own, ${SIZE} messages a call`,
  delivery: { kind: 'queue', binding: 'CONSUMER_QUEUE' },
  path: '/queue',
};
const SERVICE: Way = {
  name: 'service',
  what: `behind a service binding, ${SIZE} events a call`,
  delivery: { kind: 'service', binding: 'CONSUMER', maxBatch: SIZE },
  path: '/call',
};

const sectionOf = (way: Way): Section => ({ name: way.name, run: (bench) => backlog(bench, way) });

export const queue = sectionOf(QUEUE);
export const service = sectionOf(SERVICE);

async function backlog({ hub, floor, quick, row }: Bench, { name, what, delivery, path }: Way): Promise<void> {
  const count = quick ? 2_000 : 8_000;
  const [topic, subscription] = [`bench.${name}`, `bench-${name}`];
  await hub.makeTopic(topic);
  await hub.subscribeWith(subscription, topic, delivery, IN_FLIGHT);
  const order: ConsumerOrder = { event: handed(subscription, topic), count, size: SIZE };
  const pair = await alternate(
    quick ? 2 : 4,
    async () => {
      await hub.pause(subscription);
      await hub.load(topic, count);
      const rate = await rateOf(hub.running.consumerPort, count, () => hub.resume(subscription));
      await hub.drained(subscription);
      return rate;
    },
    async () => {
      const connection = await Connection.open(floor.port);
      const ordered = async () => {
        succeeded(await connection.send(encode('POST', path, {}, JSON.stringify(order))));
      };
      const rate = await rateOf(floor.consumerPort, count, ordered);
      connection.close();
      return rate;
    },
  );
  await hub.unsubscribe(subscription);
  row({
    group: GROUP,
    what,
    value: perSecond(pair.ours, 'events'),
    floor: perSecond(pair.floor, 'events'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(GOAL)}`,
    met: pair.ratio >= GOAL,
  });
}

/** Events a second, from the beginning of `start` until so many have come. */
async function rateOf(consumerPort: number, count: number, start: () => Promise<void>): Promise<number> {
  const consumer = await Connection.open(consumerPort);
  const begun = performance.now();
  const started = start();
  succeeded(await consumer.send(encode('POST', '/arrived', {}, String(count))));
  const seconds = (performance.now() - begun) / 1000;
  await started;
  consumer.close();
  return count / seconds;
}

/** What a consumer is given of an event. */
function handed(subscription: string, topic: string): object {
  const about = { v: 1, subscription, topic, sequence: 1, attempt: 1, replay: null, redriven: false };
  return { ...about, event: JSON.parse(event(true)) };
}
