import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ENTRY_BYTES, probeAt, readEntry } from '../../src/topics/identity-pages.ts';
import { YoungIdentities } from '../../src/topics/young-identities.ts';
import { half } from '../support/new-events.ts';

const SECRET = 987_654_321;

function hashesOf(name: string, content: string): Uint8Array {
  return new Uint8Array([...half(name), ...half(content)]);
}

const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('add' as const), name: fc.integer({ min: 0, max: 60 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('back' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('remove' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
);

test('P3 the young identities are what a list of them is, whatever is added, taken back and removed', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const young = new YoungIdentities(SECRET);
      let list: { name: string; sequence: number }[] = [];
      let sequence = 0;
      const lastOf = (name: string, among = list) => among.findLast((one) => one.name === name)?.sequence;
      for (const todo of steps) {
        if (todo.kind === 'add') {
          sequence += 1;
          const name = `id-${todo.name}`;
          const hashes = hashesOf(name, `content ${sequence}`);
          young.add(probeAt(hashes, 0, SECRET), hashes, 0, sequence, sequence * 10);
          list.push({ name, sequence });
          continue;
        }
        const through = list[Math.floor(todo.share * list.length)]?.sequence ?? sequence;
        const before = list.filter((one) => one.sequence <= through);
        if (todo.kind === 'back') {
          young.takeBack(through);
          list = before;
        } else {
          const removed = young.removeThrough(through);
          const sequences = Array.from(
            { length: removed.length / ENTRY_BYTES },
            (_, index) => readEntry(removed, index * ENTRY_BYTES).sequence,
          );
          // Of each identity the last of those that went.
          expect(sequences).toEqual(
            before.filter((one) => lastOf(one.name, before) === one.sequence).map((one) => one.sequence),
          );
          list = list.filter((one) => one.sequence > through);
        }
      }
      for (let number = 0; number <= 61; number += 1) {
        const name = `id-${number}`;
        const last = lastOf(name);
        expect(young.find(probeAt(half(name), 0, SECRET))).toEqual(
          last === undefined ? null : { sequence: last, recordedAt: last * 10, mark: half(`content ${last}`) },
        );
      }
    }),
    { numRuns: 150 },
  );
});
