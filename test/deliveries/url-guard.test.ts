import { isIP } from 'node:net';
import { decode, TRUNCATED_RESPONSE } from '@dnsquery/dns-packet';
import { beforeEach, describe, expect, it } from 'vitest';
import { NAMES_REMEMBERED_MAX, NameCache } from '../../src/deliveries/name-cache.ts';
import { type ResolverInit, resolve } from '../../src/deliveries/resolver.ts';
import { type GuardVerdict, urlGuard } from '../../src/deliveries/url-guard.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { answerTo, dnsResponse, FakeResolver } from '../support/fake-resolver.ts';
import { ADDRESSES_INSIDE, URL_TABLE } from './url-table.ts';

const NAME = 'receiver.example.com';
const URL_OF_NAME = `https://${NAME}/hook`;

let clock: FakeClock;
let resolver: FakeResolver;
/** Another one for each test: what is found by one is not known to the next. */
let resolverUrl = '';
let tests = 0;

beforeEach(() => {
  clock = new FakeClock();
  resolver = new FakeResolver();
  resolverUrl = `https://resolver${++tests}.example/dns-query`;
});

function guard(more: { allowHosts?: string; resolver?: string; fetch?: typeof resolver.fetch } = {}) {
  const { allowHosts = '', fetch = resolver.fetch } = more;
  return urlGuard(
    { allowHosts, hubHosts: 'hub.example.com', resolver: more.resolver ?? resolverUrl },
    { fetch, clock },
  );
}

const codeOf = (verdict: GuardVerdict) => (verdict.ok ? null : verdict.code);
const check = async (url = URL_OF_NAME) => codeOf(await guard().check(url));

describe('P7: a name is what it resolves to', () => {
  const literal = ADDRESSES_INSIDE.map((host) => host.replace(/^\[|\]$/g, '')).filter((host) => isIP(host) !== 0);

  it.each(literal)('%s is not reached by a name either', async (ip) => {
    resolver.zone.set(NAME, ip.includes(':') ? { AAAA: [ip] } : { A: [ip] });
    expect(await check()).toBe('address-not-public');
  });

  it.each([
    ['one public address', { A: ['8.8.8.8'] }],
    ['an IPv6 address only', { AAAA: ['2606:4700::1111'] }],
    ['several of both', { A: ['8.8.8.8', '1.1.1.1'], AAAA: ['2606:4700::1111'] }],
    ['an alias', { cname: 'edge.example.net', A: ['8.8.8.8'] }],
  ])('%s is let through', async (_what, records) => {
    resolver.zone.set(NAME, records);
    expect(await guard().check(URL_OF_NAME)).toMatchObject({ ok: true, url: URL_OF_NAME });
    expect(resolver.asked.toSorted()).toEqual([`${NAME} A`, `${NAME} AAAA`]);
  });

  it.each([
    ['among public ones', { A: ['8.8.8.8', '10.0.0.1', '1.1.1.1'] }],
    ['of the other kind', { A: ['8.8.8.8'], AAAA: ['fd00::1'] }],
    ['behind an alias', { cname: 'metadata.google.internal', A: ['169.254.169.254'] }],
    ['as an IPv4 one in IPv6', { A: ['8.8.8.8'], AAAA: ['::ffff:10.0.0.1'] }],
  ])('one address inside %s is enough to refuse it', async (_what, records) => {
    resolver.zone.set(NAME, records);
    expect(await check()).toBe('address-not-public');
  });

  it('says which address it was', async () => {
    resolver.zone.set(NAME, { A: ['10.0.0.1'] });
    expect(await guard().check(URL_OF_NAME)).toMatchObject({
      detail: expect.stringMatching(/receiver.*10\.0\.0\.1.*private/),
    });
  });

  it('that does not exist, or has no address, is refused as such', async () => {
    expect(await check()).toBe('name-unknown');
    resolver.zone.set('empty.example.com', {});
    expect(await check('https://empty.example.com/')).toBe('name-unknown');
  });

  it('judges by the URL alone what needs no look-up', async () => {
    for (const [url, refusal] of URL_TABLE.filter(([, refusal]) => refusal !== null)) {
      expect(codeOf(await guard().check(url)), url).toBe(refusal);
    }
    expect(await check('https://8.8.8.8/')).toBe(null);
    expect(await guard({ allowHosts: 'localhost' }).check('http://localhost:9/')).toMatchObject({ ok: true });
    expect(resolver.asked).toEqual([]);
  });

  it('asks in small letters, without the final dot, in ASCII', async () => {
    resolver.zone.set('xn--bcher-kva.example', { A: ['8.8.8.8'] });
    expect(await check('https://BÜCHER.example./')).toBe(null);
  });

  it('is let through unseen where no resolver is set', async () => {
    expect(await guard({ resolver: '' }).check(URL_OF_NAME)).toMatchObject({ ok: true });
    expect(resolver.asked).toEqual([]);
  });
});

