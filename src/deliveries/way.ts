import type { ClaimedEvent, DeliveryOutcome, SharedRequest } from '../subscriptions/protocol-claims.ts';
import type { Slot } from './pace.ts';

/** Events that go together. */
export type Part = readonly [ClaimedEvent, ...ClaimedEvent[]];

/** What goes one after the other, each part only if the one before was taken. */
export type Run = readonly [Part, ...Part[]];

/** How the events of a claim go out: all that a lease on its way knows of it. */
export interface Way {
  /** All events of the claim. Runs may be under way at the same time. */
  readonly runs: readonly Run[];
  /** How many requests an invocation of the Worker may have made, and still go on with another lease of this kind. */
  readonly mayFollow: number;
  /** What may take its time before a part is sent, and has to be done before its slot is taken. Never throws. */
  ready(): Promise<unknown>;
  /**
   * Sends a part. Never throws: whatever happens is an outcome of each event, but where its consumer is to tell.
   *
   * @param slot in which it has to start; where it can't any more nothing is sent, and the events are released.
   */
  send(part: Part, slot: Slot | null): Promise<DeliveryOutcome[]>;
  /** What the requests so far had in common, to be told of; undefined: none was sent. */
  shared(): SharedRequest | undefined;
}

/**
 * Events by what is sent one after the other: those with the same key, each by itself, in the order of their first. Of those
 * without a key up to `most` go together, unless `isAlone`.
 */
export function runsOf(
  events: readonly ClaimedEvent[],
  most: number,
  isAlone: (event: ClaimedEvent) => boolean = () => false,
): Run[] {
  const runs: [Part, ...Part[]][] = [];
  const byKey = new Map<string, Part[]>();
  let open: [ClaimedEvent, ...ClaimedEvent[]] | null = null;
  for (const event of events) {
    if (event.key !== null) {
      const run = byKey.get(event.key);
      if (run !== undefined) {
        run.push([event]);
        continue;
      }
      const fresh: [Part, ...Part[]] = [[event]];
      runs.push(fresh);
      byKey.set(event.key, fresh);
    } else if (isAlone(event)) {
      runs.push([[event]]);
    } else if (open !== null && open.length < most) {
      open.push(event);
    } else {
      open = [event];
      runs.push([open]);
    }
  }
  return runs;
}
