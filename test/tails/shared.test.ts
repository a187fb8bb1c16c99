import { describe, expect, it } from 'vitest';
import { SHARED_MAX } from '../../src/tails/limits.ts';
import { joined, Shared } from '../../src/tails/shared.ts';

describe('P6 what readers share', () => {
  it('is the youngest, by size and by number', () => {
    const bySize = new Shared<string, number>(10);
    bySize.keep('a', 1, 4);
    bySize.keep('b', 2, 4);
    bySize.keep('a', 3, 6);
    expect([bySize.get('a'), bySize.get('b')]).toEqual([3, 2]);
    bySize.keep('c', 4, 1);
    expect([bySize.get('a'), bySize.get('b'), bySize.get('c')]).toEqual([3, undefined, 4]);
    bySize.keep('d', 5, 11);
    expect([bySize.get('a'), bySize.get('c'), bySize.get('d')]).toEqual([undefined, undefined, undefined]);

    const byNumber = new Shared<number, number>(10);
    for (let key = 0; key <= SHARED_MAX; key += 1) byNumber.keep(key, key, 0);
    expect([byNumber.get(0), byNumber.get(1), byNumber.get(SHARED_MAX)]).toEqual([undefined, 1, SHARED_MAX]);
  });

  it('is forgotten when the last of them has gone', () => {
    const shared = new Shared<string, number>(10);
    const [one, other] = [joined(), joined()];
    shared.keep('a', 1, 9);
    one();
    expect(shared.get('a')).toBe(1);
    other();
    expect(shared.get('a')).toBeUndefined();
    shared.keep('b', 2, 9);
    expect(shared.get('b')).toBe(2);
  });
});
