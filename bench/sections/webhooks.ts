import { Connection, encode } from '../client.ts';
import { SUBJECTS } from '../events.ts';
import type { FloorOrder } from '../floor-worker.ts';
import type { Hub } from '../hub.ts';
import { alternate, median, succeeded } from '../measure.ts';
import type { Receiver } from '../receiver.ts';
import { percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** A backlog on its way to one fast receiver, against a queue consumer that only POSTs the same bytes. */

const GROUP = 'Webhooks to one fast receiver';
const TOPIC = 'bench.webhooks';
/** Has no subscriber. */
const QUIET_TOPIC = 'bench.webhooks-quiet';
const CONNECTIONS = 32;
const GOAL = 0.5;
/** Headers that the platform sets by itself. */
const OWN_HEADERS = new Set(['host', 'content-length', 'connection', 'cf-worker']);

export const webhooks: Section = {
  name: 'webhooks',
  async run(bench) {
    await bench.hub.makeTopic(TOPIC);
    await bench.hub.makeTopic(QUIET_TOPIC);
    await backlog(bench, 'bench-webhooks', 'timeout 5s, maxInFlight 512', { timeout: '5s', maxInFlight: 512 });
    await backlog(bench, 'bench-defaults', 'as the defaults have it', {});
    await replay(bench);
  },
};

async function backlog(
  bench: Bench,
  name: string,
  what: string,
  options: { timeout?: string; maxInFlight?: number },
): Promise<void> {
  const { hub, floor, receiver, quick, row } = bench;
  const count = quick ? 2000 : 6000;
  const rounds = quick ? 2 : 4;
  await hub.subscribe(name, TOPIC, receiver.url, options);
  const drain = () => drainRate(hub, receiver, TOPIC, name, count);
  const pair = await alternate(rounds, drain, () => floorRate(floor.port, receiver, count));
  const publish = async () => (await hub.publishSingles(QUIET_TOPIC, CONNECTIONS, quick ? 0.7 : 2)).rate;
  const published = await alternate(rounds, drain, publish);
  await hub.unsubscribe(name);
  row({
    group: GROUP,
    what: `backlog, ${what}`,
    value: perSecond(pair.ours, 'webhooks'),
    floor: perSecond(pair.floor, 'webhooks'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(GOAL)}`,
    met: pair.ratio >= GOAL,
  });
  row({
    group: GROUP,
    what: `… against single publishes in turn, ${CONNECTIONS} connections`,
    value: perSecond(published.ours, 'webhooks'),
    floor: perSecond(published.floor, 'requests'),
    ratio: percent(published.ratio),
    goal: '≥ 100 %',
    met: published.ratio >= 1,
  });
}

/** Webhooks a second from a backlog of `count` events. */
export async function drainRate(
  hub: Hub,
  receiver: Receiver,
  topic: string,
  name: string,
  count: number,
  subjects = SUBJECTS,
): Promise<number> {
  await hub.pause(name);
  await hub.load(topic, count, 100, true, subjects);
  receiver.reset();
  await hub.resume(name);
  await receiver.arrived(count);
  const { rate } = receiver;
  await hub.drained(name);
  return rate;
}

/** The bytes of the last webhook, sent by the floor's queue consumer. */
export async function floorRate(port: number, receiver: Receiver, count: number): Promise<number> {
  const order = orderOf(receiver, count);
  const connection = await Connection.open(port);
  receiver.reset();
  succeeded(await connection.send(encode('POST', '/enqueue', {}, JSON.stringify(order))));
  await receiver.arrived(count);
  connection.close();
  return receiver.rate;
}

/** `count` requests like the last that the receiver got. */
export function orderOf(receiver: Receiver, count: number): FloorOrder {
  const [head = '', body = ''] = receiver.lastRequest.split('\r\n\r\n');
  const fields = head.split('\r\n').slice(1);
  const headers = fields.map((field): [string, string] => {
    const colon = field.indexOf(':');
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  return {
    url: receiver.url,
    headers: Object.fromEntries(headers.filter(([name]) => !OWN_HEADERS.has(name))),
    body,
    count,
  };
}

async function replay({ hub, receiver, quick, row }: Bench): Promise<void> {
  const count = quick ? 2000 : 6000;
  const topic = 'bench.replay';
  const name = 'bench-replay';
  await hub.makeTopic(topic);
  await hub.load(topic, count);
  await hub.subscribe(name, topic, receiver.url, { timeout: '5s', maxInFlight: 512 });
  const rates: number[] = [];
  for (let round = 0; round < (quick ? 1 : 3); round += 1) {
    receiver.reset();
    const id = await hub.replay(topic, name);
    await receiver.arrived(count);
    rates.push(receiver.rate);
    await hub.replayDone(id);
  }
  await hub.unsubscribe(name);
  row({ group: GROUP, what: 'replay, timeout 5s, maxInFlight 512', value: perSecond(median(rates), 'events') });
}
