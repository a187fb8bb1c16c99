import { describe, expect, it } from 'vitest';
import { ALERT_EVENTS_DEFAULT } from '../../src/http/alerts.ts';
import { SYSTEM_EVENTS } from '../../src/system/shapes.ts';
import { WholeHub } from './whole-hub.ts';

const url = 'https://ops.example/hook';

describe('PUT /v1/alerts/{name}', () => {
  it('makes an ordinary subscription to millrace.system, with its secret', async () => {
    const hub = new WholeHub();
    const made = await hub.call('PUT', '/v1/alerts/ops', { body: { url } });
    expect(made).toMatchObject({
      status: 201,
      json: {
        name: 'ops',
        topics: ['millrace.system'],
        filter: { types: ALERT_EVENTS_DEFAULT },
        delivery: { url, secret: expect.stringMatching(/^whsec_/) },
      },
    });
    const { secret: _, ...delivery } = made.json.delivery;
    const read = await hub.call('GET', '/v1/subscriptions/ops');
    expect(read.json).toMatchObject({ topics: ['millrace.system'], delivery });
    expect((await hub.call('GET', '/v1/subscriptions')).json.items).toMatchObject([{ name: 'ops' }]);
    expect((await hub.call('DELETE', '/v1/subscriptions/ops')).status).toBe(204);
  });

  it('again is 200 and changes it; the secret stays', async () => {
    const hub = new WholeHub();
    const { json: made, headers } = await hub.call('PUT', '/v1/alerts/ops', { body: { url } });
    const body = { url: `${url}/2`, events: ['millrace.subscription.*'] };
    const etag = headers.get('etag') ?? '';
    expect(await hub.call('PUT', '/v1/alerts/ops', { body, headers: { 'if-match': '"x"' } })).toMatchObject({
      status: 412,
    });
    const changed = await hub.call('PUT', '/v1/alerts/ops', { body, headers: { 'if-match': etag } });
    expect(changed).toMatchObject({
      status: 200,
      json: { filter: { types: body.events }, delivery: { url: body.url } },
    });
    expect((await hub.call('GET', '/v1/subscriptions/ops/secret')).json.secret).toBe(made.delivery.secret);
  });

  it('is told by default of what there is, and of nothing else', () => {
    for (const type of ALERT_EVENTS_DEFAULT) expect(SYSTEM_EVENTS).toHaveProperty([type]);
  });

  it('does not take the name of another subscription', async () => {
    const hub = new WholeHub();
    await hub.call('PUT', '/v1/subscriptions/billing', { body: { topics: ['orders'], delivery: { url } } });
    expect(await hub.call('PUT', '/v1/alerts/billing', { body: { url } })).toMatchObject({
      status: 409,
      json: { code: 'subscription-exists' },
    });
    expect((await hub.call('GET', '/v1/subscriptions/billing')).json.topics).toEqual(['orders']);
  });

  it.each([
    [{}, 'url'],
    [{ url: 'https://127.0.0.1/' }, 'url'],
    [{ url: 'nonsense' }, 'url'],
    [{ url, events: [] }, 'events'],
    [{ url, events: ['order.created'] }, 'events[0]'],
    [{ url, events: ['millrace.subscription.disabled', 'millrace.nothing'] }, 'events[1]'],
    [{ url, other: 1 }, 'other'],
  ])('refuses %j, naming %s', async (body, path) => {
    const hub = new WholeHub();
    const answer = await hub.call('PUT', '/v1/alerts/ops', { body });
    expect(answer.status).toBe(400);
    expect(answer.json.errors.map((error: { path: string }) => error.path)).toContain(path);
    expect((await hub.call('GET', '/v1/subscriptions/ops')).status).toBe(404);
  });

  it('P7 needs the subscription and to read the hub’s own topic, which no wildcard grants', async () => {
    const hub = new WholeHub();
    const keyOf = async (name: string, scopes: string[]) =>
      (await hub.call('POST', '/v1/keys', { body: { name, scopes } })).json.key;
    const put = async (...scopes: string[]) =>
      (
        await hub.call('PUT', '/v1/alerts/ops', {
          key: await keyOf(`k${scopes.length}${scopes[0]?.length}`, scopes),
          body: { url },
        })
      ).status;
    expect(await put('subscriptions:*', 'read:>')).toBe(403);
    expect(await put('read:millrace.system')).toBe(403);
    expect(await put('subscriptions:ops', 'read:millrace.system', 'metrics')).toBe(201);
  });
});
