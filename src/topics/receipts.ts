import type { AppendResult } from './protocol.ts';

/** Where an event is in the log. */
export interface Receipt {
  sequence: number;
  /** It was there already. */
  duplicate: boolean;
}

/** What an append says of each of the `count` events of its request, in their order. */
export function receiptsOf(
  { first, duplicates }: Extract<AppendResult, { outcome: 'appended' }>,
  count: number,
): Receipt[] {
  const receipts: Receipt[] = [];
  let known = 0;
  for (let index = 0; index < count; index += 1) {
    const duplicate = duplicates[known];
    if (duplicate?.index === index) {
      known += 1;
      receipts.push({ sequence: duplicate.sequence, duplicate: true });
    } else {
      receipts.push({ sequence: first + index - known, duplicate: false });
    }
  }
  return receipts;
}
