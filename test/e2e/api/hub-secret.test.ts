import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ApiClient,
  eventually,
  type Receiver,
  secretIn,
  startHub,
  startReceiver,
  type TestHub,
} from '../support/index.ts';

/** The Worker secret HUB_SECRET is replaced under a hub that delivers, by the steps of docs/security.md. */

const secret = () => randomBytes(32).toString('base64');
const [OLD, NEW] = [secret(), secret()];
const ADMIN_KEY = 'admin-of-the-rotation';

let hub: TestHub;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  hub = await startHub({ vars: { ADMIN_KEY, HUB_SECRET: OLD } });
});

afterAll(async () => {
  await receiver.stop();
  await hub.stop();
});

/** The same hub with another HUB_SECRET, as a deployment has it. */
async function deploy(HUB_SECRET: string): Promise<void> {
  await hub.stop();
  hub = await startHub({ persistTo: hub.persistTo, vars: { ADMIN_KEY, HUB_SECRET } });
}

interface Dependants {
  id: string;
  status: string;
  subscriptions: { count: number };
  keys: { count: number };
}

const dependants = async () =>
  (await hub.api.json<{ items: Dependants[] }>('GET', '/v1/hub-secrets')).items.map(
    ({ status, subscriptions, keys }) => [status, subscriptions.count, keys.count],
  );

/** An event goes all the way, under a signature that the receiver verifies. */
async function delivers(count: number): Promise<void> {
  await hub.api.publish('orders', { type: 'order.created' });
  await eventually('it is delivered', async () => (await hub.api.subscription('billing')).delivered === count);
  expect(receiver.book.filter(({ verified }) => verified === true)).toHaveLength(count);
}

describe('P7: HUB_SECRET', () => {
  it('is replaced without a gap: what was signed and sealed under the old one goes on, and is got away from it', async () => {
    const made = await hub.api.putSubscription('billing', {
      topics: ['orders'],
      delivery: { url: receiver.url },
    });
    receiver.secret = secretIn(made);
    const { key } = await hub.api.json<{ key: string }>('POST', '/v1/keys', {
      json: { name: 'shop', scopes: ['read:>'] },
    });
    const mayRead = async () => (await new ApiClient(hub.url, key).request('GET', '/v1/topics')).status === 200;
    await delivers(1);
    expect(await dependants()).toEqual([['current', 1, 1]]);

    await deploy(`${NEW},${OLD}`);
    expect(await mayRead()).toBe(true);
    await delivers(2);
    expect(await dependants()).toEqual([
      ['current', 0, 0],
      ['listed', 1, 1],
    ]);
    expect(await hub.api.json('POST', '/v1/hub-secrets/reseal')).toEqual({ resealed: 1, failed: [], next: null });
    expect(await dependants()).toEqual([
      ['current', 1, 0],
      ['listed', 0, 1],
    ]);

    await deploy(NEW);
    expect(await mayRead()).toBe(false);
    await delivers(3);
  });

  it('of another hub stops deliveries in the open and loses nothing; with the right one back they go on', async () => {
    await deploy(OLD);
    await hub.api.publish('orders', { type: 'order.created' });
    expect(await hub.api.subscription('billing')).toMatchObject({
      status: 'error',
      reason: expect.stringContaining('HUB_SECRET'),
      delivered: 3,
      dead: 0,
      lag: 1,
    });
    await deploy(NEW);
    await delivers(5);
  });
});
