import { describe, expect, it } from 'vitest';
import {
  allowedRate,
  consentIn,
  HANDSHAKE_TIMEOUT_MS,
  type HandshakeInit,
  handleHandshake,
  isHandshakeMessage,
  namedHub,
} from '../../src/deliveries/handshake.ts';
import { urlRules } from '../../src/deliveries/url-rules.ts';
import type { ConsentAnswer, ConsentRequest } from '../../src/subscriptions/protocol.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const TOKEN = '0123456789abcdef0123456789abcdef';

/** A subscription whose receiver is to be asked, and a receiver by script. */
class Asking {
  readonly clock = new FakeClock();
  readonly asked: { url: string; init: HandshakeInit }[] = [];
  readonly answers: ConsentAnswer[] = [];
  readonly logs: string[] = [];
  request: ConsentRequest | null = {
    token: TOKEN,
    url: 'https://example.com/hook?key=hunter2',
    hub: 'https://hub.example.com:8443',
    perMinute: null,
  };
  receiver: () => Response | Promise<Response> = () => new Response();

  async run(): Promise<ConsentAnswer['consent'] | null> {
    const handled = handleHandshake(
      { v: 1, handshake: 'billing' },
      {
        subscription: () => ({
          consentRequest: async () => this.request,
          consentAnswer: async (answer) => {
            this.answers.push(answer);
            return true;
          },
        }),
        fetch: async (url, init) => {
          this.asked.push({ url, init });
          return this.receiver();
        },
        clock: this.clock,
        guard: { check: async (url) => urlRules({ allowHosts: '', hubHosts: '' }).check(url) },
        version: '9.9.9',
        log: (_level, message) => this.logs.push(message),
        hub: null,
      },
    );
    await settled();
    await this.clock.advance(HANDSHAKE_TIMEOUT_MS + 1);
    await handled;
    return this.answers[0]?.consent ?? null;
  }
}

const answer = (headers: Record<string, string>, status = 200) => new Response(null, { status, headers });

describe('a receiver that is asked for its consent', () => {
  it('gets an OPTIONS that says who asks, how much, and where it may answer later', async () => {
    const asking = new Asking();
    asking.request = { ...(asking.request ?? expect.fail()), perMinute: 3_000 };
    asking.receiver = () => answer({ 'webhook-allowed-origin': 'hub.example.com', 'webhook-allowed-rate': '120' });
    expect(await asking.run()).toEqual({ given: true, perMinute: 120 });
    expect(asking.answers[0]?.token).toBe(TOKEN);
    expect(asking.asked).toMatchObject([
      {
        url: 'https://example.com/hook?key=hunter2',
        init: {
          method: 'OPTIONS',
          redirect: 'manual',
          headers: {
            'user-agent': 'Millrace/9.9.9',
            'webhook-request-origin': 'hub.example.com',
            'webhook-request-rate': '3000',
            'webhook-request-callback': `https://hub.example.com:8443/v1/subscriptions/billing/handshake/${TOKEN}`,
          },
        },
      },
    ]);
  });

  it('gets no credentials, and no rate where there is none', async () => {
    const asking = new Asking();
    await asking.run();
    expect(Object.keys(asking.asked[0]?.init.headers ?? {}).sort()).toEqual([
      'user-agent',
      'webhook-request-callback',
      'webhook-request-origin',
    ]);
  });

  it('that never answers has not consented', async () => {
    const asking = new Asking();
    asking.receiver = () => new Promise(() => {});
    expect(await asking.run()).toMatchObject({ given: false, reason: expect.stringContaining('within 5000 ms') });
    expect(asking.asked[0]?.init.signal.aborted).toBe(true);
  });

  it('that can’t be reached has not consented, and the reason has no secret in it', async () => {
    const asking = new Asking();
    asking.receiver = () => Promise.reject(new Error(`connect ECONNREFUSED ${asking.request?.url} ${TOKEN}`));
    const consent = await asking.run();
    expect(consent).toMatchObject({ given: false, reason: expect.stringContaining('ECONNREFUSED') });
    expect(JSON.stringify(consent)).not.toMatch(/hunter2|0123456789abcdef/);
  });

  it('P7: is never asked inside', async () => {
    const asking = new Asking();
    asking.request = { ...(asking.request ?? expect.fail()), url: 'https://169.254.169.254/latest' };
    expect(await asking.run()).toMatchObject({ given: false, reason: expect.stringContaining('169.254.169.254') });
    expect(asking.asked).toEqual([]);
  });

  it('is not asked by a hub that does not know its own name', async () => {
    const asking = new Asking();
    asking.request = { ...(asking.request ?? expect.fail()), hub: null };
    expect(await asking.run()).toMatchObject({ given: false, reason: expect.stringContaining('HUB_HOSTS') });
    expect(asking.asked).toEqual([]);
  });

  it('is not asked where nothing is to be asked', async () => {
    const asking = new Asking();
    asking.request = null;
    await asking.run();
    expect(asking.asked).toEqual([]);
    expect(asking.answers).toEqual([]);
  });
});

