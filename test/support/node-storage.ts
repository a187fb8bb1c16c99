import type { ObjectStorage, Sql, SqlCursor, SqlRow, SqlValue } from '../../src/platform.ts';
import { NodeDatabase } from './node-database.ts';
import { analysed } from './sql-text.ts';

/** The platform's limits, so that code that breaks them fails here too. */
const BINDINGS_MAX = 100;
const VALUE_BYTES_MAX = 2 * 1024 * 1024;

export interface NodeStorageOptions {
  /** A file, `:memory:` (the default), or one that is open. The alarm lives with this instance, not in the database. */
  path?: string | NodeDatabase;
  /**
   * `at-once` (the default) commits every statement or transaction. `on-flush` keeps what was written revocable until
   * `flush()`, as the platform does until the disk has confirmed; `crash()` then loses it.
   */
  durability?: 'at-once' | 'on-flush';
}

/**
 * A Durable Object's storage over Node's SQLite, as strict as the platform: transaction statements and most pragmas are
 * refused, integers past 2^53 too, blobs come and go as ArrayBuffers, and `setAlarm` belongs to the transaction it is in.
 */
export class NodeStorage implements ObjectStorage {
  readonly sql: Sql;
  readonly #db: NodeDatabase;
  readonly #revocable: boolean;
  #depth = 0;
  #dirty = false;
  #alarm: number | null = null;
  #flushedAlarm: number | null = null;
  /** Called on `sync()`; the simulation makes it wait. */
  onSync: () => Promise<void> = async () => {
    this.flush();
  };
  /** Called whenever the alarm may have changed. */
  onAlarm: () => void = () => {};
  /** Called at the first write since the last `flush()`. */
  onDirty: () => void = () => {};
  /** Statements executed, for tests that bound work. */
  executed = 0;
  /** Grows with every statement and transaction that may have written. */
  writes = 0;

  constructor(options: NodeStorageOptions = {}) {
    const { path = ':memory:' } = options;
    this.#db = typeof path === 'string' ? new NodeDatabase(path) : path;
    this.#revocable = options.durability === 'on-flush';
    const execute = this.#execute.bind(this);
    const size = () => this.#size();
    this.sql = {
      exec: <Row extends SqlRow>(query: string, ...bindings: SqlValue[]): SqlCursor<Row> =>
        new Cursor<Row>(execute(query, bindings)),
      get databaseSize() {
        return size();
      },
    };
  }

  /** When the alarm is due, or null. */
  get alarm(): number | null {
    return this.#alarm;
  }

  /** The alarm fires: it is not set any more, whatever becomes of writes since the last flush. */
  takeAlarm(): void {
    this.#flushedAlarm = null;
    this.#setAlarm(null);
  }

  /** The platform sets the alarm itself, to try its handler again. */
  restoreAlarm(at: number): void {
    this.#flushedAlarm = at;
    this.#setAlarm(at);
  }

  /** There are writes that a crash would lose. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** Rows inserted, updated and deleted so far. */
  get rowsChanged(): number {
    return Number(this.#db.prepared('SELECT total_changes() AS changes').get()?.changes);
  }

  transactionSync<T>(closure: () => T): T {
    this.#touch();
    const name = `depth_${this.#depth}`;
    const alarm = this.#alarm;
    this.#db.exec(`SAVEPOINT ${name}`);
    this.#depth += 1;
    try {
      const result = closure();
      if (result instanceof Promise) {
        throw new Error('The closure of transactionSync() must not be async.');
      }
      this.#db.exec(`RELEASE ${name}`);
      return result;
    } catch (error) {
      this.#db.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
      this.#setAlarm(alarm);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  async setAlarm(at: number): Promise<void> {
    if (!Number.isFinite(at) || at < 0) {
      throw new TypeError('setAlarm() cannot be called with an alarm time that is not a time');
    }
    this.#touch();
    this.#setAlarm(at);
  }

  async deleteAlarm(): Promise<void> {
    this.#touch();
    this.#setAlarm(null);
  }

  sync(): Promise<void> {
    return this.onSync();
  }

  /** Makes everything written so far survive a crash. Does nothing unless `on-flush`. */
  flush(): void {
    if (this.#dirty) {
      this.#db.exec('RELEASE unflushed');
      this.#dirty = false;
    }
    this.#flushedAlarm = this.#alarm;
  }

  /** Loses what was written since the last flush, as a crash may. Does nothing unless `on-flush`. */
  crash(): void {
    if (this.#dirty) {
      this.#db.exec('ROLLBACK TO unflushed; RELEASE unflushed');
      this.#dirty = false;
      this.#setAlarm(this.#flushedAlarm);
    }
  }

  close(): void {
    this.#db.close();
  }

  #setAlarm(at: number | null): void {
    this.#alarm = at;
    this.onAlarm();
  }

  #touch(): void {
    this.writes += 1;
    if (this.#revocable && !this.#dirty) {
      this.#db.exec('SAVEPOINT unflushed');
      this.#dirty = true;
      this.onDirty();
    }
  }

