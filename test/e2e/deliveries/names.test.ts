import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Attempt, Page } from '../../../scripts/hub/api-client.ts';
import { FakeResolver, type Records } from '../../support/fake-resolver.ts';
import { ApiError, eventually, startHub, type TestHub } from '../support/index.ts';

/** Names that resolve inside, move there, or can't be looked up: a real hub, and a resolver on this machine. */

const PUBLIC: Records = { A: ['8.8.8.8'], ttl: 0 };
const INSIDE: Records = { A: ['8.8.8.8', '10.0.0.1'], ttl: 0 };
const SCHEDULE = { schedule: Array<string>(60).fill('500ms'), jitter: 0 };

let hub: TestHub;
let resolver: FakeResolver;
let server: Server;
let down = false;

beforeAll(async () => {
  resolver = new FakeResolver();
  server = createServer(async (request, response) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    if (down) return void request.socket.destroy();
    const answer = await resolver.answer(new Uint8Array(Buffer.concat(parts)));
    response
      .writeHead(answer.status, Object.fromEntries(answer.headers))
      .end(new Uint8Array(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The resolver has no port.');
  hub = await startHub({ vars: { DNS_RESOLVER: `http://127.0.0.1:${address.port}/dns-query` } });
});

beforeEach(() => {
  down = false;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await hub.stop();
});

async function subscribe(name: string): Promise<ApiError | null> {
  const delivery = { url: `https://${name}.example.com/hook`, timeout: '500ms' };
  const document = { topics: [name], retry: SCHEDULE, delivery };
  return hub.api.putSubscription(name, document).then(
    () => null,
    (error: unknown) => {
      if (error instanceof ApiError) return error;
      throw error;
    },
  );
}

const lastError = async (name: string) =>
  (await hub.api.json<Page<Attempt>>('GET', `/v1/subscriptions/${name}/attempts?limit=1`)).items[0]?.error ?? '';

describe('P7: a name', () => {
  it('that leads inside is refused when a subscription is made', async () => {
    resolver.zone.set('inside.example.com', INSIDE);
    expect(await subscribe('inside')).toMatchObject({ status: 400, code: 'url-not-allowed' });
    expect(await subscribe('nowhere')).toMatchObject({ status: 400, code: 'url-not-allowed' });
  });

  it('that moves inside after the making is sent nothing from then on', async () => {
    resolver.zone.set('rebound.example.com', PUBLIC);
    expect(await subscribe('rebound')).toBeNull();
    resolver.zone.set('rebound.example.com', INSIDE);
    await hub.api.publish('rebound', { type: 'order.created' });
    await eventually('an attempt was not sent', async () =>
      (await lastError('rebound')).includes('rebound.example.com resolves to an address inside: 10.0.0.1'),
    );
  });

  it('that can not be looked up spends no attempt and loses nothing; the subscription says why, and goes on by itself', async () => {
    resolver.zone.set('unsure.example.com', PUBLIC);
    expect(await subscribe('unsure')).toBeNull();
    await hub.api.request('POST', '/v1/subscriptions/unsure/pause');
    await hub.api.publish('unsure', { type: 'order.created' });
    down = true;
    await hub.api.request('POST', '/v1/subscriptions/unsure/resume');
    await eventually('it says why', async () => {
      const { status, reason } = await hub.api.subscription('unsure');
      return status === 'error' && reason?.startsWith('unsure.example.com could not be looked up');
    });
    const held = await hub.api.subscription('unsure');
    const { failed } = held;
    expect(held).toMatchObject({ pending: 1, dead: 0 });
    expect(await subscribe('another')).toMatchObject({ status: 503, code: 'unavailable' });

    down = false;
    resolver.zone.set('unsure.example.com', INSIDE);
    await eventually('it is attempted again', async () => (await hub.api.subscription('unsure')).failed > failed);
    expect(await lastError('unsure')).toContain('resolves to an address inside');
  });
});
