import { parseArgs } from 'node:util';
import { Hub, type Ordering } from '../hub.ts';
import { alternate } from '../measure.ts';
import { Receiver } from '../receiver.ts';
import { drainRate } from '../sections/webhooks.ts';
import { circumstances, percent, perSecond, type Row, table } from '../table.ts';
import { missing, Peer } from './peer.ts';

/**
 * npm run bench:peers [-- --quick]: a backlog of webhooks to one receiver, by the hub and by Hono + BullMQ + Redis, in turns
 * on the same machine. A bench of its own, because it needs what the hub does not.
 */

const KEYS = 100;
/** Requests under way at a time. A lease is sent six at a time, and some ten leases are. */
const CONCURRENCY = 64;

async function main(quick: boolean): Promise<void> {
  const count = quick ? 2000 : 6000;
  const receiver = await Receiver.open();
  const peer = await Peer.start(receiver, CONCURRENCY);
  const hub = await Hub.start('src/worker.ts');
  const rows: Row[] = [];
  try {
    for (const ordering of ['none', 'key'] satisfies Ordering[]) {
      const name = `bench.peers-${ordering}`;
      await hub.makeTopic(name);
      await hub.subscribe(name, name, receiver.url, { timeout: '5s', maxInFlight: 512, ordering });
      const pair = await alternate(
        quick ? 2 : 5,
        () => drainRate(hub, receiver, name, name, count, KEYS),
        () => peer.drainRate(receiver, count),
      );
      await hub.unsubscribe(name);
      rows.push({
        group: 'Webhooks to one fast receiver, against Hono + BullMQ + Redis',
        what: `backlog, ordering ${ordering}${ordering === 'key' ? `, ${KEYS} keys (the peer has no order)` : ''}`,
        value: perSecond(pair.ours, 'webhooks'),
        floor: `peer: ${perSecond(pair.floor, 'webhooks')}`,
        ratio: percent(pair.ratio),
        goal: '> 100 %',
        met: pair.ratio > 1,
      });
    }
  } finally {
    peer.stop();
    receiver.close();
    await hub.stop();
    if (rows.length > 0) process.stdout.write(`${circumstances(quick)}\n\n${table(rows)}\n`);
  }
}

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const lacking = missing();
if (lacking === null) {
  await main(values.quick === true);
} else {
  console.error(lacking);
  process.exitCode = 1;
}
