import { encode, openAll } from '../client.ts';
import { batch } from '../events.ts';
import { single } from '../hub.ts';
import { alternate, openLoop, percentile, sendAll, sleep, until } from '../measure.ts';
import { ADMIN_KEY } from '../runtime.ts';
import { Stream } from '../stream.ts';
import { milliseconds, percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/**
 * Those who read a topic live over WebSockets, against one object that sends what it is given to all its WebSockets: an event
 * is a frame in both. Server-sent events, of which the hub sends many at once, stand beside them.
 */

const GROUP = 'Tails';
const TOPIC = 'bench.tails';
const READERS = 50;
const BATCH = 20;
const CONNECTIONS = 4;
const CROWD = 1_000;
const CROWD_PER_SECOND = 100;
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
    await crowd(bench);
  },
};

const PATH = `/v1/topics/${TOPIC}/events?from=latest`;
const AUTHORIZATION = { authorization: `Bearer ${ADMIN_KEY}` };
const EVENT_STREAM = { ...AUTHORIZATION, accept: 'text/event-stream' };

function tail({ hub }: Bench): Promise<Stream> {
  return Stream.open(hub.running.port, PATH, EVENT_STREAM);
}

function tailSocket({ hub }: Bench): Promise<Stream> {
  return Stream.openSocket(hub.running.port, PATH, AUTHORIZATION);
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
  const ours = await Promise.all(Array.from({ length: READERS }, () => tailSocket(bench)));
  const theirs = await Promise.all(
    Array.from({ length: READERS }, () => Stream.openSocket(floor.port, '/broadcast/join')),
  );
  const connections = await openAll(floor.port, CONNECTIONS);
  const send = () => encode('POST', '/broadcast/send', { 'content-type': 'application/json' }, batch(BATCH, true));
  const rounds = quick ? 2 : 4;
  const pair = await alternate(
    rounds,
    () => rateOf(ours, count, () => hub.load(TOPIC, count, BATCH)),
    () => rateOf(theirs, count, () => sendAll(connections, count / BATCH, send)),
  );
  for (const each of [...ours, ...theirs, ...connections]) each.close();
  row({
    group: GROUP,
    what: `${READERS} WebSockets that read one topic, published ${BATCH} at a time over ${CONNECTIONS} connections`,
    value: perSecond(pair.ours, 'events to readers'),
    floor: perSecond(pair.floor, 'events to readers'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(GOAL)}`,
    met: pair.ratio >= GOAL,
  });
  const streams = await Promise.all(Array.from({ length: READERS }, () => tail(bench)));
  const rates: number[] = [];
  while (rates.length < rounds) rates.push(await rateOf(streams, count, () => hub.load(TOPIC, count, BATCH)));
  for (const each of streams) each.close();
  row({ group: GROUP, what: '… server-sent events', value: perSecond(percentile(rates, 0.5), 'events to readers') });
}

/** Published one by one at a rate, to as many readers as a topic has on a good day. */
async function crowd({ hub, floor, quick, row }: Bench): Promise<void> {
  const count = quick ? 100 : 500;
  const rateTo = async (port: number, open: () => Promise<Stream>, next: () => Buffer): Promise<number> => {
    const readers: Stream[] = [];
    while (readers.length < CROWD) readers.push(...(await Promise.all(Array.from({ length: READERS }, open))));
    const connections = await openAll(port, CONNECTIONS);
    const rate = await rateOf(readers, count, () => openLoop(connections, count, CROWD_PER_SECOND, next));
    for (const each of [...readers, ...connections]) each.close();
    return rate / CROWD;
  };
  const publish = () => single(TOPIC, true);
  const bare = () => encode('POST', '/broadcast/send', { 'content-type': 'application/json' }, batch(1, true));
  const { port } = hub.running;
  const sse = await rateTo(port, () => Stream.open(port, PATH, EVENT_STREAM), publish);
  const sockets = await rateTo(port, () => Stream.openSocket(port, PATH, AUTHORIZATION), publish);
  const broadcast = await rateTo(floor.port, () => Stream.openSocket(floor.port, '/broadcast/join'), bare);
  const what = `published one by one, ${CROWD_PER_SECOND} a second, to ${CROWD} readers`;
  row({ group: GROUP, what: `${what}: server-sent events`, value: perSecond(sse, 'events to all') });
  row({
    group: GROUP,
    what: '… WebSockets',
    value: perSecond(sockets, 'events to all'),
    floor: perSecond(broadcast, 'events to all'),
    ratio: percent(sockets / broadcast),
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
