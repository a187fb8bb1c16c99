import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { fromBase64, toBase64 } from '../../src/base64.ts';
import { parseSecret, signer } from '../../src/deliveries/signature.ts';
import type { Random } from '../../src/platform.ts';
import { makeSecret } from '../../src/subscriptions/secrets.ts';

const bytes = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 37 + 5) % 256);
const random: Random = { fraction: () => 0.5, bytes };
const secretOf = (length: number) => `whsec_${toBase64(bytes(length))}`;

describe('signatures', () => {
  it('are those of the published vector', () => {
    const signature = signer('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')(
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1614265330,
      '{"test": 2432232314}',
    );
    expect(signature).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  it('verify with the npm package standardwebhooks, whatever the body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), fc.json({ stringUnit: 'binary' }), (key, body) => {
        const secret = `whsec_${toBase64(key)}`;
        const timestamp = Math.floor(Date.now() / 1000);
        const headers = {
          'webhook-id': 'msg_a',
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signer(secret)('msg_a', timestamp, body),
        };
        expect(() => new Webhook(secret).verify(body, headers)).not.toThrow();
        expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow();
      }),
      { numRuns: 200 },
    );
  });

  it('differ when id, time or body differ', () => {
    const secret = secretOf(32);
    const all = [
      signer(secret)('a', 1, 'x'),
      signer(secret)('b', 1, 'x'),
      signer(secret)('a', 2, 'x'),
      signer(secret)('a', 1, 'y'),
    ];
    expect(new Set(all).size).toBe(4);
  });
});

describe('secrets', () => {
  it('made are whsec_ and 32 bytes', () => {
    const parsed = parseSecret(makeSecret(random));
    expect(parsed).toEqual({ ok: true, key: bytes(32) });
  });

  it.each([24, 25, 32, 63, 64])('of %i bytes are read', (length) => {
    expect(parseSecret(secretOf(length))).toEqual({ ok: true, key: bytes(length) });
  });

  it.each([
    ['too short', secretOf(23)],
    ['too long', secretOf(65)],
    ['without prefix', toBase64(bytes(32))],
    ['with another prefix', `whsk_${toBase64(bytes(32))}`],
    ['empty', 'whsec_'],
    ['with white space', `${secretOf(32)} `],
    ['without padding', secretOf(25).replace(/=+$/, '')],
    ['in the URL alphabet', `whsec_${toBase64(new Uint8Array(30).fill(255)).replaceAll('/', '_')}`],
    ['with stray bits', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMf=='],
    ['no base64', 'whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!'],
  ])('%s are refused', (_what, secret) => {
    expect(parseSecret(secret).ok).toBe(false);
    const body = secret.slice(6);
    if (body.length > 0) expect(JSON.stringify(parseSecret(secret))).not.toContain(body);
    expect(() => signer(secret)('a', 1, 'x')).toThrow(/can't be signed/);
  });
});

describe('base64', () => {
  it('reads what it writes and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (data) => {
        expect(fromBase64(toBase64(data))).toEqual(Uint8Array.from(data));
      }),
    );
    for (const text of ['A', 'AA', 'AAA', 'AA=', 'AB==', 'A===', ' AAAA', 'AA\n==', '====', 'AA-_']) {
      expect(fromBase64(text)).toBe(null);
    }
  });
});
