import { createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { Webhook as Svix } from 'svix';
import { describe, expect, it } from 'vitest';
import { fromBase64, toBase64 } from '../../src/base64.ts';
import { signer } from '../../src/deliveries/signature.ts';
import type { Random } from '../../src/platform.ts';
import { makeSecret, parseSecret, publicKeyOf, schemeOf } from '../../src/subscriptions/webhook-keys.ts';

const bytes = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 37 + 5) % 256);
const random: Random = { fraction: () => 0.5, bytes };
/** By Node's own implementation: `whpk_…` as the key, the signature with its prefix. */
function verifies(key: string | null, id: string, timestamp: number, body: Uint8Array, signature: string): boolean {
  const x = Buffer.from(key?.slice('whpk_'.length) ?? '', 'base64').toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  return verify(null, content, publicKey, Buffer.from(signature.slice('v1a,'.length), 'base64'));
}

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

  it('verify with the npm packages standardwebhooks and svix, whatever the body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), fc.json({ stringUnit: 'binary' }), (key, body) => {
        const secret = `whsec_${toBase64(key)}`;
        const timestamp = Math.floor(Date.now() / 1000);
        const headers = {
          'webhook-id': 'msg_a',
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signer(secret)('msg_a', timestamp, body),
        };
        for (const receiver of [new Webhook(secret), new Svix(secret)]) {
          expect(() => receiver.verify(body, headers)).not.toThrow();
          expect(() => receiver.verify(`${body} `, headers)).toThrow();
        }
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

describe('Ed25519 signatures', () => {
  // Svix's server publishes this pair and its signature; the specification shows the signature in its example.
  const PAIR = 'whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==';
  const SIGNATURE = 'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==';
  const SEED = `whsk_${toBase64(Buffer.from(PAIR.slice(5), 'base64').subarray(0, 32))}`;

  it.each([PAIR, SEED])('are those of the published vector', (secret) => {
    const signature = signer(secret)('msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}');
    expect(signature).toBe(SIGNATURE);
    expect(publicKeyOf(secret)).toBe('whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=');
  });

  it('verify by the public key with Node’s own Ed25519, whatever the body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array(), (seed, body) => {
        const secret = makeSecret({ fraction: () => 0.5, bytes: () => Uint8Array.from(seed) }, 'v1a');
        expect(verifies(publicKeyOf(secret), 'msg_a', 7, body, signer(secret)('msg_a', 7, body))).toBe(true);
        expect(verifies(publicKeyOf(secret), 'msg_a', 8, body, signer(secret)('msg_a', 7, body))).toBe(false);
      }),
      { numRuns: 20 },
    );
  });
});

it('signs text and the bytes of that text alike', () => {
  for (const scheme of ['v1', 'v1a'] as const) {
    const sign = signer(makeSecret(random, scheme));
    expect(sign('msg_a', 1, new TextEncoder().encode('Grüße ☃'))).toBe(sign('msg_a', 1, 'Grüße ☃'));
  }
});

describe('secrets', () => {
  it('made are whsec_ and 32 bytes', () => {
    const parsed = parseSecret(makeSecret(random));
    expect(parsed).toEqual({ ok: true, key: { scheme: 'v1', key: bytes(32) } });
  });

  it('made for Ed25519 are whsk_ with the public key behind the private one', () => {
    const secret = makeSecret(random, 'v1a');
    expect(schemeOf(secret)).toBe('v1a');
    const parsed = parseSecret(secret);
    expect(parsed).toMatchObject({ ok: true, key: { scheme: 'v1a', seed: bytes(32) } });
    const pair = fromBase64(secret.slice('whsk_'.length));
    expect(pair).toHaveLength(64);
    expect(publicKeyOf(secret)).toBe(`whpk_${toBase64(pair?.subarray(32) ?? new Uint8Array())}`);
    expect(publicKeyOf(secretOf(32))).toBe(null);
  });

  it.each([24, 25, 32, 63, 64])('of %i bytes are read', (length) => {
    expect(parseSecret(secretOf(length))).toEqual({ ok: true, key: { scheme: 'v1', key: bytes(length) } });
  });

  it.each([
    ['too short', secretOf(23)],
    ['too long', secretOf(65)],
    ['without prefix', toBase64(bytes(32))],
    ['a public key', `whpk_${toBase64(bytes(32))}`],
    ['a private key that is too short', `whsk_${toBase64(bytes(31))}`],
    ['a private key that is too long', `whsk_${toBase64(bytes(65))}`],
    ['a private key with another’s public key', `whsk_${toBase64(bytes(64))}`],
    ['empty', 'whsec_'],
    ['an empty private key', 'whsk_'],
    ['with white space', `${secretOf(32)} `],
    ['without padding', secretOf(25).replace(/=+$/, '')],
    ['in the URL alphabet', `whsec_${toBase64(new Uint8Array(30).fill(255)).replaceAll('/', '_')}`],
    ['with stray bits', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMf=='],
    ['no base64', 'whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!'],
  ])('%s are refused', (_what, secret) => {
    expect(parseSecret(secret).ok).toBe(false);
    const body = secret.replace(/^whsec_|^whsk_/, '');
    if (body.length > 0) expect(JSON.stringify(parseSecret(secret))).not.toContain(body);
    expect(() => signer(secret)('a', 1, 'x')).toThrow(/can't be signed/);
    expect(publicKeyOf(secret)).toBe(null);
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
