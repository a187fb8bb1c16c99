import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sized } from '../../support/full-size.ts';
import { eventually, type Receiver, startHub, startReceiver, type TestHub } from '../support/index.ts';

/** Hundreds of subscriptions on one topic, made by one import. test/subscriptions/crowd.test.ts has a thousand without HTTP. */

/** Making the full number takes two minutes of the five that it took on two busy processors; then each had every event. */
const SUBSCRIPTIONS = sized({ full: 1_000, usual: 300 });
const WITHIN_MS = 240_000;
const TIMEOUT_MS = 600_000;

let hub: TestHub;
let receiver: Receiver;

beforeAll(async () => {
  hub = await startHub();
  receiver = await startReceiver();
});

afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

/** Distinct events at distinct subscriptions: each has a path of its own. */
const came = () => new Set(receiver.book.map(({ path, sequence }) => `${path} ${sequence}`)).size;

/** Until it is taken: the proxy of wrangler dev may lose a connection after an import that took long. */
const publish = (...ids: string[]) =>
  eventually('it is published', () =>
    hub.api.publish(
      'news',
      ids.map((id) => ({ id, type: 'headline' })),
    ),
  );

describe('P6: hundreds of subscriptions on one topic', () => {
  it('each get every event, over a kill -9 in the middle of it', { timeout: TIMEOUT_MS }, async () => {
    const names = Array.from({ length: SUBSCRIPTIONS }, (_, index) => `reader-${index}`);
    const subscriptions = names.map((name) => ({
      name,
      topics: ['news'],
      delivery: { url: `${receiver.url}/${name}` },
    }));
    const made = await hub.api.json<{ subscriptions: { outcome: string }[] }>('PUT', '/v1/config', {
      json: { version: 1, topics: [], subscriptions },
      withinMs: WITHIN_MS,
    });
    expect(made.subscriptions.map(({ outcome }) => outcome)).toEqual(names.map(() => 'created'));
    await publish('first', 'second');
    await eventually('some have come', () => came() > SUBSCRIPTIONS / 4, WITHIN_MS);
    await hub.kill9();
    await hub.start();
    await eventually('all have come', () => came() === 2 * SUBSCRIPTIONS, WITHIN_MS);
    await publish('third');
    await eventually('one more has come to each', () => came() === 3 * SUBSCRIPTIONS, WITHIN_MS);
    expect(await hub.api.topic('news')).toMatchObject({ subscriptions: SUBSCRIPTIONS, lastSequence: 3 });
    const view = await eventually('the last is settled', async () => {
      const last = await hub.api.subscription(names.at(-1) ?? '');
      return last.lag === 0 && last;
    });
    expect(view).toMatchObject({ delivered: 3, failed: 0, dead: 0 });
  });
});
