import { Connection, encode } from '../client.ts';
import { batch, event } from '../events.ts';
import type { ConsumerOrder } from '../floor-worker.ts';
import { alternate, sendAll, succeeded } from '../measure.ts';
import { percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** A backlog on its way to a consumer Worker that only counts, against what only calls it, or only feeds its queue. */

const GROUP = 'A backlog to a consumer Worker';
const GOAL = 0.6;
/** Events in one call. */
const SIZE = 50;
/** As many as may be. */
const IN_FLIGHT = 1_000;
const STORED_AT_ONCE = 100;

interface Way {
  name: 'queue' | 'service';
  delivery: object;
}

interface Floor {
  what: string;
  /** Where it does the same. */
  path: string;
  /** Where what it is to take is stored before; null: it makes its events up. */
  store: string | null;
  goal: number | null;
}

const QUEUE: Way = { name: 'queue', delivery: { kind: 'queue', binding: 'CONSUMER_QUEUE' } };
const SERVICE: Way = { name: 'service', delivery: { kind: 'service', binding: 'CONSUMER', maxBatch: SIZE } };

export const queue: Section = {
  name: 'queue',
  run: (bench) =>
    backlog(bench, QUEUE, {
      what: `behind a queue of its own, ${SIZE} messages a call`,
      path: '/queue',
      store: null,
      goal: GOAL,
    }),
};

export const service: Section = {
  name: 'service',
  async run(bench) {
    const what = `behind a service binding, ${SIZE} events a call`;
    await backlog(bench, SERVICE, { what, path: '/enqueue-calls', store: null, goal: GOAL });
    const stored = '… of calls from a store that keeps what is not done';
    await backlog(bench, SERVICE, { what: stored, path: '/called/call', store: '/called/many', goal: null });
    const untold = '… of bare calls, which keep neither what is to be delivered nor what was';
    await backlog(bench, SERVICE, { what: untold, path: '/call', store: null, goal: null });
  },
};

async function backlog(bench: Bench, { name, delivery }: Way, { what, path, store, goal }: Floor): Promise<void> {
  const { hub, floor, quick, row } = bench;
  const count = quick ? 2_000 : 8_000;
  const [topic, subscription] = [`bench.${name}`, `bench-${name}`];
  await hub.makeTopic(topic);
  await hub.subscribeWith(subscription, topic, delivery, IN_FLIGHT);
  const order: ConsumerOrder = { event: handed(subscription, topic), count, size: SIZE };
  const pair = await alternate(
    quick ? 2 : 8,
    async () => {
      await hub.pause(subscription);
      await hub.load(topic, count);
      const rate = await rateOf(hub.running.consumerPort, count, () => hub.resume(subscription));
      await hub.drained(subscription);
      return rate;
    },
    async () => {
      const connection = await Connection.open(floor.port);
      const stored = () => encode('POST', store ?? '', {}, batch(STORED_AT_ONCE, true));
      if (store !== null) await sendAll([connection], count / STORED_AT_ONCE, stored);
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
    ...(goal !== null && { goal: `≥ ${percent(goal)}`, met: pair.ratio >= goal }),
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