describe('consent', () => {
  it.each<[string, Response, string | { perMinute: number | null }]>([
    ['to all', answer({ 'webhook-allowed-origin': '*' }), { perMinute: null }],
    ['to this hub, in any case', answer({ 'WebHook-Allowed-Origin': ' Hub.Example.com ' }), { perMinute: null }],
    ['at any rate', answer({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '*' }), { perMinute: null }],
    ['at a rate', answer({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '1' }), { perMinute: 1 }],
    ['with a status that says nothing', answer({ 'webhook-allowed-origin': '*' }, 404), { perMinute: null }],
    ['missing', answer({}), 'without WebHook-Allowed-Origin'],
    ['missing, with 405', answer({}, 405), 'answered 405 without'],
    ['empty', answer({ 'webhook-allowed-origin': '' }), 'without WebHook-Allowed-Origin'],
    ['to another hub', answer({ 'webhook-allowed-origin': 'evil.example' }), 'allows evil.example, and not'],
    ['to a part of the name', answer({ 'webhook-allowed-origin': 'example.com' }), 'allows example.com'],
    ['of another place', answer({ 'webhook-allowed-origin': '*', location: '/x' }, 302), 'redirects are not followed'],
    ['at rate 0', answer({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '0' }), 'WebHook-Allowed-Rate'],
    ['at no rate', answer({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': 'fast' }), 'WebHook-Allowed-Rate'],
  ])('%s', (_what, response, expected) => {
    const consent = consentIn(response, 'hub.example.com');
    if (typeof expected === 'string')
      expect(consent).toMatchObject({ given: false, reason: expect.stringContaining(expected) });
    else expect(consent).toEqual({ given: true, ...expected });
  });

  it.each([
    [null, null],
    ['*', null],
    [' 60 ', 60],
  ])('rate %j means %s', (value, perMinute) => expect(allowedRate(value)).toEqual({ perMinute }));

  it.each(['', '0', '-1', '1.5', '1e3', '99999999999', '**'])('rate %j is none', (value) => {
    expect(allowedRate(value)).toBe(null);
  });
});

it.each([
  [{ v: 1, handshake: 'billing' }, true],
  [{ v: 1, subscription: 'billing', lease: 1 }, false],
  [{ v: 2, handshake: 'billing' }, false],
  [{ v: 1, handshake: 1 }, false],
  [null, false],
  ['billing', false],
])('%j is a message that asks for a handshake: %s', (message, is) => {
  expect(isHandshakeMessage(message)).toBe(is);
});

it.each([
  ['', null],
  [' , b.example', null],
  ['hub.example.com', 'https://hub.example.com'],
  [' hub.example.com:8443 , other.example', 'https://hub.example.com:8443'],
  ['not a host', null],
])('a hub with the names %j is reached at %s', (hosts, url) => {
  expect(namedHub(hosts)).toBe(url);
});
