import { counted, QUIET_MS } from '../counted.ts';
import { type Counts, inWords } from '../counts.ts';
import { Hub, type SubscribeOptions, single } from '../hub.ts';
import { openLoop, sleep } from '../measure.ts';
import { Receiver } from '../receiver.ts';
import type { Bench, Section } from './section.ts';

/** What one event to many subscriptions is billed, seldom and often; and what it costs to those whom it does not concern. */

const GROUP = 'Billed for an event to many subscriptions';
/**
 * What is asked for has to be less than the machine can do, or it is a backlog that is measured: two cores make some two
 * thousand webhooks a second, and the local queue, which hands out one message at a time, a hundred messages a second at its
 * slowest. So there are fewer than a hundred subscriptions.
 */
const FAN_OUTS: FanOut[] = [
  { subscriptions: 50, perSecond: 1, seconds: 10, goal: 4 },
  { subscriptions: 5, perSecond: 100, seconds: 20, goal: 0.2 },
];
const OPTIONS: SubscribeOptions = { timeout: '5s', maxInFlight: 512 };
const CONNECTIONS = 32;
const PARKED = 1000;
const CONCERNED = 3;

interface FanOut {
  subscriptions: number;
  perSecond: number;
  seconds: number;
  /** Object requests for each subscription and event, beside the one that publishes it. */
  goal: number;
}

export const fanOutCost: Section = {
  name: 'fan-out-cost',
  async run({ quick, row }) {
    const hub = await Hub.start('bench/worker-counted.ts');
    const receiver = await Receiver.open();
    try {
      for (const fanOut of FAN_OUTS) await toMany(hub, receiver, fanOut, quick, row);
      await toThreeOfAThousand(hub, receiver, quick, row);
    } finally {
      receiver.close();
      await hub.stop();
    }
  },
};

async function toMany(hub: Hub, receiver: Receiver, fanOut: FanOut, quick: boolean, row: Bench['row']): Promise<void> {
  const { subscriptions, perSecond, seconds, goal } = fanOut;
  const topic = `bench.cost-${perSecond}`;
  await hub.makeTopic(topic);
  const names = await subscribeAll(topic, subscriptions, (name) => hub.subscribe(name, topic, receiver.url, OPTIONS));
  const events = Math.ceil((perSecond * seconds) / (quick ? 5 : 1));
  receiver.reset();
  const counts = await counted(hub, events * subscriptions, async () => {
    await openLoop(await hub.connections(CONNECTIONS), events, perSecond, () => single(topic, true));
    await receiver.arrived(events * subscriptions);
  });
  for (const name of names) await hub.drained(name);
  for (const name of names) await hub.unsubscribe(name);
  const requests = objectRequests(counts) - 1 / subscriptions;
  row({
    group: GROUP,
    what: `${subscriptions} subscriptions, ${perSecond} event${perSecond === 1 ? '' : 's'} a second, for each subscription and event beside its publish`,
    value: `${requests.toFixed(2)} object requests`,
    floor: inWords(counts),
    goal: `< ${goal}`,
    met: requests < goal,
  });
}

async function toThreeOfAThousand(hub: Hub, receiver: Receiver, quick: boolean, row: Bench['row']): Promise<void> {
  const topic = 'bench.cost-parked';
  const subscribe = (types: string[]) => (name: string) =>
    hub.subscribe(name, topic, receiver.url, { ...OPTIONS, types });
  await hub.makeTopic(topic);
  await subscribeAll(topic, quick ? PARKED / 10 : PARKED, subscribe(['other.*']));
  await subscribeAll(`${topic}.concerned`, CONCERNED, subscribe(['order.*']));
  const events = 10;
  await sleep(QUIET_MS);
  const counts = await counted(hub, events, async () => {
    for (let index = 0; index < events; index += 1) {
      receiver.reset();
      await hub.publishOne(topic);
      await receiver.arrived(CONCERNED);
      await sleep(QUIET_MS); // until they are parked again
    }
  });
  row({
    group: GROUP,
    what: `${quick ? PARKED / 10 : PARKED} parked subscriptions of which ${CONCERNED} match, for each event`,
    value: `${counts.wakes.toFixed(2)} wakes`,
    floor: inWords(counts),
    goal: `≤ ${CONCERNED}`,
    met: counts.wakes <= CONCERNED,
  });
}

/** So many subscriptions, made one after the other; their names. */
async function subscribeAll(prefix: string, count: number, make: (name: string) => Promise<void>): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}.${index}`);
  for (const name of names) await make(name);
  return names;
}

function objectRequests({ topicLog, subscription }: Counts): number {
  return topicLog.requests + subscription.requests;
}