  #execute(query: string, bindings: SqlValue[]): SqlRow[] {
    this.executed += 1;
    const { isScript, parameters, writes } = analysed(query);
    if (isScript) {
      if (bindings.length > 0) {
        throw new Error('A script of several statements takes no bindings here.');
      }
      this.#touch();
      this.#db.exec(query);
      return [];
    }
    if (bindings.length > BINDINGS_MAX) {
      throw new Error('too many SQL variables');
    }
    if (writes) {
      this.#touch();
    }
    if (parameters !== bindings.length) {
      throw new Error(
        `Wrong number of parameter bindings for SQL query: expected ${parameters}, got ${bindings.length}: ${query}`,
      );
    }
    return this.#db
      .prepared(query)
      .all(...bindings.map(toNode))
      .map(fromNode);
  }

  #size(): number {
    const row = this.#db
      .prepared('SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()')
      .get();
    return Number(row?.bytes);
  }
}

class Cursor<Row extends SqlRow> implements SqlCursor<Row> {
  readonly #rows: SqlRow[];

  constructor(rows: SqlRow[]) {
    this.#rows = rows;
  }

  toArray(): Row[] {
    // The platform's `exec` takes the caller's word for the row's shape; so does this.
    return this.#rows as Row[];
  }

  one(): Row {
    const [row, ...more] = this.toArray();
    if (row === undefined || more.length > 0) {
      throw new Error(
        `Expected exactly one result from SQL query, but got ${row === undefined ? 'no' : 'multiple'} results.`,
      );
    }
    return row;
  }

  [Symbol.iterator](): Iterator<Row> {
    return this.toArray()[Symbol.iterator]();
  }
}

function toNode(value: unknown): string | number | null | Uint8Array {
  if (value === null) {
    return null;
  }
  if (typeof value === 'string') {
    if (value.length > VALUE_BYTES_MAX / 4 && Buffer.byteLength(value) > VALUE_BYTES_MAX) {
      throw new Error('string or blob too big');
    }
    return value;
  }
  if (typeof value === 'number') {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new RangeError(`The integer ${value} is past 2^53 and would come back rounded.`);
    }
    return value;
  }
  if (value instanceof ArrayBuffer) {
    if (value.byteLength > VALUE_BYTES_MAX) {
      throw new Error('string or blob too big');
    }
    return new Uint8Array(value);
  }
  throw new TypeError(`The platform takes ArrayBuffer, string, number and null, not ${typeof value}.`);
}

function fromNode(row: Record<string, unknown>): SqlRow {
  const copy: SqlRow = {};
  for (const name in row) {
    const value = row[name];
    if (typeof value === 'string' || typeof value === 'number' || value === null) {
      copy[name] = value;
    } else if (value instanceof Uint8Array) {
      copy[name] = new Uint8Array(value).buffer;
    } else {
      throw new TypeError(`SQLite gave a ${typeof value} for ${name}.`);
    }
  }
  return copy;
}
