import { describe, expect, it } from 'vitest';
import { toBase64 } from '../../src/base64.ts';
import type { Random } from '../../src/platform.ts';
import { Vault, VaultError } from '../../src/subscriptions/vault.ts';

const random: Random = {
  fraction: () => 0.5,
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};
const hubSecret = (fill: number, length = 32) => toBase64(new Uint8Array(length).fill(fill));
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

function codeOf(open: () => unknown): string {
  try {
    open();
  } catch (error) {
    if (error instanceof VaultError) return error.code;
  }
  return 'opened';
}

describe('P7: secrets at rest', () => {
  it('open where they were sealed', () => {
    const vault = new Vault(hubSecret(1));
    expect(vault.open(vault.seal(SECRET, random, 'billing'), 'billing')).toBe(SECRET);
    expect(vault.open(vault.seal('', random, 'ü'), 'ü')).toBe('');
  });

  it('are not to be seen, and never the same twice', () => {
    const vault = new Vault(hubSecret(1));
    const sealed = [vault.seal(SECRET, random, 'billing'), vault.seal(SECRET, random, 'billing')];
    expect(JSON.stringify(sealed)).not.toContain(SECRET.slice(6));
    expect(sealed[0]?.box).not.toBe(sealed[1]?.box);
  });

  it('do not open for another subscription, nor when changed', () => {
    const vault = new Vault(hubSecret(1));
    const sealed = vault.seal(SECRET, random, 'billing');
    expect(codeOf(() => vault.open(sealed, 'email'))).toBe('damaged');
    const changed = atob(sealed.box);
    const flipped = btoa(changed.slice(0, -1) + String.fromCharCode(changed.charCodeAt(changed.length - 1) ^ 1));
    expect(codeOf(() => vault.open({ ...sealed, box: flipped }, 'billing'))).toBe('damaged');
    expect(codeOf(() => vault.open({ ...sealed, box: '' }, 'billing'))).toBe('damaged');
    expect(codeOf(() => vault.open({ ...sealed, box: 'not base64' }, 'billing'))).toBe('damaged');
  });

  it('open after a rotation: the first secret seals, all open', () => {
    const before = new Vault(hubSecret(1));
    const sealed = before.seal(SECRET, random, 'billing');
    const after = new Vault(`${hubSecret(2)}, ${hubSecret(1)}`);
    expect(after.open(sealed, 'billing')).toBe(SECRET);
    expect(after.keyId).not.toBe(before.keyId);
    expect(after.seal(SECRET, random, 'billing').keyId).toBe(new Vault(hubSecret(2)).keyId);
  });

  it('name the key that is missing', () => {
    const sealed = new Vault(hubSecret(1)).seal(SECRET, random, 'billing');
    const other = new Vault(hubSecret(2));
    expect(codeOf(() => other.open(sealed, 'billing'))).toBe('unknown-key');
    expect(() => other.open(sealed, 'billing')).toThrow(sealed.keyId);
  });

  it.each([
    ['empty', ''],
    ['too short', hubSecret(1, 31)],
    ['no base64', 'x'.repeat(43)],
    ['empty at the end', `${hubSecret(1)},`],
  ])('are neither sealed nor opened by a HUB_SECRET that is %s, and it is not repeated', (_what, text) => {
    const sealed = new Vault(hubSecret(1)).seal(SECRET, random, 'billing');
    const vault = new Vault(text);
    expect(vault.keyId).toBeNull();
    for (const work of [() => vault.seal(SECRET, random, 'billing'), () => vault.open(sealed, 'billing')]) {
      expect(codeOf(work)).toBe('no-secret');
      expect(work).toThrow(/^HUB_SECRET is not base64/);
      if (text !== '') expect(work).not.toThrow(text);
    }
  });

  it('keep their key: what is stored opens with the code of tomorrow', () => {
    const fixed: Random = { ...random, bytes: (length) => new Uint8Array(length).fill(7) };
    expect(new Vault(hubSecret(1)).seal(SECRET, fixed, 'billing')).toMatchInlineSnapshot(`
      {
        "box": "BwcHBwcHBwcHBwcHIyUs4KThirB1z54idP79VVK1vsaLO+AW9qEyNztQzRkQwGHz/4RDtVxHE7UK3WHRzK8likUt",
        "keyId": "72ea2cfb",
      }
    `);
  });
});
