/** A place in a topic, the same everywhere. */
export type Position =
  | { kind: 'earliest' }
  | { kind: 'latest' }
  | { kind: 'sequence'; sequence: number }
  /** Milliseconds since the epoch. */
  | { kind: 'time'; time: number };
