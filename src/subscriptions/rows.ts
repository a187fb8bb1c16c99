import type { Ordering } from './document.ts';

/** The rows of a Subscription's tables, as migrations.ts describes them. */

export type SubscriptionRow = {
  document: string | null;
  incarnation: number;
  version: number;
  target_version: number;
  paused: number;
  disabled_reason: string | null;
  created_at: number;
  updated_at: number;
  secret: string | null;
  previous_secret: string | null;
  previous_expires_at: number | null;
  streak: number;
  probe_at: number | null;
  probe_delay: number;
  slow: number;
  mirror_version: number;
  mirror_dirty: number;
  stalled_at: number | null;
  attach_after: string | null;
  healed: number;
  alarm_failures: number;
  letter_version: number;
  failing_since: number | null;
  patterns_since: string;
  obstacle: string | null;
  obstacle_since: number | null;
  told: 'failing' | 'disabled' | 'error' | null;
  told_at: number;
  deaths: string;
  ordering: Ordering;
  consent: 'pending' | 'given' | null;
  consent_token: string | null;
  consent_due: number | null;
  consent_delay: number;
  consent_reason: string | null;
  granted_rate: number | null;
  hub: string | null;
  rate_cursor: number;
  rate_booked: string;
  concurrency: number | null;
  slowed_since: number | null;
  halved_at: number;
  retry_after: number | null;
};

/**
 * Of a live lane: `attaching`, `active`; `removed` where its topic was given up; `uncounted` where it only carries redriven
 * letters, and is in no sums. Of a replay: `active`, `done`, `cancelled`, `failed`.
 */
export type LaneStatus = 'attaching' | 'active' | 'removed' | 'uncounted' | 'done' | 'cancelled' | 'failed';

export type LaneRow = {
  id: number;
  topic: string;
  replay: string | null;
  status: LaneStatus;
  attachment: string;
  exact: number;
  origin: number;
  start: number;
  next: number;
  until: number | null;
  parked: number | null;
  types: string;
  cel: string | null;
  rate_count: number | null;
  rate_span: number | null;
  rate_cursor: number;
  delivered: number;
  filtered: number;
  skipped: number;
  discarded: number;
  dead: number;
  failed: number;
  in_flight: number;
  retrying: number;
  created_at: number;
  ended_at: number | null;
  error: string | null;
  mirrored: number;
  held: number;
};

export type LeaseRow = {
  id: number;
  lane: number;
  retry: number;
  sequences: string;
  count: number;
  token: string | null;
  claims: number;
  sends: number;
  due: number;
  target_version: number;
  keys: string | null;
  batch: number | null;
  paced: number;
  held_since: number | null;
  held_for: number | null;
  strays: string | null;
};

export type ExceptionRow = {
  lane: number;
  sequence: number;
  attempts: number;
  tries: number;
  due: number;
  lease: number | null;
  redriven: number;
  event: string | null;
  first_attempt_at: number | null;
  last_status: number | null;
  last_error: string | null;
  key: string | null;
  batch: number | null;
  tokens: string | null;
  behind: number;
};

export type HoldRow = {
  lane: number;
  key: string;
  first: number;
  blocked: number;
};

export type LetterState = 'open' | 'redriven' | 'resolved' | 'discarded';

export type LetterRow = {
  topic: string;
  sequence: number;
  lane: number | null;
  state: LetterState;
  reason: string;
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  first_attempt_at: number | null;
  died_at: number;
  redriven_at: number | null;
  resolved_at: number | null;
  discarded_at: number | null;
  event: string | null;
  version: number;
  dirty: number;
  replayed: number;
};

export type NoticeRow = {
  position: number;
  id: string;
  type: string;
  at: number;
  data: string;
  open: number | null;
};

/** A lane as it is made; its counters start at 0. */
export type NewLane = Omit<
  LaneRow,
  'id' | 'delivered' | 'filtered' | 'skipped' | 'discarded' | 'dead' | 'failed' | 'in_flight' | 'retrying' | 'held'
>;

export type AttemptsRow = {
  id: number;
  topic: string;
  replay: string | null;
  first: number;
  last: number;
  at: number;
  total: number;
  /** As recorded-attempts.ts has it. */
  body: string;
  request: string | null;
};

export type StatsRow = { through: number; total: number; body: string };

/** The counters of a lane that a transition may change, as differences. */
export type LaneChange = Partial<
  Pick<
    LaneRow,
    'delivered' | 'filtered' | 'skipped' | 'discarded' | 'dead' | 'failed' | 'in_flight' | 'retrying' | 'held'
  >
>;
