import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '../../src/dead-letters/letters.ts';
import { drain, isQueued } from '../../src/deliveries/drained.ts';
import type { Seals } from '../../src/deliveries/seal.ts';
import type { QueuedEvent } from '../../src/events/handed.ts';
import type { ConsumerDeath } from '../../src/subscriptions/protocol.ts';
import { storedEvent } from '../client/consumer-bench.ts';
import { sealed, sealsUnder } from '../support/seals.ts';

const MESSAGE: QueuedEvent = {
  v: 1,
  subscription: 'billing',
  topic: 'orders',
  sequence: 42,
  attempt: 3,
  replay: null,
  redriven: false,
  sentAt: 1_790_000_000_000,
  event: storedEvent(42),
};

/** A dead letter queue, and whoever hears of what it brings. */
class Bench {
  readonly deaths: ConsumerDeath[] = [];
  readonly letters: DeadLetter[] = [];
  readonly logged: { level: string; message: string; fields: Record<string, unknown> | undefined }[] = [];
  seals: Pick<Seals, 'verify'> | null = sealsUnder();
  hasSubscription = true;

  async drain(body: unknown): Promise<string> {
    let did = 'nothing';
    const message = {
      attempts: 3,
      ack: () => {
        did = 'ack';
      },
      retry: ({ delaySeconds }: { delaySeconds: number }) => {
        did = `retry after ${delaySeconds} s`;
      },
    };
    await drain(isQueued(body) ? body : expect.fail('It is none.'), message, {
      subscription: () => ({
        consumerDied: async (death) => {
          this.deaths.push(death);
          return this.hasSubscription;
        },
      }),
      topic: () => ({ eventsAt: () => expect.fail('The log was asked.') }),
      letters: { put: async (letters) => void this.letters.push(...letters) },
      log: (level, message_, fields) => void this.logged.push({ level, message: message_, fields }),
      seals: this.seals,
    });
    return did;
  }
}

describe('what a dead letter queue brings', () => {
  it('P4: is told to its subscription, or kept without one', async () => {
    const bench = new Bench();
    const message = await sealed(MESSAGE);
    expect(await bench.drain(message)).toBe('ack');
    const { topic, sequence, attempt, replay, sentAt, event } = MESSAGE;
    const json = JSON.stringify(event);
    expect(bench.deaths).toEqual([{ v: 1, topic, sequence, attempt, replay, sentAt, ackId: null, json }]);
    expect(bench.letters).toEqual([]);
    bench.hasSubscription = false;
    expect(await bench.drain(message)).toBe('ack');
    expect(bench.letters).toMatchObject([{ topic, sequence, attempts: attempt, event: json, reason: 'consumer' }]);
    expect(bench.logged).toEqual([]);
  });

  it('is nothing of a test event: it is in no log, and nothing has died', async () => {
    const bench = new Bench();
    bench.hasSubscription = false;
    const test = await sealed({ ...MESSAGE, topic: 'millrace.test', sequence: 1_790_000_000_000 });
    expect(await bench.drain(test)).toBe('ack');
    expect([bench.deaths, bench.letters, bench.logged]).toEqual([[], [], []]);
  });

  it.each([
    ['unsealed', async () => MESSAGE],
    ['sealed as another', async () => ({ ...(await sealed(MESSAGE)), sequence: 43 })],
    ['with another event', async () => ({ ...(await sealed(MESSAGE)), event: storedEvent(42, { data: 'other' }) })],
    ['sealed by whoever does not know the secret', async () => ({ ...MESSAGE, seal: `72ea2cfb.${'A'.repeat(44)}` })],
  ])('P7: is dropped where it is %s, with a line in the log and no more', async (_, make) => {
    const bench = new Bench();
    const { seal = '', ...forged } = await make();
    // Under the id of the secret that there is.
    const id = (await sealed(MESSAGE)).seal?.slice(0, 8);
    expect(await bench.drain({ ...forged, ...(seal === '' ? {} : { seal: `${id}${seal.slice(8)}` }) })).toBe('ack');
    expect([bench.deaths, bench.letters]).toEqual([[], []]);
    const fields = { subscription: 'billing', topic: 'orders', sequence: forged.sequence };
    expect(bench.logged).toEqual([{ level: 'warn', message: expect.stringContaining('is dropped'), fields }]);
  });

  it('P7: is not written into the log whole, however long its names are', async () => {
    const bench = new Bench();
    const long = 'x'.repeat(100_000);
    expect(await bench.drain({ ...MESSAGE, subscription: long, topic: long })).toBe('ack');
    bench.seals = null;
    expect(await bench.drain({ ...MESSAGE, subscription: long, topic: long })).toBe('retry after 30 s');
    expect(bench.logged).toHaveLength(2);
    for (const { fields } of bench.logged) expect(JSON.stringify(fields).length).toBeLessThan(1_000);
  });

  it('P4: comes again while HUB_SECRET is none, or not the one that it was sealed under', async () => {
    const bench = new Bench();
    const message = await sealed(MESSAGE);
    bench.seals = null;
    expect(await bench.drain(message)).toBe('retry after 30 s');
    bench.seals = sealsUnder(btoa('another hub secret of 32 bytes..'));
    expect(await bench.drain(message)).toBe('retry after 30 s');
    const error = expect.objectContaining({
      message: expect.stringContaining(`hub secret ${message.seal?.slice(0, 8)}`),
    });
    expect(bench.logged.at(-1)).toMatchObject({ level: 'warn', fields: { sequence: 42, error } });
    expect([bench.deaths, bench.letters]).toEqual([[], []]);
    bench.seals = sealsUnder();
    expect(await bench.drain(message)).toBe('ack');
    expect(bench.deaths).toHaveLength(1);
  });
});
