import {
  APPLIED,
  applicationOf,
  KEEP_DAYS,
  ONCE_TABLE_SQL,
  type OnceEvent,
  type OnceOptions,
  RECORD,
  rowOf,
  SECONDS_A_DAY,
  TRIM,
  TRIMMED_AN_EVENT,
} from './once-table.ts';

/**
 * Effects in D1 that happen exactly once: a consumer's statements and a row that says that they ran are one batch, which D1
 * runs as one transaction. The row goes first, so that of two deliveries of an event the second fails before it does anything.
 */

/** Of D1's interface what is used here; a `D1Database` fits. */
export interface OnceDatabase<Statement extends OnceStatement> {
  prepare(sql: string): Statement;
  batch(statements: Statement[]): Promise<{ results: unknown[] }[]>;
}

export interface OnceStatement {
  bind(...values: unknown[]): this;
  all(): Promise<{ results: unknown[] }>;
}

/** Makes the table where there is none: for a database without migrations. */
export async function ensureOnceTable<S extends OnceStatement>(db: OnceDatabase<S>): Promise<void> {
  await db.batch(ONCE_TABLE_SQL.map((sql) => db.prepare(sql)));
}

/** An event, and the statements that are its effect. */
export interface Effect<S extends OnceStatement> {
  event: OnceEvent;
  statements: readonly S[];
}

/**
 * Runs `statements` unless they ran for this event before, in one D1 batch. `applied` is false where they had: they were not run
 * again. A statement that fails undoes all, and its error is thrown; the next delivery tries again.
 */
export async function once<S extends OnceStatement>(
  db: OnceDatabase<S>,
  event: OnceEvent,
  statements: readonly S[],
  options: OnceOptions = {},
): Promise<{ applied: boolean }> {
  const [outcome] = await onceBatch(db, [{ event, statements }], options);
  return { applied: outcome?.applied ?? false };
}

/**
 * {@link once} for several events in one D1 batch: the effects of all that had none yet, in order, or of none. Only where some
 * had is it a second batch, without them.
 *
 * @returns for each, in the order given. An event given twice is applied the first time.
 */
export async function onceBatch<S extends OnceStatement>(
  db: OnceDatabase<S>,
  effects: readonly Effect<S>[],
  options: OnceOptions = {},
): Promise<{ applied: boolean }[]> {
  const keys = effects.map(({ event }) => applicationOf(event, options));
  const fresh = new Map<string, readonly S[]>();
  for (const [index, { statements }] of effects.entries()) {
    const key = keys[index] ?? '';
    if (!fresh.has(key)) fresh.set(key, statements);
  }
  await applyFresh(db, fresh, options);
  return keys.map((key) => ({ applied: fresh.delete(key) }));
}

/** Applies all of `fresh` in one transaction, after taking out of it what turns out to be applied already. */
async function applyFresh<S extends OnceStatement>(
  db: OnceDatabase<S>,
  fresh: Map<string, readonly S[]>,
  { keepDays = KEEP_DAYS }: OnceOptions,
): Promise<void> {
  while (fresh.size > 0) {
    try {
      await db.batch([
        db.prepare(RECORD).bind(listOf(fresh)),
        ...[...fresh.values()].flat(),
        db.prepare(TRIM).bind(keepDays * SECONDS_A_DAY, fresh.size * TRIMMED_AN_EVENT),
      ]);
      return;
    } catch (error) {
      // A row that is there says that its event's effects are: by another delivery, or by this one if it was its answer
      // that was lost. Where none is there, it was not the rows that failed.
      const { results } = await db.prepare(APPLIED).bind(listOf(fresh)).all();
      const applied = results.map(rowOf).filter((key) => fresh.delete(key));
      if (applied.length === 0) throw error;
    }
  }
}

function listOf(fresh: ReadonlyMap<string, unknown>): string {
  return `[${[...fresh.keys()].join(',')}]`;
}
