import { Connection, encode } from '../client.ts';
import type { OnceCounts } from '../consumer-worker.ts';
import { succeeded } from '../measure.ts';
import type { Bench, Section } from './section.ts';

/** What effects that happen exactly once cost of D1: batches, each of which is one call and one transaction. */

const GROUP = 'Effects exactly once, in D1';
const SIZE = 50;

export const once: Section = {
  name: 'once',
  async run({ hub, row }: Bench) {
    const connection = await Connection.open(hub.running.consumerPort);
    for (const [size, what, unit] of [
      [1, 'once, event by event', 'event'],
      [SIZE, `onceBatch, ${SIZE} events at a time`, 'batch of events'],
    ] as const) {
      const answer = succeeded(await connection.send(encode('POST', '/once', {}, String(size))));
      const { events, batches }: OnceCounts = JSON.parse(answer.body);
      const each = batches / (events / size);
      row({
        group: GROUP,
        what,
        value: `${each.toFixed(2)} D1 batches per ${unit}`,
        goal: `1 per ${unit}`,
        met: each === 1,
      });
    }
    connection.close();
  },
};
