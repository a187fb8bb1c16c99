import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../../scripts/hub/eventually.ts';
import { Receiver } from '../../../scripts/hub/receiver.ts';
import { sized } from '../../support/full-size.ts';
import { WorkersBench } from '../workers/support.ts';

/**
 * Hub and consumers die by kill -9 at random moments, all at once, while events are on their way in every kind of delivery;
 * come back on the same state; and have to answer for each event that was acknowledged.
 */

const EVENTS = sized({ full: 5_000, usual: 800 });
const KILLS = sized({ full: 6, usual: 2 });
const AT_ONCE = 50;
/** Once something has come in every kind, the kill comes within this. */
const KILL_WITHIN_MS = 1_000;
const SETTLED_WITHIN_MS = sized({ full: 600_000, usual: 120_000 });
const TIMEOUT_MS = SETTLED_WITHIN_MS + 300_000;

/** What is pulled at a time, and how long that takes: no faster than what is sent. */
const PULLED_AT_ONCE = 5;
const PULLED_TAKES_MS = 100;

const TOPIC = 'orders';
/** What dies with everything costs an attempt where it had been handed out: no event may run out of them. */
const RETRY = { schedule: Array(50).fill('500ms'), jitter: 0 };

let bench: WorkersBench;
let receiver: Receiver;

beforeAll(async () => {
  bench = await WorkersBench.start();
  receiver = await Receiver.start();
});
afterAll(async () => {
  await bench.stop();
  await receiver.stop();
});

interface Pulled {
  ackId: string;
  event: { sequence: string };
}

/** Takes, and acknowledges what it took, until `isOver`. What it holds when the hub dies it forgets. */
async function pull(taken: Set<number>, isOver: () => boolean): Promise<void> {
  const path = '/v1/subscriptions/pulled';
  while (!isOver()) {
    try {
      const json = { max: PULLED_AT_ONCE, wait: '1s' };
      const { deliveries } = await bench.api.json<{ deliveries: Pulled[] }>('POST', `${path}/pull`, { json });
      await delay(PULLED_TAKES_MS);
      for (const { event } of deliveries) taken.add(Number(event.sequence));
      const ackIds = deliveries.map(({ ackId }) => ackId);
      if (ackIds.length > 0) await bench.api.json('POST', `${path}/ack`, { json: { ackIds } });
    } catch {
      await delay(50);
    }
  }
}

/** Publishes batch after batch, each again until it is acknowledged, and keeps the sequences that were. */
class Publisher {
  readonly acknowledged = new Set<number>();
  #sent = 0;

  async publish(count: number): Promise<void> {
    while (this.#sent < count) await this.publishBatch();
  }

  async publishBatch(): Promise<void> {
    const first = this.#sent;
    this.#sent += AT_ONCE;
    const events = Array.from({ length: AT_ONCE }, (_, index) => ({
      id: `e${first + index}`,
      type: 'order.paid',
      subject: `customer-${index % 7}`,
    }));
    const receipts = await eventually('a batch is acknowledged', () => bench.api.publish(TOPIC, events), TIMEOUT_MS);
    for (const { sequence } of receipts) this.acknowledged.add(Number(sequence));
  }
}

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('kill -9 of everything', () => {
  it(`P1 P4 P5 at ${KILLS} moments among ${EVENTS} events and more: each that was acknowledged is delivered in every kind, and the books balance`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    const kinds = {
      posted: { kind: 'webhook', url: receiver.url, timeout: '5s' },
      confirmed: { kind: 'queue', binding: 'CONFIRMED_QUEUE', confirm: true, ackDeadline: '5s' },
      called: { kind: 'service', binding: 'CONSUMER', timeout: '5s' },
      pulled: { kind: 'pull', ackDeadline: '5s', maxDeliveries: 100 },
      // What its queue forgot nobody can know; its books balance all the same.
      trusted: { kind: 'queue', binding: 'TRUSTED_QUEUE' },
    };
    await bench.api.putTopic(TOPIC);
    for (const [name, delivery] of Object.entries(kinds)) {
      await bench.api.putSubscription(name, { topics: [TOPIC], retry: RETRY, delivery });
    }
    const pulled = new Set<number>();
    const taken = {
      posted: () => new Set(receiver.taken(TOPIC)),
      confirmed: () => came('confirmed'),
      called: () => came(undefined),
      pulled: () => pulled,
    };

    let isOver = false;
    const workers = [pull(pulled, () => isOver), pull(pulled, () => isOver)];
    const publisher = new Publisher();
    const { acknowledged } = publisher;
    const published = publisher.publish(EVENTS);
    const counts = () => Object.values(taken).map((of) => of().size);
    const isAmidst = () => counts().every((count) => count < acknowledged.size);
    let before = counts().map(() => 0);
    for (let kill = 0; kill < KILLS; kill += 1) {
      const hasMoved = () => counts().every((count, kind) => count > (before[kind] ?? 0));
      await eventually('every kind has gone on', hasMoved, TIMEOUT_MS);
      await delay(Math.random() * KILL_WITHIN_MS);
      // A kind may have caught up meanwhile: there is more for all of them then, and the kill comes at once.
      await eventually(
        'something is on its way in every kind',
        async () => {
          if (!isAmidst()) await publisher.publishBatch();
          return isAmidst();
        },
        TIMEOUT_MS,
      );
      before = counts();
      await bench.hub.kill9();
      await bench.hub.start();
    }
    await published;

    const names = Object.keys(kinds);
    await eventually(
      'all is settled',
      async () => {
        const sums = await Promise.all(names.map((name) => bench.api.subscription(name)));
        return sums.every(({ delivered, dead }) => delivered + dead === acknowledged.size);
      },
      SETTLED_WITHIN_MS,
    );
    isOver = true;
    await Promise.all(workers);

    const all = Array.from({ length: acknowledged.size }, (_, index) => index + 1);
    expect(ascending(acknowledged)).toEqual(all);
    for (const [name, of] of Object.entries(taken)) expect(ascending(of()), name).toEqual(all);
    for (const name of names) {
      expect(await bench.api.subscription(name)).toMatchObject({
        ...{ delivered: acknowledged.size, dead: 0, pending: 0, inFlight: 0, retrying: 0, held: 0 },
        ...{ waiting: 0, lag: 0, filtered: 0, skipped: 0, discarded: 0 },
      });
    }
    expect(await bench.api.deadLetters()).toEqual([]);
  });
});

/** The sequences that came to the consumer Worker by a queue, or with calls. */
function came(queue: string | undefined): Set<number> {
  return new Set(bench.entries.filter((entry) => entry.queue === queue).map(({ sequence = 0 }) => sequence));
}

const ascending = (sequences: ReadonlySet<number>) => [...sequences].sort((a, b) => a - b);
