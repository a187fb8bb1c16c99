import { env, SELF } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';

/** Pulling in workerd: HTTP, objects and their alarms together. */

interface Pulled {
  deliveries: { ackId: string; attempt: number; event: { data: unknown } }[];
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await SELF.fetch(`https://hub.example.com${path}`, {
    method,
    headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(response.status).toBeLessThan(300);
  return response.json<T>();
}

const subscribe = (name: string, delivery: object = {}) =>
  call('PUT', `/v1/subscriptions/${name}`, { topics: [name], delivery: { kind: 'pull', ...delivery } });
const publish = (topic: string, data: unknown) =>
  call('POST', `/v1/topics/${topic}/events`, { type: 'order.created', data });
const pull = (name: string, body: object) => call<Pulled>('POST', `/v1/subscriptions/${name}/pull`, body);

describe('P4: a long poll, in workerd', () => {
  it('is answered by the wake of a log', async () => {
    await subscribe('poll-a');
    const waiting = Promise.all([pull('poll-a', { max: 1, wait: '60s' }), pull('poll-a', { max: 1, wait: '60s' })]);
    await publish('poll-a', 1);
    await publish('poll-a', 2);
    const data = (await waiting).flatMap(({ deliveries }) => deliveries.map(({ event }) => event.data));
    expect(data.toSorted()).toEqual([1, 2]);
  });

  it('is answered by the alarm, when the time of another is over', async () => {
    await subscribe('poll-b', { ackDeadline: '5s' });
    await publish('poll-b', 1);
    expect((await pull('poll-b', {})).deliveries).toMatchObject([{ attempt: 1 }]);
    const { deliveries } = await pull('poll-b', { wait: '60s' });
    expect(deliveries).toMatchObject([{ attempt: 2 }]);
    const acked = await call('POST', '/v1/subscriptions/poll-b/ack', { ackIds: deliveries.map(({ ackId }) => ackId) });
    expect(acked).toMatchObject({ results: [{ ok: true }] });
  });

  it('finds at once what was acknowledged before it asked', async () => {
    await subscribe('poll-c');
    for (let n = 0; n < 20; n += 1) {
      await publish('poll-c', n);
      const { deliveries } = await pull('poll-c', {});
      expect(deliveries).toMatchObject([{ attempt: 1, event: { data: n } }]);
      await call('POST', '/v1/subscriptions/poll-c/ack', { ackIds: deliveries.map(({ ackId }) => ackId) });
    }
  });

  it('waits no longer than it wants', async () => {
    await subscribe('poll-d');
    expect(await pull('poll-d', { wait: '200ms' })).toMatchObject({ deliveries: [] });
  });
});
