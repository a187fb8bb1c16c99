import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base32, deadLetterId, derivedId, messageId, uuidMaker, uuidv7 } from '../../src/events/ids.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('base32', () => {
  test.each([
    ['', ''],
    ['f', 'my'],
    ['fo', 'mzxq'],
    ['foo', 'mzxw6'],
    ['foob', 'mzxw6yq'],
    ['fooba', 'mzxw6ytb'],
    ['foobar', 'mzxw6ytboi'],
  ])('%j is %j (RFC 4648, section 10)', (text, expected) => {
    expect(base32(encode(text))).toBe(expected);
  });
});

describe('uuidv7', () => {
  const random = new Uint8Array(10).fill(0xff);

  test('is the example of RFC 9562, appendix A.6', () => {
    const bytes = Uint8Array.from([0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f]);
    expect(uuidv7(0x017f22e279b0, bytes)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  test('sorts by time, and by counter within a millisecond', () => {
    const entropy = fc.uint8Array({ minLength: 10, maxLength: 16 });
    const moment = fc.nat({ max: 2 ** 47 });
    fc.assert(
      fc.property(moment, moment, entropy, entropy, (a, b, one, other) => {
        if (a < b) expect(uuidv7(a, one) < uuidv7(b, other)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(moment, fc.nat({ max: 4_094 }), entropy, entropy, (now, counter, one, other) => {
        expect(uuidv7(now, one, counter) < uuidv7(now, other, counter + 1)).toBe(true);
      }),
    );
  });

  test('wants its randomness whole and leaves it as it was', () => {
    expect(() => uuidv7(1, new Uint8Array(9))).toThrow(RangeError);
    uuidv7(1, random, 5);
    expect([...random]).toEqual(new Array(10).fill(0xff));
  });
});

describe('the ids of one request', () => {
  const bytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));

  test('sort in its order and have chance of their own each', () => {
    const makeId = uuidMaker(0x017f22e279b0, bytes);
    const ids = Array.from({ length: 1_000 }, (_, index) => makeId(index));
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids.map((id) => id.slice(19))).size).toBe(1_000);
    expect(ids.every((id) => /^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
  });

  test('take no more chance for one than it needs, and few calls for many', () => {
    const asked: number[] = [];
    const makeId = uuidMaker(1, (length) => {
      asked.push(length);
      return bytes(length);
    });
    expect(asked).toEqual([]);
    makeId(0);
    expect(asked).toEqual([10]);
    for (let index = 1; index < 100; index++) makeId(index);
    expect(asked).toEqual([10, 640, 640]);
  });
});

describe('ids made from what they name', () => {
  test('P5: a webhook-id is the same for ever', () => {
    // Fixed: consumers remember these. A change of this line breaks their deduplication.
    expect(messageId('billing', 'orders', 42)).toBe('msg_czf67xrvfj7ehybpva2xo3tk42');
    expect(messageId('billing', 'orders', 42)).toMatch(/^msg_[a-z2-7]{26}$/);
    expect(deadLetterId('billing', 'orders', 42)).toMatch(/^dl_[a-z2-7]{26}$/);
  });

  test('different deliveries have different ids, however the names run together', () => {
    const ids = [
      messageId('a', 'b.c', 1),
      messageId('a.b', 'c', 1),
      messageId('a', 'b.c', 11),
      messageId('b.c', 'a', 1),
    ];
    expect(new Set(ids).size).toBe(4);
  });

  test('P3: a derived id depends on caller, key and index, each by itself', () => {
    const id = derivedId('caller', 'key', 0);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(derivedId('caller', 'key', 0)).toBe(id);
    const others = [derivedId('caller', 'key', 1), derivedId('caller', 'key2', 0), derivedId('callerk', 'ey', 0)];
    expect(new Set([id, ...others]).size).toBe(4);
  });
});