describe('P7: what was found', () => {
  it('holds for its TTL: a name that moves inside is refused from then on', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'], ttl: 60 });
    expect(await check()).toBe(null);
    resolver.zone.set(NAME, { A: ['127.0.0.1'], ttl: 60 });
    await clock.advance(59_999);
    expect(await check()).toBe(null);
    await clock.advance(1);
    expect(await check()).toBe('address-not-public');
    resolver.zone.set(NAME, { A: ['8.8.8.8'] });
    await clock.advance(60_000);
    expect(await check()).toBe(null);
  });

  it.each([
    [0, 5_000],
    [4, 5_000],
    [7, 7_000],
    [86_400, 300_000],
  ])('with a TTL of %d s holds for %d ms', async (ttl, ms) => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'], ttl });
    await check();
    await clock.advance(ms - 1);
    await check();
    expect(resolver.asked).toHaveLength(2);
    await clock.advance(1);
    await check();
    expect(resolver.asked).toHaveLength(4);
  });

  it('does not hold longer because the clock was set back', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'], ttl: 300 });
    await check();
    clock.jump(-3_600_000);
    await check();
    expect(resolver.asked).toHaveLength(4);
  });

  it('is asked once for all who ask at the same time', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'] });
    const one = guard();
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => one.check(URL_OF_NAME)));
    expect(verdicts.every(({ ok }) => ok)).toBe(true);
    expect(resolver.asked).toHaveLength(2);
  });

  it('is forgotten with another resolver', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'] });
    await check();
    resolverUrl = 'https://another.example/dns-query';
    await check();
    expect(resolver.asked).toHaveLength(4);
  });

  it('is kept of so many names, the latest ones', () => {
    const cache = new NameCache<number>();
    for (let index = 0; index <= NAMES_REMEMBERED_MAX; index += 1) cache.set(`n${index}`, index, 0, 1_000);
    expect([cache.get('n0', 1), cache.get('n1', 1), cache.get(`n${NAMES_REMEMBERED_MAX}`, 1)]).toEqual([
      null,
      1,
      NAMES_REMEMBERED_MAX,
    ]);
  });
});

