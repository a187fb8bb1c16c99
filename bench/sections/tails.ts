import { encode, openAll } from '../client.ts';
import { batch } from '../events.ts';
import { alternate, percentile, sendAll, sleep, until } from '../measure.ts';
import { ADMIN_KEY } from '../runtime.ts';
import { Stream } from '../stream.ts';
import { milliseconds, percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** Those who read a topic live, against one object that sends what it is given to all its WebSockets. */

const GROUP = 'Tails';
const TOPIC = 'bench.tails';
const READERS = 50;
const BATCH = 20;
const CONNECTIONS = 4;
const GOAL = 0.6;
const LATENCY_GOAL_MS = 10;
/** Between two lone events. */
const PAUSE_MS = 25;

export const tails: Section = {
  name: 'tails',
  async run(bench) {
    await bench.hub.makeTopic(TOPIC);
    await latency(bench);
    await broadcast(bench);
  },
};

function tail({ hub }: Bench): Promise<Stream> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, accept: 'text/event-stream' };
  return Stream.open(hub.running.port, `/v1/topics/${TOPIC}/events?from=latest`, headers);
}

async function latency(bench: Bench): Promise<void> {
  const { hub, quick, row } = bench;
  const stream = await tail(bench);
  const taken: number[] = [];
  for (let index = 0; index < (quick ? 40 : 200); index += 1) {
    const arrived = new Promise<number>((resolve) => {
      stream.onEvent = () => resolve(performance.now());
    });
    const sentAt = performance.now();
    await hub.publishOne(TOPIC);
    taken.push((await arrived) - sentAt);
    await sleep(PAUSE_MS);
  }
  stream.close();
  const p50 = percentile(taken, 0.5);
  row({
    group: GROUP,
    what: 'publish → SSE frame, one event at a time, p50',
    value: milliseconds(p50),
    goal: `< ${milliseconds(LATENCY_GOAL_MS)}`,
    met: p50 < LATENCY_GOAL_MS,
  });
  row({ group: GROUP, what: '… p99', value: milliseconds(percentile(taken, 0.99)) });
}

async function broadcast(bench: Bench): Promise<void> {
  const { hub, floor, quick, row } = bench;
  const count = quick ? 400 : 2_000;
  const ours = await Promise.all(Array.from({ length: READERS }, () => tail(bench)));
  const theirs = await Promise.all(
    Array.from({ length: READERS }, () => Stream.openSocket(floor.port, '/broadcast/join')),
  );
  const connections = await openAll(floor.port, CONNECTIONS);
  const send = () => encode('POST', '/broadcast/send', { 'content-type': 'application/json' }, batch(BATCH, true));
  const pair = await alternate(
    quick ? 2 : 4,
    () => rateOf(ours, count, () => hub.load(TOPIC, count, BATCH)),
    () => rateOf(theirs, count, () => sendAll(connections, count / BATCH, send)),
  );
  for (const each of [...ours, ...theirs, ...connections]) each.close();
  row({
    group: GROUP,
    what: `${READERS} readers of one topic, published ${BATCH} at a time over ${CONNECTIONS} connections`,
    value: perSecond(pair.ours, 'events to readers'),
    floor: perSecond(pair.floor, 'events to readers'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(GOAL)}`,
    met: pair.ratio >= GOAL,
  });
}

/** Events that all readers got together a second, while `count` are published. */
async function rateOf(readers: Stream[], count: number, publish: () => Promise<void>): Promise<number> {
  const total = () => readers.reduce((sum, reader) => sum + reader.count, 0);
  const wanted = total() + count * readers.length;
  const begun = performance.now();
  await publish();
  await until('all readers have everything', async () => total() >= wanted);
  return (count * readers.length) / ((performance.now() - begun) / 1000);
}
