/**
 * One SQL query from outside: it reads, it ends, and what it returns is bounded.
 *
 * @module
 */

import type { Database } from "./postgres/database.ts";

/** The rows of a query. */
export interface SqlRows {
  /** Each row as a JSON object, as Postgres writes it: numbers of any size are exact. */
  readonly lines: readonly string[];
  /** Whether there are more. */
  readonly truncated: boolean;
}

/** The bounds of a query. */
export interface SqlQueryOptions {
  /** Ends it. */
  readonly signal?: AbortSignal;
  /** How long it may run, in milliseconds. @default {30_000} */
  readonly timeoutMs?: number;
  /** How many rows it returns at most. @default {10_000} */
  readonly maxRows?: number;
  /** After how many characters of rows it stops. @default {67_108_864} */
  readonly maxLength?: number;
}

/** How long a query may run, in ms. */
export const QUERY_TIMEOUT_MS = 30_000;
/** Rows that are held beyond those that are returned. */
const ROWS_PER_FETCH = 100;

/** Ends a transaction, so that nothing stays of it. */
class RolledBack extends Error {
  readonly rows: SqlRows;

  constructor(rows: SqlRows) {
    super();
    this.rows = rows;
  }
}

/**
 * Runs `sql` in a read-only transaction, of which nothing stays. Who may read what is the database's
 * matter: see `postgres/reader.ts`.
 *
 * @param sql One `select`, `with`, `values` or `table`, without parameters.
 * @throws The database's error when it refuses the statement; one with code 57014 when it took too long.
 */
export async function querySql(
  database: Database,
  sql: string,
  options: SqlQueryOptions = {},
): Promise<SqlRows> {
  const { timeoutMs = QUERY_TIMEOUT_MS, maxRows = 10_000, maxLength = 64 * 1024 * 1024 } = options;
  const late = new AbortController();
  const timer = setTimeout(() => {
    const message = `Cannot finish the query within ${timeoutMs} ms: it was ended`;
    late.abort(Object.assign(new Error(message), { code: "57014" }));
  }, timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, late.signal]) : late.signal;
  try {
    return await database.transaction<SqlRows>(async (transaction) => {
      await transaction.query("set transaction read only");
      // The parameter makes clients send it as one prepared statement, so that a second one after a
      // semicolon, which could end the transaction, is an error. The line break ends a comment.
      await transaction.query(
        `declare rows no scroll cursor for
         select row_to_json(q)::text as line from (${withoutSemicolon(sql)}\n) q limit $1::bigint`,
        [maxRows + 1],
      );
      const lines: string[] = [];
      let length = 0;
      while (true) {
        const rows = await transaction.query<{ line: string }>(
          `fetch ${ROWS_PER_FETCH} from rows`,
        );
        for (const { line } of rows) {
          if (lines.length === maxRows || length > maxLength) {
            throw new RolledBack({ lines, truncated: true });
          }
          lines.push(line);
          length += line.length;
        }
        if (rows.length < ROWS_PER_FETCH) throw new RolledBack({ lines, truncated: false });
      }
    }, { signal });
  } catch (error) {
    if (error instanceof RolledBack) return error.rows;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function withoutSemicolon(sql: string): string {
  return sql.trim().replace(/;$/, "");
}
