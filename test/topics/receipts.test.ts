import fc from 'fast-check';
import { expect, test } from 'vitest';
import { receiptsOf } from '../../src/topics/receipts.ts';

test('receipts name each event of a request: new ones in a row, duplicates where they were', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), fc.integer({ min: 1, max: 1000 }), (known, first) => {
      let next = first;
      const expected = known.map((duplicate, index) => ({ sequence: duplicate ? 5000 + index : next++, duplicate }));
      const duplicates = expected.flatMap(({ sequence, duplicate }, index) => (duplicate ? { index, sequence } : []));
      expect(receiptsOf({ outcome: 'appended', first, duplicates }, known.length)).toEqual(expected);
    }),
  );
});
