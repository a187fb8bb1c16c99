import { expect, test, vi } from 'vitest';
import { DiskSize } from '../../src/topics/disk-size.ts';
import { SIZE_ASKED_EVERY_BYTES, SIZE_NEAR_BYTES } from '../../src/topics/limits.ts';
import { NodeStorage } from '../support/node-storage.ts';

function asking(bytes: number) {
  const storage = new NodeStorage();
  const ask = vi.spyOn(storage.sql, 'databaseSize', 'get').mockReturnValue(bytes);
  return { storage, ask };
}

test('the size on disk is asked again once the log has grown, or is another', () => {
  const { storage, ask } = asking(4_096);
  const size = new DiskSize({ storage });
  for (let stored = 0; stored < SIZE_ASKED_EVERY_BYTES; stored += 100_000) expect(size.at(stored)).toBe(4_096);
  expect(ask).toHaveBeenCalledTimes(1);
  ask.mockReturnValue(9_000_000);
  expect(size.at(SIZE_ASKED_EVERY_BYTES)).toBe(9_000_000);
  // Deleted with its topic, it begins again.
  ask.mockReturnValue(4_096);
  expect(size.at(0)).toBe(4_096);
});

test('near to where it matters it is asked each time', () => {
  const { storage, ask } = asking(1_000);
  const size = new DiskSize({ storage, fillingBytes: SIZE_NEAR_BYTES + 1_001, fullBytes: 2 * SIZE_NEAR_BYTES });
  expect([size.at(1), size.at(2)]).toEqual([1_000, 1_000]);
  expect(ask).toHaveBeenCalledTimes(1);
  ask.mockReturnValue(1_001);
  size.at(SIZE_ASKED_EVERY_BYTES + 2);
  ask.mockReturnValue(1_002);
  expect(size.at(SIZE_ASKED_EVERY_BYTES + 3)).toBe(1_002);
});
