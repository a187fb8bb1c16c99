const STATEMENT_BYTES_MAX = 100_000;

/** What is known of a text from looking at it. */
export interface SqlText {
  /** Of several statements, or none. */
  isScript: boolean;
  /** How many values it takes. */
  parameters: number;
  writes: boolean;
}

/** Few are different; what is made of lists of different lengths is bounded by the platform's limits. */
const known = new Map<string, SqlText>();

/** @throws with a message like the platform's, of what it refuses. */
export function analysed(query: string): SqlText {
  const seen = known.get(query);
  if (seen !== undefined) return seen;
  if (query.length > STATEMENT_BYTES_MAX) throw new Error('statement too long');
  const parts = statements(query);
  parts.forEach(refuseForbidden);
  const text = {
    isScript: parts.length !== 1,
    parameters: countParameters(query),
    writes: !/^(SELECT|VALUES|EXPLAIN)\b/i.test(parts[0] ?? ''),
  };
  known.set(query, text);
  return text;
}

/** Cuts a script into its statements, leaving strings, comments and trigger bodies whole; without the `;` and the comments around. */
export function statements(script: string): string[] {
  const found: string[] = [];
  let current = '';
  let depth = 0;
  for (const [token] of script.matchAll(TOKENS)) {
    if (token.startsWith('--') || token.startsWith('/*')) {
      current += ' ';
      continue;
    }
    const word = token.toUpperCase();
    const trigger = /^\s*CREATE\s+(TEMP\s+|TEMPORARY\s+)?TRIGGER\b/i.test(current);
    if (trigger && (word === 'BEGIN' || word === 'CASE')) {
      depth += 1;
    } else if (trigger && word === 'END') {
      depth -= 1;
    }
    if (token === ';' && depth === 0) {
      found.push(current.trim());
      current = '';
    } else {
      current += token;
    }
  }
  found.push(current.trim());
  return found.filter((statement) => statement !== '');
}

const TOKENS = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\w+|;|\s+|[^\w\s]/g;

/** Pragmas that a Durable Object may use (workerd's list). */
const PRAGMAS =
  /^PRAGMA\s+(table_list|table_info|table_xinfo|index_list|index_info|index_xinfo|foreign_keys|foreign_key_check|foreign_key_list|defer_foreign_keys|quick_check|optimize|function_list|data_version|case_sensitive_like|recursive_triggers|reverse_unordered_selects|ignore_check_constraints|legacy_alter_table)\b/i;

/**
 * Refuses what the platform refuses.
 *
 * @throws with a message like the platform's.
 */
export function refuseForbidden(statement: string): void {
  const first = /^\w+/.exec(statement)?.[0].toUpperCase() ?? '';
  if (['BEGIN', 'COMMIT', 'END', 'ROLLBACK', 'SAVEPOINT', 'RELEASE'].includes(first)) {
    throw new Error(
      'To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements.',
    );
  }
  if (['ATTACH', 'DETACH', 'VACUUM'].includes(first) || (first === 'PRAGMA' && !PRAGMAS.test(statement))) {
    throw new Error(`not authorized: ${first}`);
  }
}

/** How many values a statement takes: the highest `?n`, or the number of `?`. */
function countParameters(query: string): number {
  let highest = 0;
  for (const [token] of query.matchAll(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\?\d*/g)) {
    if (token.startsWith('?')) {
      highest = token === '?' ? highest + 1 : Math.max(highest, Number(token.slice(1)));
    }
  }
  return highest;
}
