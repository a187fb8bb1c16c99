import type { LogEvent } from '../topics/protocol.ts';
import type { Leased } from './lease-content.ts';
import { LEASE_BYTES_MAX } from './limits.ts';
import type { Run } from './picking.ts';

/** An event on its way into a lease. */
export interface Grouped extends Leased {
  event: LogEvent;
}

/**
 * Runs in as few leases as may be, all about alike: of `share` events at most, unless a run alone has more. A run stays
 * together, because leases are under way at the same time; in a batch it is alone, if it has a key. Each ascending.
 */
export function groupsOf(runs: readonly Run[], share: number, isBatch: boolean): Grouped[][] {
  const count = runs.reduce((sum, { events }) => sum + events.length, 0);
  const size = isBatch ? share : Math.ceil(count / Math.ceil(count / share));
  const groups: Group[] = [];
  let open: Group | null = null;
  for (const { key, events } of runs) {
    const bytes = events.reduce((sum, { json }) => sum + json.length, 0);
    const isAlone = isBatch && key !== null;
    let group: Group | null = isAlone ? null : open;
    const isFull = !group || group.events.length + events.length > size || group.bytes + bytes > LEASE_BYTES_MAX;
    if (!group || isFull) {
      group = { events: [], bytes: 0 };
      groups.push(group);
      if (!isAlone) open = group;
    }
    for (const event of events) group.events.push({ sequence: event.sequence, key, event });
    group.bytes += bytes;
  }
  return groups.map(({ events }) => events.sort((a, b) => a.sequence - b.sequence));
}

interface Group {
  events: Grouped[];
  bytes: number;
}
