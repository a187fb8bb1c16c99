import { describe, expect, it } from 'vitest';
import { openText, sealText } from '../../src/access/passphrase.ts';

const random = { fraction: () => 0, bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };

describe('P7 closed: text sealed under a passphrase', () => {
  const sealed = sealText('what nobody may see: ü', 'correct horse battery', random);

  it('opens with it, and with no other', () => {
    expect(openText(sealed, 'correct horse battery')).toBe('what nobody may see: ü');
    expect(openText(sealed, 'correct horse batterz')).toBeNull();
  });

  it('is another each time', () => {
    const again = sealText('what nobody may see: ü', 'correct horse battery', random);
    expect(again.salt).not.toBe(sealed.salt);
    expect(again.box).not.toBe(sealed.box);
  });

  it.each([
    ['a changed box', { ...sealed, box: sealed.box.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) }],
    ['an empty box', { ...sealed, box: '' }],
    ['a box that is no base64', { ...sealed, box: '%' }],
    ['a short salt', { ...sealed, salt: 'AAAA' }],
  ])('is not opened where it is damaged: %s', (_what, damaged) => {
    expect(openText(damaged, 'correct horse battery')).toBeNull();
  });

  it('is what scrypt and AES-GCM of the platform make of it', async () => {
    const vector = { salt: 'AAECAwQFBgcICQoLDA0ODw==', box: '' };
    const { scryptSync, createCipheriv } = await import('node:crypto');
    const salt = Buffer.from(vector.salt, 'base64');
    const key = scryptSync('correct horse battery', salt, 32, { N: 32_768, r: 8, p: 3, maxmem: 64 * 1024 * 1024 });
    const nonce = Buffer.alloc(12, 7);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const box = Buffer.concat([nonce, cipher.update('plain'), cipher.final(), cipher.getAuthTag()]);
    expect(openText({ ...vector, box: box.toString('base64') }, 'correct horse battery')).toBe('plain');
  });
});
