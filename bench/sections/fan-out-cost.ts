import { counted, QUIET_MS } from '../counted.ts';
import { type Counts, inWords } from '../counts.ts';
import { Hub, single } from '../hub.ts';
import { openLoop, sleep } from '../measure.ts';
import { Receiver } from '../receiver.ts';
import type { Bench, Section } from './section.ts';

/** What one event to a hundred subscriptions is billed, seldom and often; and what it costs to those whom it does not concern. */

const GROUP = 'Billed for an event to many subscriptions';
const SUBSCRIPTIONS = 100;
const SELDOM = { perSecond: 1, goal: 4 };
const OFTEN = { perSecond: 100, goal: 0.2 };
const CONNECTIONS = 32;
const PARKED = 1000;
const CONCERNED = 3;

export const fanOutCost: Section = {
  name: 'fan-out-cost',
  async run({ quick, row }) {
    const hub = await Hub.start('bench/worker-counted.ts');
    const receiver = await Receiver.open();
    try {
      await toAHundred(hub, receiver, quick, row);
      await toThreeOfAThousand(hub, receiver, quick, row);
    } finally {
      receiver.close();
      await hub.stop();
    }
  },
};

async function toAHundred(hub: Hub, receiver: Receiver, quick: boolean, row: Bench['row']): Promise<void> {
  const topic = 'bench.cost-hundred';
  const subscriptions = quick ? SUBSCRIPTIONS / 10 : SUBSCRIPTIONS;
  const names = await subscribeAll(hub, receiver, topic, subscriptions, []);
  for (const { perSecond, goal } of [SELDOM, OFTEN]) {
    const seconds = perSecond === SELDOM.perSecond ? (quick ? 3 : 10) : quick ? 1 : 10;
    const events = perSecond * seconds;
    receiver.reset();
    const counts = await counted(hub, events * subscriptions, async () => {
      await openLoop(await hub.connections(CONNECTIONS), events, perSecond, () => single(topic, true));
      await receiver.arrived(events * subscriptions);
      for (const name of names) await hub.drained(name);
    });
    const requests = objectRequests(counts);
    row({
      group: GROUP,
      what: `${subscriptions} subscriptions, ${perSecond} event${perSecond === 1 ? '' : 's'} a second, for each subscription and event`,
      value: `${requests.toFixed(2)} object requests`,
      floor: inWords(counts),
      goal: `< ${goal}`,
      met: requests < goal,
    });
  }
  for (const name of names) await hub.unsubscribe(name);
}

async function toThreeOfAThousand(hub: Hub, receiver: Receiver, quick: boolean, row: Bench['row']): Promise<void> {
  const topic = 'bench.cost-parked';
  await subscribeAll(hub, receiver, topic, quick ? PARKED / 10 : PARKED, ['other.*']);
  await subscribeAll(hub, receiver, `${topic}.concerned`, CONCERNED, ['order.*'], topic);
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

async function subscribeAll(
  hub: Hub,
  receiver: Receiver,
  prefix: string,
  count: number,
  types: string[],
  topic = prefix,
): Promise<string[]> {
  await hub.makeTopic(topic);
  const names = Array.from({ length: count }, (_, index) => `${prefix}.${index}`);
  for (const name of names) await hub.subscribe(name, topic, receiver.url, { timeout: '5s', maxInFlight: 512, types });
  return names;
}

function objectRequests({ topicLog, subscription }: Counts): number {
  return topicLog.requests + subscription.requests;
}