describe('P7: a resolver that fails lets nothing through', () => {
  const question = (query: Uint8Array) => decode(query).questions?.[0] ?? { name: '', type: 'A' as const };
  const message = (bytes: Uint8Array<ArrayBuffer>) => () => dnsResponse(bytes);
  const truncated: [string, (query: Uint8Array) => Response] = [
    'cuts its answer short',
    (query) => dnsResponse(answerTo(question(query), { A: ['8.8.8.8'] }, TRUNCATED_RESPONSE)),
  ];

  it.each<[string, (query: Uint8Array) => Response | Promise<Response>]>([
    ['is down', () => Promise.reject(new Error('connection refused'))],
    ['answers 500', () => new Response('no', { status: 500 })],
    ['redirects', () => new Response(null, { status: 302, headers: { location: 'https://elsewhere.example/' } })],
    ['answers JSON', () => Response.json({ Status: 0, Answer: [{ type: 1, data: '8.8.8.8' }] })],
    ['answers nothing', message(new Uint8Array())],
    ['answers garbage', message(new Uint8Array(40).fill(0xff))],
    ['answers a page', message(new Uint8Array(new TextEncoder().encode('<html>Sign in to the network</html>')))],
    ['answers 1 MB', message(new Uint8Array(1_000_000))],
    ['repeats the query', (query) => dnsResponse(new Uint8Array(query))],
    ['answers another name', () => dnsResponse(answerTo({ name: 'other.example', type: 'A' }, { A: ['8.8.8.8'] }))],
    ['answers another type', () => dnsResponse(answerTo({ name: NAME, type: 'TXT' }, {}))],
    ['says SERVFAIL', (query) => dnsResponse(answerTo(question(query), 'SERVFAIL'))],
    ['says REFUSED', (query) => dnsResponse(answerTo(question(query), 'REFUSED'))],
    [
      'answers for IPv4 and not for IPv6',
      (query) =>
        question(query).type === 'A'
          ? dnsResponse(answerTo(question(query), { A: ['8.8.8.8'] }))
          : new Response('no', { status: 503 }),
    ],
    truncated,
  ])('that %s', async (_what, standIn) => {
    resolver.standIn = standIn;
    expect(await guard().check(URL_OF_NAME)).toMatchObject({
      code: 'look-up-failed',
      detail: expect.stringMatching(/^receiver\.example\.com could not be looked up: .+\.$/),
    });
  });

  it('that never answers, within three seconds, and its requests are ended', async () => {
    const signals: AbortSignal[] = [];
    const fetch = (_url: string, { signal }: ResolverInit) => {
      signals.push(signal);
      return new Promise<Response>(() => {});
    };
    const verdict = resolve(NAME, resolverUrl, { fetch, clock });
    await clock.advance(2_999);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    await clock.advance(1);
    expect(await verdict).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('3000 ms') });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('that stops in the middle of its answer, within three seconds', async () => {
    resolver.standIn = () =>
      new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(20)) }), {
        headers: { 'content-type': 'application/dns-message' },
      });
    const verdict = guard().check(URL_OF_NAME);
    await clock.advance(3_000);
    expect(codeOf(await verdict)).toBe('look-up-failed');
  });

  it('is asked again after a second, not by each event', async () => {
    resolver.zone.set(NAME, 'SERVFAIL');
    for (let event = 0; event < 50; event += 1) expect(await check()).toBe('look-up-failed');
    expect(resolver.asked).toHaveLength(2);
    resolver.zone.set(NAME, { A: ['8.8.8.8'] });
    await clock.advance(1_000);
    expect(await check()).toBe(null);
  });

  it.each(['http://resolver.example/dns-query', 'not a URL', 'ftp://resolver.example/', 'http://127.0.0.1:53/'])(
    'that is set to %j is none',
    async (url) => {
      const verdict = await guard({ resolver: url }).check(URL_OF_NAME);
      expect(verdict).toMatchObject({ code: 'look-up-failed', detail: expect.stringContaining('DNS_RESOLVER') });
      expect(resolver.asked).toEqual([]);
    },
  );

  it('may be reached by http on an allowed host', async () => {
    resolver.zone.set(NAME, { A: ['8.8.8.8'] });
    const local = guard({ resolver: 'http://127.0.0.1:8053/dns-query', allowHosts: '127.0.0.1' });
    expect(await local.check(URL_OF_NAME)).toMatchObject({ ok: true });
  });
});

describe('a look-up', () => {
  it('is written and read as the examples of RFC 8484 are', async () => {
    const sent: ResolverInit[] = [];
    const aaaa = `00008180000100010000000003777777076578616d706c6503636f6d00001c0001
      c00c001c000100000e7d001020010db8abcd00120001000200030004`.replaceAll(/\s/g, '');
    const fetch = async (_url: string, init: ResolverInit) => {
      sent.push(init);
      const isA = sent.length === 1;
      return dnsResponse(
        isA ? answerTo({ name: 'www.example.com', type: 'A' }, {}) : new Uint8Array(Buffer.from(aaaa, 'hex')),
      );
    };
    expect(await resolve('www.example.com', resolverUrl, { fetch, clock })).toEqual({
      outcome: 'found',
      addresses: ['2001:db8:abcd:12:1:2:3:4'],
      ttlMs: 3_709_000,
    });
    expect(Buffer.from(sent[0]?.body ?? []).toString('base64url')).toBe('AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB');
    expect(sent[0]).toMatchObject({
      method: 'POST',
      redirect: 'manual',
      headers: { accept: 'application/dns-message', 'content-type': 'application/dns-message' },
    });
  });
});
