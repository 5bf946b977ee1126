/**
 * A table that nobody else can use.
 *
 * @module
 */

import { pg } from "../src/postgres/pg.ts";

/** Keeps everybody from a table of schema `otel_data` until it is disposed of. */
export async function lockedTable(url: string, table: string): Promise<AsyncDisposable> {
  const database = pg(url, { maxConnections: 1 });
  const held = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const transaction = database.transaction(async (transaction) => {
    await transaction.query(`lock table otel_data.${table} in access exclusive mode`);
    held.resolve();
    await end.promise;
  });
  await held.promise;
  return {
    async [Symbol.asyncDispose]() {
      end.resolve();
      await transaction;
      await database.close();
    },
  };
}
