import { describe, expect, it } from 'vitest';
import { addressVerdict } from '../../src/deliveries/addresses.ts';
import { urlRules } from '../../src/deliveries/url-rules.ts';
import { URL_TABLE } from './url-table.ts';

const NOTHING_ALLOWED = { allowHosts: '', hubHosts: 'hub.example.com' };

function codeOf(url: string, options = NOTHING_ALLOWED): string | null {
  const verdict = urlRules(options).check(url);
  return verdict.ok ? null : verdict.code;
}

describe('P7: a webhook is never pointed inside', () => {
  it('is judged by at least 120 addresses', () => {
    expect(URL_TABLE.length).toBeGreaterThanOrEqual(120);
  });

  it.each(URL_TABLE)('%j → %s', (url, refusal) => {
    expect(codeOf(url)).toBe(refusal);
  });

  it('gives back the URL as it has read it', () => {
    expect(urlRules(NOTHING_ALLOWED).check('https://EXAMPLE.com:443/a/../b')).toEqual({
      ok: true,
      url: 'https://example.com/b',
      name: 'example.com',
    });
  });

  it.each(['ftp://example.com/', 'http://example.com/'])('names the scheme of %s in a sentence', (url) => {
    expect(urlRules(NOTHING_ALLOWED).check(url)).toMatchObject({
      detail: `A webhook goes to https, not to ${url.split(':')[0]}.`,
    });
  });

  it('says what is wrong without repeating a password', () => {
    const verdict = urlRules(NOTHING_ALLOWED).check('https://user:hunter2@example.com/');
    expect(JSON.stringify(verdict)).not.toContain('hunter2');
  });
});

describe('hosts that are allowed', () => {
  const options = { allowHosts: ' LocalHost , 127.0.0.1:9000,[::1], receiver.internal ,:5,https://x,', hubHosts: '' };

  it.each([
    ['http://localhost/', null],
    ['http://localhost:22/', null],
    ['https://LOCALHOST.:9999/', null],
    ['http://127.0.0.1:9000/', null],
    ['http://0x7f.1:9000/', null],
    ['http://[::1]:7/', null],
    ['http://[0:0::1]/', null],
    ['http://receiver.internal/', null],
    ['http://127.0.0.1:9001/', 'scheme-not-allowed'],
    ['https://127.0.0.1:9001/', 'address-not-public'],
    ['https://127.0.0.2:9000/', 'address-not-public'],
    ['https://other.internal/', 'name-not-public'],
    ['http://user@localhost/', 'user-info-not-allowed'],
    ['ftp://localhost/', 'scheme-not-allowed'],
    ['https://x/', 'name-not-public'],
  ])('%j → %s', (url, refusal) => {
    expect(codeOf(url, options)).toBe(refusal);
  });

  it('do not open the hub itself, by whatever name its loopback goes', () => {
    const local = { allowHosts: 'localhost,127.0.0.1,[::1]', hubHosts: '127.0.0.1:8787' };
    expect(codeOf('http://127.0.0.1:8787/v1', local)).toBe('own-host');
    expect(codeOf('http://localhost:8787/v1', local)).toBe('own-host');
    expect(codeOf('http://[::1]:8787/v1', local)).toBe('own-host');
    expect(codeOf('http://localhost:8788/v1', local)).toBe(null);
  });

  it('distinguish port 80 from no port', () => {
    const only80 = { allowHosts: 'localhost:80', hubHosts: '' };
    expect(codeOf('http://localhost/', only80)).toBe(null);
    expect(codeOf('http://localhost:81/', only80)).toBe('scheme-not-allowed');
  });
});

describe('addresses by themselves, as a look-up of a name will give them', () => {
  it.each(['8.8.8.8', '2606:4700::1111', '64:ff9b::808:808'])('%s is public', (ip) => {
    expect(addressVerdict(ip)).toEqual({ ok: true });
  });

  it.each(['10.0.0.1', '::1', 'fe80::1%eth0', 'not an address', '', '64:ff9b::a00:1'])('%j is not', (ip) => {
    expect(addressVerdict(ip).ok).toBe(false);
  });

  it('names the address inside a NAT64 one', () => {
    expect(addressVerdict('64:ff9b::10.0.0.1')).toMatchObject({ detail: expect.stringContaining('10.0.0.1') });
  });
});
