import { NO_CONSENT } from './consent.ts';
import { NO_PRESSURE } from './pressure.ts';
import type { SubscriptionRow } from './rows.ts';

/** What is known of a receiver that nothing is known of. */
export const HEALTHY = {
  streak: 0,
  probe_at: null,
  probe_delay: 0,
  slow: 0,
  failing_since: null,
  obstacle: null,
  obstacle_since: null,
  ...NO_PRESSURE,
};

/** The row of a subscription that is made now; counters that outlive a deletion go on. */
export function freshRow(old: SubscriptionRow | null, now: number): SubscriptionRow {
  return {
    document: null,
    incarnation: (old?.incarnation ?? 0) + 1,
    version: 0,
    target_version: old?.target_version ?? 0,
    paused: 0,
    disabled_reason: null,
    created_at: now,
    updated_at: now,
    secret: null,
    previous_secret: null,
    previous_expires_at: null,
    ...HEALTHY,
    mirror_version: old?.mirror_version ?? 0,
    mirror_dirty: 0,
    stalled_at: null,
    attach_after: null,
    healed: 0,
    alarm_failures: old?.alarm_failures ?? 0,
    letter_version: old?.letter_version ?? 0,
    patterns_since: '{}',
    told: null,
    told_at: 0,
    deaths: '{}',
    ordering: 'none',
    ...NO_CONSENT,
    hub: old?.hub ?? null,
    rate_cursor: old?.rate_cursor ?? 0,
    rate_booked: old?.rate_booked ?? '[]',
  };
}
