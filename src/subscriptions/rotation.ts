import type { LaneRow } from './rows.ts';
import { LANES_PAGE } from './sql-lanes.ts';

/** All lanes, beginning behind the one with this id and ending with it. */
export function* rotated(last: number, after: (id: number) => LaneRow[]): Generator<LaneRow> {
  for (const [start, end] of [
    [last, Number.POSITIVE_INFINITY],
    [0, last],
  ] as const) {
    for (let id = start; ; ) {
      const page = after(id);
      for (const lane of page) {
        if (lane.id > end) return;
        yield lane;
      }
      id = page.at(-1)?.id ?? id;
      if (page.length < LANES_PAGE) break;
    }
  }
}
