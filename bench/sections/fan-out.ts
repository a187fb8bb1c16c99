import { alternate, percentile, sleep } from '../measure.ts';
import { milliseconds, perSecond, times } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** What a hundred subscriptions to one topic change for its producers, and for those who wait for its events. */

const GROUP = 'From 1 to 100 subscriptions of the topic';
const SUBSCRIPTIONS = 100;
const CONNECTIONS = 32;
const PAUSE_MS = 25;

export const fanOut: Section = {
  name: 'fan-out',
  async run(bench) {
    const { hub, receiver } = bench;
    for (const [topic, count, types] of TOPICS) {
      await hub.makeTopic(topic);
      for (let index = 0; index < count; index += 1) {
        const options = { timeout: '5s', maxInFlight: 512, types: [...types] };
        await hub.subscribe(`${topic}.${index}`, topic, receiver.url, options);
      }
    }
    await uninterested(bench);
    await waking(bench);
    await backlog(bench);
    for (const [topic, count] of TOPICS) {
      for (let index = 0; index < count; index += 1) await hub.unsubscribe(`${topic}.${index}`);
    }
  },
};

const ONE = 'bench.fan-1';
const HUNDRED = 'bench.fan-100';
const OTHERS_ONE = 'bench.others-1';
const OTHERS_HUNDRED = 'bench.others-100';
const TOPICS: [topic: string, subscriptions: number, types: string[]][] = [
  [ONE, 1, []],
  [HUNDRED, SUBSCRIPTIONS, []],
  [OTHERS_ONE, 1, ['other.*']],
  [OTHERS_HUNDRED, SUBSCRIPTIONS, ['other.*']],
];

async function uninterested({ hub, quick, row }: Bench): Promise<void> {
  const seconds = quick ? 0.7 : 1.5;
  const publish = (topic: string) => async () => (await hub.publishSingles(topic, CONNECTIONS, seconds)).rate;
  const pair = await alternate(quick ? 2 : 4, publish(OTHERS_HUNDRED), publish(OTHERS_ONE));
  row({
    group: GROUP,
    what: 'publish at 32 connections, their filters match nothing',
    value: perSecond(pair.ours, 'requests'),
    floor: `1: ${perSecond(pair.floor, 'requests')}`,
    ratio: `${times(1 / pair.ratio)} slower`,
  });
}

/** A lone event that all of them wait for. */
async function waking({ hub, receiver, quick, row }: Bench): Promise<void> {
  const answered = new Map<string, number[]>();
  const received = new Map<string, number[]>();
  for (const [topic, count] of TOPICS.slice(0, 2)) {
    const toAnswer: number[] = [];
    const toLast: number[] = [];
    for (let index = 0; index < (quick ? 10 : 30); index += 1) {
      receiver.reset();
      const sentAt = performance.now();
      await hub.publishOne(topic);
      toAnswer.push(performance.now() - sentAt);
      await receiver.arrived(count);
      toLast.push(receiver.lastAt - sentAt);
      await sleep(PAUSE_MS * 4);
    }
    answered.set(topic, toAnswer);
    received.set(topic, toLast);
  }
  const p50 = (taken: Map<string, number[]>, topic: string) => percentile(taken.get(topic) ?? [], 0.5);
  row({
    group: GROUP,
    what: 'one event at a time, request to answer, p50',
    value: milliseconds(p50(answered, HUNDRED)),
    floor: `1: ${milliseconds(p50(answered, ONE))}`,
  });
  row({
    group: GROUP,
    what: 'one event at a time, publish to the last of 100 webhooks, p50',
    value: milliseconds(p50(received, HUNDRED)),
    floor: `1: ${milliseconds(p50(received, ONE))}`,
  });
}

/** Webhooks in all, of a burst of events. */
async function backlog({ hub, receiver, quick, row }: Bench): Promise<void> {
  const webhooks = quick ? 2000 : 8000;
  const drain = (topic: string, subscriptions: number) => async () => {
    receiver.reset();
    const events = webhooks / subscriptions;
    await hub.load(topic, events, Math.min(events, 100));
    await receiver.arrived(webhooks);
    const { rate } = receiver;
    for (let index = 0; index < subscriptions; index += 1) await hub.drained(`${topic}.${index}`);
    return rate;
  };
  const pair = await alternate(quick ? 2 : 3, drain(HUNDRED, SUBSCRIPTIONS), drain(ONE, 1));
  row({
    group: GROUP,
    what: 'webhooks of a burst, all subscriptions together',
    value: perSecond(pair.ours, 'webhooks'),
    floor: `1: ${perSecond(pair.floor, 'webhooks')}`,
    ratio: `${times(1 / pair.ratio)} slower`,
  });
}
