import { beforeEach, describe, expect, it } from 'vitest';
import { FakeResolver } from '../support/fake-resolver.ts';
import { WholeHub } from './whole-hub.ts';

const NAME = 'receiver.example.com';

let hub: WholeHub;
let resolver: FakeResolver;
let hubs = 0;

beforeEach(() => {
  hub = new WholeHub();
  resolver = new FakeResolver();
  hub.dnsResolver = `https://resolver${++hubs}.example/dns-query`;
  hub.fetch = async (input, init) => {
    const request = new Request(input, init);
    if (request.url === hub.dnsResolver) return resolver.answer(new Uint8Array(await request.arrayBuffer()));
    return new Response('thanks');
  };
});

const put = (url = `https://${NAME}/hook`) =>
  hub.call('PUT', '/v1/subscriptions/billing', { body: { topics: ['orders'], delivery: { url } } });
const status = async () => (await hub.call('GET', '/v1/subscriptions/billing')).status;

describe('P7: a subscription to a name', () => {
  it('that resolves to public addresses is made', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'] });
    expect((await put()).status).toBe(201);
  });

  it('that resolves to an address inside is refused, with the address, and changes nothing', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8', '192.168.0.7'] });
    expect(await put()).toMatchObject({
      status: 400,
      json: {
        code: 'url-not-allowed',
        errors: [{ path: 'delivery.url', message: expect.stringContaining('192.168.0.7') }],
      },
    });
    expect(await status()).toBe(404);
  });

  it('that does not exist is refused, and says to make it first', async () => {
    expect(await put()).toMatchObject({
      status: 400,
      json: {
        code: 'url-not-allowed',
        detail: expect.stringMatching(/receiver\.example\.com does not exist.*DNS record/),
      },
    });
  });

  it('that can not be looked up has to wait, and changes nothing', async () => {
    resolver.zone.set(NAME, 'SERVFAIL');
    const refused = await put();
    expect(refused).toMatchObject({
      status: 503,
      json: { code: 'unavailable', detail: expect.stringMatching(/^delivery\.url: .*SERVFAIL/) },
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await status()).toBe(404);
  });

  it('is not looked up where the host is allowed, or no resolver is set', async () => {
    expect((await put('http://localhost:9999/')).status).toBe(201);
    hub.dnsResolver = '';
    expect((await put()).status).toBe(200);
    expect(resolver.asked).toEqual([]);
  });

  it('says in a test what stands in the way', async () => {
    hub.dnsResolver = '';
    await put();
    hub.dnsResolver = `https://resolver${hubs}.example/dns-query`;
    const tested = async () => (await hub.call('POST', '/v1/subscriptions/billing/test')).json;
    resolver.zone.set(NAME, 'REFUSED');
    expect(await tested()).toMatchObject({ ok: false, status: null, error: expect.stringContaining('REFUSED') });
  });
});
