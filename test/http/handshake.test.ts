import { beforeEach, describe, expect, it } from 'vitest';
import { FakeHub } from './fake-hub.ts';
import { subscriptionView } from './views.ts';

const URL = 'https://billing.example.net/hook';
const TOKEN = '0123456789abcdef0123456789abcdef';
const CALLBACK = `/v1/subscriptions/billing/handshake/${TOKEN}`;

let hub: FakeHub;

beforeEach(async () => {
  hub = new FakeHub();
  await hub.d1.prepare("INSERT INTO subscriptions (name, created_at, version) VALUES ('billing', 1, 1)").run();
  const billing = hub.subscription('billing');
  const pending = subscriptionView('billing', ['orders'], { status: 'pending', reason: 'Not asked yet.' });
  billing.put.mockResolvedValue({ outcome: 'created', view: pending, secret: 'whsec_x' });
  billing.resume.mockResolvedValue(pending);
  billing.consentRequest.mockImplementation(async (at) => ({ token: TOKEN, url: URL, hub: at, perMinute: 60 }));
  billing.consentAnswer.mockImplementation(async ({ token }) => token === TOKEN);
  billing.describe.mockResolvedValue(subscriptionView('billing', ['orders']));
  hub.fetch.mockResolvedValue(new Response(null, { headers: { 'webhook-allowed-origin': '*' } }));
});

const put = () =>
  hub.call('PUT', '/v1/subscriptions/billing', { topics: ['orders'], delivery: { url: URL, handshake: true } });

describe('a receiver', () => {
  it('is asked while its subscription is made, and the answer says what came of it', async () => {
    expect(await put()).toMatchObject({ status: 201, body: { status: 'active', reason: null } });
    expect(hub.subscription('billing').put.mock.lastCall?.[0].document.delivery).toMatchObject({ handshake: true });
    expect(hub.fetch.mock.calls).toMatchObject([
      [
        URL,
        {
          method: 'OPTIONS',
          redirect: 'manual',
          headers: {
            'webhook-request-origin': 'hub.example.com',
            'webhook-request-rate': '60',
            'webhook-request-callback': `https://hub.example.com${CALLBACK}`,
          },
        },
      ],
    ]);
    const answer = { token: TOKEN, consent: { given: true, perMinute: null } };
    expect(hub.subscription('billing').consentAnswer).toHaveBeenCalledExactlyOnceWith(answer);
  });

  it('is asked by the hub’s own name, where it has one', async () => {
    hub.hubHosts = 'events.example.org, other.example.org';
    await put();
    expect(hub.fetch.mock.lastCall?.[1]?.headers).toMatchObject({
      'webhook-request-origin': 'events.example.org',
      'webhook-request-callback': `https://events.example.org${CALLBACK}`,
    });
  });

  it('is asked again when its subscription is resumed', async () => {
    expect(await hub.call('POST', '/v1/subscriptions/billing/resume')).toMatchObject({ body: { status: 'active' } });
    expect(hub.fetch).toHaveBeenCalledOnce();
  });

  it('that does not consent leaves the subscription pending, which is no refusal of it', async () => {
    hub.fetch.mockResolvedValue(new Response(null, { status: 405 }));
    const reason = 'The receiver answered 405 without WebHook-Allowed-Origin.';
    const pending = subscriptionView('billing', ['orders'], { status: 'pending', reason });
    hub.subscription('billing').describe.mockResolvedValue(pending);
    expect(await put()).toMatchObject({ status: 201, body: { status: 'pending', reason } });
    expect(hub.subscription('billing').consentAnswer).toHaveBeenCalledWith({
      token: TOKEN,
      consent: { given: false, reason },
    });
  });

  it('of a subscription that is not pending is not asked', async () => {
    hub.subscription('billing').resume.mockResolvedValue(subscriptionView('billing', ['orders']));
    await hub.call('POST', '/v1/subscriptions/billing/resume');
    expect(hub.fetch).not.toHaveBeenCalled();
  });
});

describe('the callback of the handshake', () => {
  const call = (method: string, path = CALLBACK, headers = {}) =>
    hub.call(method, path, method === 'POST' ? 'anything' : undefined, {
      key: 'none',
      headers: { 'content-type': 'text/plain', ...headers },
    });

  it.each(['GET', 'POST'])('%s consents, without a key', async (method) => {
    expect(await call(method)).toMatchObject({ status: 200, body: { subscription: 'billing', consent: 'given' } });
    const answer = { token: TOKEN, consent: { given: true, perMinute: null } };
    expect(hub.subscription('billing').consentAnswer).toHaveBeenCalledExactlyOnceWith(answer);
  });

  it('may grant a rate', async () => {
    await call('POST', CALLBACK, { 'webhook-allowed-rate': '30' });
    const answer = { token: TOKEN, consent: { given: true, perMinute: 30 } };
    expect(hub.subscription('billing').consentAnswer).toHaveBeenCalledExactlyOnceWith(answer);
  });

  it('that grants what is no rate changes nothing', async () => {
    const refused = await call('POST', CALLBACK, { 'webhook-allowed-rate': 'fast' });
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ path: 'webhook-allowed-rate' }] } });
    expect(hub.subscription('billing').consentAnswer).not.toHaveBeenCalled();
  });

  it.each([
    ['another token', CALLBACK.replace('0', 'f')],
    ['no token', CALLBACK.replace(TOKEN, 'token')],
    ['another subscription', CALLBACK.replace('billing', 'email')],
  ])('P7: with %s is 404, and says nothing of what there is', async (_what, path) => {
    expect(await call('GET', path)).toMatchObject({ status: 404, body: { code: 'unknown-handshake' } });
    expect(hub.subscriptions.has('email')).toBe(false);
  });
});
