import { read } from '../hub.ts';
import { alternate, closedLoop } from '../measure.ts';
import { perSecond, type Row, times } from '../table.ts';
import type { Bench, Section } from './section.ts';
import { drainRate } from './webhooks.ts';

/** Whether a long history slows anything down: the same work on a topic of a thousand events and on one of a million. */

const GROUP = 'From a thousand to a million events in the topic';
const SHORT = { topic: 'bench.short', events: 1000 };
const LONG = { topic: 'bench.long', events: 1_000_000 };
const QUICK_EVENTS = 50_000;
const LOAD_BATCH = 1000;
const CONNECTIONS = 32;
const READ_CONNECTIONS = 8;
const PAGE = 100;
/** How many times slower the long topic may be. */
const GOAL = 1.3;

export const growth: Section = {
  name: 'growth',
  async run(bench) {
    const { hub, quick } = bench;
    const longEvents = quick ? QUICK_EVENTS : LONG.events;
    await hub.makeTopic(SHORT.topic);
    await hub.makeTopic(LONG.topic);
    await hub.load(SHORT.topic, SHORT.events, SHORT.events);
    const begun = performance.now();
    await hub.load(LONG.topic, longEvents, LOAD_BATCH);
    const rate = longEvents / ((performance.now() - begun) / 1000);
    const what = `loading ${longEvents.toLocaleString('en-US')} events in batches of ${LOAD_BATCH}`;
    bench.row({ group: GROUP, what, value: perSecond(rate, 'events') });
    await publishing(bench);
    await reading(bench, longEvents);
    await delivering(bench);
  },
};

async function publishing({ hub, quick, row }: Bench): Promise<void> {
  const seconds = quick ? 0.7 : 1.5;
  // Many: runs are merged and keys written in some of them and not in others.
  const rounds = quick ? 2 : 8;
  const publish = (topic: string) => async () => (await hub.publishSingles(topic, CONNECTIONS, seconds)).rate;
  const pair = await alternate(rounds, publish(LONG.topic), publish(SHORT.topic));
  row(compared('publish, single events, 32 connections', 'requests', pair));
  const batches = (topic: string) => async () => (await hub.publishBatches(topic, PAGE, seconds)).rate * PAGE;
  row(
    compared('publish, batches of 100', 'events', await alternate(rounds, batches(LONG.topic), batches(SHORT.topic))),
  );
}

/** Pages from anywhere in the topic, so that each is another place of the table. */
async function reading({ hub, quick, row }: Bench, longEvents: number): Promise<void> {
  const seconds = quick ? 0.5 : 1.5;
  const connections = await hub.connections(READ_CONNECTIONS);
  const pages = (topic: string, events: number) => async () => {
    const anywhere = () => read(topic, 1 + Math.floor(Math.random() * (events - PAGE)), PAGE);
    return (await closedLoop(connections, seconds, anywhere)).rate;
  };
  const rounds = quick ? 2 : 4;
  const pair = await alternate(rounds, pages(LONG.topic, longEvents), pages(SHORT.topic, SHORT.events));
  row(compared(`read, pages of ${PAGE} from anywhere, ${READ_CONNECTIONS} connections`, 'pages', pair));
}

async function delivering({ hub, receiver, quick, row }: Bench): Promise<void> {
  const count = quick ? 1000 : 4000;
  const options = { timeout: '5s', maxInFlight: 512 };
  await hub.subscribe('bench-long', LONG.topic, receiver.url, options);
  await hub.subscribe('bench-short', SHORT.topic, receiver.url, options);
  const pair = await alternate(
    quick ? 2 : 4,
    () => drainRate(hub, receiver, LONG.topic, 'bench-long', count),
    () => drainRate(hub, receiver, SHORT.topic, 'bench-short', count),
  );
  await hub.unsubscribe('bench-long');
  await hub.unsubscribe('bench-short');
  row(compared('deliver, a backlog', 'webhooks', pair));
}

/** `ours` is the long topic's rate, `floor` the short one's. */
function compared(what: string, unit: string, pair: { ours: number; floor: number; ratio: number }): Row {
  const slowdown = 1 / pair.ratio;
  return {
    group: GROUP,
    what,
    value: perSecond(pair.ours, unit),
    floor: `short: ${perSecond(pair.floor, unit)}`,
    ratio: `${times(slowdown)} slower`,
    goal: `≤ ${GOAL} ×`,
    met: slowdown <= GOAL,
  };
}
