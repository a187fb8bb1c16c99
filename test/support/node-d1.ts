import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database, Statement } from '../../src/platform.ts';
import { NodeDatabase } from './node-database.ts';
import { analysed } from './sql-text.ts';

/** The platform's limit of bound values in one statement. */
const BINDINGS_MAX = 100;

type Bound = string | number | null | Uint8Array;

interface Result {
  results: unknown[];
  meta: { changes: number };
}

/** How a call to D1 fails: `before` it had effect, or `after` (the answer is lost). Null: it does not. */
export type D1Failure = 'before' | 'after' | null;

/** The part of D1 that is used, over Node's SQLite. A batch is one transaction. */
export class NodeD1 implements Database {
  readonly #db: NodeDatabase;
  /** Set to make calls fail until it is set back to null. */
  failure: D1Failure = null;
  /** Stands around every call; the simulation waits and fails here. `work` has the effect. */
  around: (queries: string[], work: () => Result[]) => Promise<Result[]> = async (_queries, work) => {
    if (this.failure === 'before') {
      throw d1Error();
    }
    const results = work();
    if (this.failure === 'after') {
      throw d1Error();
    }
    return results;
  };

  constructor(path: string | NodeDatabase = ':memory:') {
    this.#db = typeof path === 'string' ? new NodeDatabase(path) : path;
  }

  /** The same database, with its own `around` and `failure`. */
  seenBy(around: NodeD1['around']): NodeD1 {
    const seen = new NodeD1(this.#db);
    seen.around = around;
    return seen;
  }

  /** A database with every migration of schemas/d1 applied. */
  static migrated(path = ':memory:'): NodeD1 {
    const database = new NodeDatabase(path);
    migrateDatabase(database);
    return new NodeD1(database);
  }

  prepare(query: string): Statement {
    return new NodeStatement(this, query, []);
  }

  async batch(batch: Statement[]): Promise<Result[]> {
    const own = batch.map((statement) => {
      if (!(statement instanceof NodeStatement)) {
        throw new TypeError('A batch takes statements prepared by the same database.');
      }
      return statement;
    });
    return this.around(
      own.map((statement) => statement.query),
      () => this.#transaction(() => own.map((statement) => this.execute(statement.query, statement.values))),
    );
  }

  /** Rows of a query at once, for a test's own look at the tables; never fails by `failure`. */
  query(sql: string, ...values: unknown[]): Record<string, unknown>[] {
    return this.#db
      .prepared(sql)
      .all(...values.map(toBound))
      .map((row) => ({ ...row }));
  }

  close(): void {
    this.#db.close();
  }

  /** Runs one statement with effect at once. */
  execute(query: string, values: Bound[]): Result {
    if (values.length > BINDINGS_MAX) {
      throw new Error('D1_ERROR: too many SQL variables');
    }
    if (values.length !== analysed(query).parameters) {
      throw new Error(`D1_ERROR: Wrong number of parameter bindings for SQL query: ${query}`);
    }
    const before = this.#changes();
    try {
      const results = this.#db
        .prepared(query)
        .all(...values)
        .map((row) => ({ ...row }));
      return { results, meta: { changes: this.#changes() - before } };
    } catch (error) {
      throw new Error(`D1_ERROR: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #transaction<T>(work: () => T): T {
    this.#db.exec('SAVEPOINT batch');
    try {
      const result = work();
      this.#db.exec('RELEASE batch');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK TO batch; RELEASE batch');
      throw error;
    }
  }

  #changes(): number {
    return Number(this.#db.prepared('SELECT total_changes() AS changes').get()?.changes);
  }
}

class NodeStatement implements Statement {
  readonly #d1: NodeD1;
  readonly query: string;
  readonly values: Bound[];

  constructor(d1: NodeD1, query: string, values: Bound[]) {
    this.#d1 = d1;
    this.query = query;
    this.values = values;
  }

  bind(...values: unknown[]): Statement {
    return new NodeStatement(this.#d1, this.query, values.map(toBound));
  }

  async first<Row>(): Promise<Row | null> {
    const { results } = await this.all<Row>();
    return results[0] ?? null;
  }

  async all<Row>(): Promise<{ results: Row[] }> {
    const { results } = await this.#run();
    // D1 takes the caller's word for the row's shape; so does this.
    return { results: results as Row[] };
  }

  run(): Promise<{ meta: { changes: number } }> {
    return this.#run();
  }

  async #run(): Promise<Result> {
    const [result] = await this.#d1.around([this.query], () => [this.#d1.execute(this.query, this.values)]);
    if (result === undefined) {
      throw new Error('D1_ERROR: no result');
    }
    return result;
  }
}

/** What D1 throws when it cannot be reached. */
export function d1Error(): Error {
  return new Error('D1_ERROR: Network connection lost.');
}

function toBound(value: unknown): Bound {
  if (value === null || typeof value === 'string' || typeof value === 'number') {
    return value;
  }
  if (typeof value === 'boolean') {
    return value ? 1 : 0;
  }
  if (value instanceof ArrayBuffer) {
    return new Uint8Array(value);
  }
  throw new Error(`D1_TYPE_ERROR: Type '${typeof value}' not supported for value '${String(value)}'`);
}

/** Applies every migration of schemas/d1. */
export function migrateDatabase(database: NodeDatabase): void {
  for (const script of migrationScripts()) database.exec(script);
}

let scripts: string[] | null = null;

/** The texts of schemas/d1/*.sql in their order. */
export function migrationScripts(): string[] {
  if (scripts === null) {
    const folder = fileURLToPath(new URL('../../schemas/d1/', import.meta.url).href);
    scripts = readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .map((name) => readFileSync(join(folder, name), 'utf8'));
  }
  return scripts;
}
