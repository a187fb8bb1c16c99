/** The rows of a log's tables (migrations.ts). */

export type MetaRow = {
  created_at: number | null;
  description: string;
  window_ms: number;
  version: number;
  incarnation: number;
  catalogued: number;
  removed_through: number;
  removed_recorded_at: number;
  sealed_through: number;
  keyed_through: number;
  index_secret: number;
  filling_told: number;
  unmarked_through: number;
};

export type NoticeRow = { position: number; id: string; type: string; at: number; data: string };

/** A segment without its body. */
export type SegmentRow = { first: number; count: number; recorded_at: number; bytes: number; bytes_before: number };

export type FullSegmentRow = { first: number; count: number; recorded_at: number; bytes: number; body: string };

/** A segment whole: `hashes` and `keys` of its events as `NewEvents` has them. */
export type NewSegmentRow = SegmentRow & { body: string; hashes: ArrayBuffer; keys: string | null };

/** The hashes of a segment's events. */
export type SegmentHashesRow = { first: number; count: number; recorded_at: number; hashes: ArrayBuffer };

/** The keys of a segment's events as a JSON array, in which null is no key. */
export type SegmentKeysRow = { first: number; count: number; keys: string };

/** `merges_into`: the run that this one is being merged into. `merged`: while it is being made, the pages of its sources in it. */
export type RunRow = {
  id: number;
  level: number;
  newest_at: number;
  merges_into: number | null;
  merged: number | null;
};

export type SubscriberRow = {
  name: string;
  attachment: string;
  exact: number;
  start: number;
  low: number;
  ticket: number | null;
  next: number | null;
  types: string | null;
  owed: number | null;
};

export type ParkedRow = {
  name: string;
  attachment: string;
  low: number;
  ticket: number;
  next: number;
  types: string;
  owed: number | null;
};
