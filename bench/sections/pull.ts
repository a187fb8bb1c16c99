import { type Connection, encode, openAll } from '../client.ts';
import { batch, event } from '../events.ts';
import { alternate, percentile, sendAll, succeeded } from '../measure.ts';
import { ADMIN_KEY } from '../runtime.ts';
import { milliseconds, percent, perSecond } from '../table.ts';
import type { Bench, Section } from './section.ts';

/** Workers that pull and acknowledge, against a long poll that only stores what it hands out and what is done. */

const GROUP = 'Pull';
const TOPIC = 'bench.pull';
const NAME = 'bench-pull';
const WORKERS = 8;
const MAX = 100;
const GOAL = 0.6;
const HEADERS = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
const TAKE = encode('POST', '/polled/take', {}, String(MAX));
const PULL = post('pull', { max: MAX, wait: '20s' });

function post(action: string, body: object): Buffer {
  return encode('POST', `/v1/subscriptions/${NAME}/${action}`, HEADERS, JSON.stringify(body));
}

export const pull: Section = {
  name: 'pull',
  async run(bench) {
    const { hub, floor } = bench;
    await hub.makeTopic(TOPIC);
    await hub.call('PUT', `/v1/subscriptions/${NAME}`, { topics: [TOPIC], delivery: { kind: 'pull' } });
    const [ours, theirs] = await Promise.all([openAll(hub.running.port, WORKERS), openAll(floor.port, WORKERS)]);
    await backlog(bench, ours, theirs);
    await wakes(bench, ours, theirs);
    for (const connection of [...ours, ...theirs]) connection.close();
    await hub.unsubscribe(NAME);
  },
};

async function backlog({ hub, quick, row }: Bench, ours: Connection[], theirs: Connection[]): Promise<void> {
  const count = quick ? 2_000 : 10_000;
  const pair = await alternate(
    quick ? 2 : 12,
    async () => {
      await hub.load(TOPIC, count);
      return rateOf(count, ours, pullAndAck);
    },
    async () => {
      const many = () => encode('POST', '/polled/many', {}, batch(MAX, true));
      await sendAll(theirs, Math.ceil(count / MAX), many);
      return rateOf(count, theirs, takeAndTell);
    },
  );
  row({
    group: GROUP,
    what: `backlog, ${WORKERS} workers, ${MAX} at a time, acknowledged together`,
    value: perSecond(pair.ours, 'events'),
    floor: perSecond(pair.floor, 'events'),
    ratio: percent(pair.ratio),
    goal: `≥ ${percent(GOAL)}`,
    met: pair.ratio >= GOAL,
  });
}

/** Events a second that the workers get until they have so many; none asks for more than are left. */
async function rateOf(
  count: number,
  connections: Connection[],
  work: (connection: Connection) => Promise<number>,
): Promise<number> {
  let asked = 0;
  let done = 0;
  const begun = performance.now();
  await Promise.all(
    connections.map(async (connection) => {
      while (asked < count) {
        asked += MAX;
        const got = await work(connection);
        done += got;
        asked += got - MAX;
      }
    }),
  );
  if (done < count) throw new Error(`${done} of ${count} events came.`);
  return done / ((performance.now() - begun) / 1000);
}

async function pullAndAck(connection: Connection): Promise<number> {
  const { body } = succeeded(await connection.send(PULL));
  const { deliveries }: { deliveries: { ackId: string }[] } = JSON.parse(body);
  const ackIds = deliveries.map(({ ackId }) => ackId);
  if (ackIds.length > 0) succeeded(await connection.send(post('ack', { ackIds })));
  return ackIds.length;
}

async function takeAndTell(connection: Connection): Promise<number> {
  const taken: { ackId: string }[] = JSON.parse(succeeded(await connection.send(TAKE)).body);
  const ackIds = taken.map(({ ackId }) => ackId);
  succeeded(await connection.send(encode('POST', '/polled/done', {}, JSON.stringify(ackIds))));
  return ackIds.length;
}

/** From a publish to the answer of who waits for it, one at a time. */
async function wakes({ hub, quick, row }: Bench, ours: Connection[], theirs: Connection[]): Promise<void> {
  const count = quick ? 20 : 200;
  const [waiting, floorWaiting, floorPublishing] = [ours[0], theirs[0], theirs[1]];
  if (!waiting || !floorWaiting || !floorPublishing) throw new Error('There are too few connections.');
  const taken = { ours: [] as number[], floor: [] as number[] };
  for (let index = 0; index < count; index += 1) {
    const answer = waiting.send(PULL);
    let sentAt = performance.now();
    await hub.publishOne(TOPIC);
    const { body } = succeeded(await answer);
    taken.ours.push(performance.now() - sentAt);
    const { deliveries }: { deliveries: { ackId: string }[] } = JSON.parse(body);
    succeeded(await waiting.send(post('ack', { ackIds: deliveries.map(({ ackId }) => ackId) })));

    const floorAnswer = floorWaiting.send(TAKE);
    sentAt = performance.now();
    succeeded(await floorPublishing.send(encode('POST', '/polled/one', {}, event(true))));
    const { body: handedOut } = succeeded(await floorAnswer);
    taken.floor.push(performance.now() - sentAt);
    const handed: { ackId: string }[] = JSON.parse(handedOut);
    const done = JSON.stringify(handed.map(({ ackId }) => ackId));
    succeeded(await floorWaiting.send(encode('POST', '/polled/done', {}, done)));
  }
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    row({
      group: GROUP,
      what: `publish → answer of a long poll, ${name}`,
      value: milliseconds(percentile(taken.ours, share)),
      floor: milliseconds(percentile(taken.floor, share)),
    });
  }
}
