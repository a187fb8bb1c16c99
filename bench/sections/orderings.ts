import { Connection, encode } from '../client.ts';
import type { Ordering, SubscribeOptions } from '../hub.ts';
import { alternate, succeeded } from '../measure.ts';
import { Receiver } from '../receiver.ts';
import { percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';
import { drainRate, floorRate, orderOf } from './webhooks.ts';

/** A backlog on its way to one receiver, and a burst to a hundred, in each order that a subscription can ask for. */

const GROUP = 'Webhooks by ordering, 100 keys';
const KEYS = 100;
const RECEIVERS = 100;
const BATCH = 100;
/** One round differs from the next by a tenth, on a machine whose speed is not its own. */
const ROUNDS = 8;
const OPTIONS: SubscribeOptions = { timeout: '5s', maxInFlight: 512 };
/** Strictly one after the other there is less to wait for. */
const SHARE: Record<Ordering, number> = { none: 1, key: 1, topic: 0.2 };
const GOALS: Partial<Record<Ordering, number>> = { none: 0.7, key: 0.5 };

export const orderings: Section = {
  name: 'orderings',
  async run(bench) {
    for (const ordering of ['none', 'key', 'topic'] as const) {
      await toOne(bench, ordering);
      await toMany(bench, ordering);
    }
  },
};

async function toOne(bench: Bench, ordering: Ordering): Promise<void> {
  const { hub, floor, receiver, quick } = bench;
  const name = `bench.ordered-${ordering}`;
  const count = BATCH * Math.round(((quick ? 2000 : 6000) * SHARE[ordering]) / BATCH);
  await hub.makeTopic(name);
  await hub.subscribe(name, name, receiver.url, { ...OPTIONS, ordering });
  const pair = await alternate(
    quick ? 2 : ROUNDS,
    () => drainRate(hub, receiver, name, name, count, KEYS),
    () => floorRate(floor.port, receiver, count),
  );
  await hub.unsubscribe(name);
  report(bench, ordering, `to one receiver, ordering ${ordering}`, pair);
}

/** A subscription and a receiver each, all of the same topic, and a burst of events; the rate is of all together. */
async function toMany(bench: Bench, ordering: Ordering): Promise<void> {
  const { hub, floor, quick } = bench;
  const topic = `bench.ordered-many-${ordering}`;
  const perReceiver = Math.round((quick ? 20 : 60) * SHARE[ordering]);
  const receivers = await Promise.all(Array.from({ length: RECEIVERS }, () => Receiver.open()));
  const names = receivers.map((_, index) => `${topic}.${index}`);
  await hub.makeTopic(topic);
  for (const [index, { url }] of receivers.entries()) {
    await hub.subscribe(names[index] ?? '', topic, url, { ...OPTIONS, ordering });
  }
  const drain = async () => {
    for (const receiver of receivers) receiver.reset();
    await hub.load(topic, perReceiver, perReceiver, true, KEYS);
    await allArrived(receivers, perReceiver);
    const rate = together(receivers);
    for (const name of names) await hub.drained(name);
    return rate;
  };
  const leastOf = async () => {
    const connection = await Connection.open(floor.port);
    const orders = receivers.map((receiver) => orderOf(receiver, perReceiver));
    for (const receiver of receivers) receiver.reset();
    for (const order of orders) {
      succeeded(await connection.send(encode('POST', '/enqueue', {}, JSON.stringify(order))));
    }
    await allArrived(receivers, perReceiver);
    connection.close();
    return together(receivers);
  };
  const pair = await alternate(quick ? 1 : 3, drain, leastOf);
  for (const name of names) await hub.unsubscribe(name);
  for (const receiver of receivers) receiver.close();
  report(bench, ordering, `to ${RECEIVERS} receivers, ordering ${ordering}`, pair);
}

async function allArrived(receivers: Receiver[], count: number): Promise<void> {
  for (const receiver of receivers) await receiver.arrived(count);
}

/** Requests a second from the first that any of them got to the last. */
function together(receivers: Receiver[]): number {
  const count = receivers.reduce((sum, receiver) => sum + receiver.count, 0);
  const first = Math.min(...receivers.map(({ firstAt }) => firstAt));
  const last = Math.max(...receivers.map(({ lastAt }) => lastAt));
  return (count - 1) / ((last - first) / 1000);
}

function report(
  { row }: Bench,
  ordering: Ordering,
  what: string,
  pair: { ours: number; floor: number; ratio: number },
): void {
  const goal = GOALS[ordering];
  row({
    group: GROUP,
    what,
    value: perSecond(pair.ours, 'webhooks'),
    floor: perSecond(pair.floor, 'webhooks'),
    ratio: percent(pair.ratio),
    ...(goal === undefined ? {} : { goal: `≥ ${percent(goal)}`, met: pair.ratio >= goal }),
  });
}
