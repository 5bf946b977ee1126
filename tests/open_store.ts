/**
 * A store of its own for a test, and what a read of it asks for.
 *
 * @module
 */

import { PGlite } from "@electric-sql/pglite";
import { OTelStorageAdapter, type OTelStorageOptions } from "../src/adapter.ts";
import type { Database, Queryable, Row, SqlValue } from "../src/postgres/database.ts";
import { migratedSnapshot, testDatabase, type TestDriver } from "./postgres.ts";

/** A store that goes with the test. */
export interface OpenStore extends AsyncDisposable {
  readonly adapter: OTelStorageAdapter;
  readonly database: Database;
  /** Its `postgres://` URL, or `memory://`. */
  readonly url: string;
}

/** Opens a new, empty store. */
export async function openStore(driver: TestDriver): Promise<OpenStore> {
  await using opened = new AsyncDisposableStack();
  let options: OTelStorageOptions;
  let url = "memory://";
  if (driver === "postgres") {
    ({ url } = opened.use(await testDatabase(driver)));
    options = { connectionString: url };
  } else {
    // Of one in a worker only the adapter could make it, anew each time, which takes seconds.
    const client = await PGlite.create({ loadDataDir: await migratedSnapshot() });
    opened.defer(() => client.close());
    options = { client };
  }
  const adapter = opened.use(new OTelStorageAdapter(options));
  await adapter.init();
  const database = await adapter.database();
  const all = opened.move();
  return { adapter, database, url, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** A statement that was run, with what, and how many rows it gave. */
export interface Asked {
  readonly sql: string;
  readonly rows: number;
  readonly parameters: readonly SqlValue[];
  readonly answer: readonly Row[];
}

/** The same database, which writes down what it is asked for. */
export function observed(database: Database): { database: Database; asked: Asked[] } {
  const asked: Asked[] = [];
  const observe = (queryable: Queryable): Queryable["query"] =>
  async <R extends Row>(
    sql: string,
    parameters?: readonly SqlValue[],
    options?: { readonly signal?: AbortSignal },
  ) => {
    // Whoever asks may use them again.
    const given = [...parameters ?? []];
    const rows = await queryable.query<R>(sql, parameters, options);
    asked.push({ sql, rows: rows.length, parameters: given, answer: rows });
    return rows;
  };
  return {
    asked,
    database: {
      driver: database.driver,
      query: observe(database),
      execute: (script) => database.execute(script),
      transaction: (run, options) =>
        database.transaction(
          (transaction) =>
            run({
              query: observe(transaction),
              copyIn: (copies) => transaction.copyIn(copies),
              commitWith: (...args) => transaction.commitWith(...args),
            }),
          options,
        ),
      secure: () => database.secure(),
      close: () => database.close(),
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    },
  };
}
