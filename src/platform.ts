/**
 * What the core (TopicLog, Subscription, the queue consumer) needs of the platform, and no more. In production these are
 * the Durable Object's context and the Worker's bindings; the simulation gives the same core Node's SQLite and one seed.
 */

export type SqlValue = ArrayBuffer | string | number | null;
export type SqlRow = Record<string, SqlValue>;

export interface SqlCursor<Row> extends Iterable<Row> {
  toArray(): Row[];
  one(): Row;
}

export interface Sql {
  exec<Row extends SqlRow>(query: string, ...bindings: SqlValue[]): SqlCursor<Row>;
  /** Bytes on disk. */
  readonly databaseSize: number;
}

/** A Durable Object's own storage. `setAlarm` inside `transactionSync` commits and rolls back with the rows. */
export interface ObjectStorage {
  readonly sql: Sql;
  transactionSync<T>(closure: () => T): T;
  setAlarm(at: number): Promise<void>;
  deleteAlarm(): Promise<void>;
  /** Resolves when everything written so far is durable. */
  sync(): Promise<void>;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  bytes(length: number): Uint8Array;
}

/** The HMAC-SHA-256 of a message under one key. */
export type Hmac = (message: Uint8Array) => Promise<Uint8Array>;

/** Keeps the object or Worker alive until `task` has settled (`ctx.waitUntil`). */
export type Background = (task: Promise<unknown>) => void;

/** One structured log line, written as JSON. Never given a secret. */
export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

/** The part of D1 that is used here. */
export interface Statement {
  bind(...values: unknown[]): Statement;
  first<Row>(): Promise<Row | null>;
  all<Row>(): Promise<{ results: Row[] }>;
  run(): Promise<{ meta: { changes: number } }>;
}

export interface Database {
  prepare(query: string): Statement;
  batch(statements: Statement[]): Promise<{ results: unknown[]; meta: { changes: number } }[]>;
}
