/** A query that takes too long, on the embedded database. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { OTelStorageAdapter } from "../src/adapter.ts";
import type { Database } from "../src/postgres/database.ts";
import { searchLogs } from "../src/query.ts";
import { handler } from "../src/server.ts";
import { logs, numbers } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1" } };
const ALL = { since: 0n, until: 2n ** 64n - 1n, limit: 1_000 };
/** Of what would take minutes. */
const TIMEOUT_MS = 10_000;

/** The same database, in which each question takes minutes. */
function slow(database: Database): Database {
  return {
    driver: database.driver,
    query: (sql, parameters, options) => database.query(sql, parameters, options),
    execute: (script) => database.execute(script),
    transaction: (run, options) =>
      database.transaction(async (transaction) => {
        await run(transaction);
        await transaction.query("select count(*) from generate_series(1, 100000000000)");
        throw new Error("must have been ended");
      }, options),
    secure: () => database.secure(),
    close: () => database.close(),
    [Symbol.asyncDispose]: () => database.close(),
  };
}

Deno.test("on PGlite a query of ten seconds delays no sender, ends at its timeout, and leaves the store as it was", async () => {
  await using folder = await temporaryFolder();
  await using adapter = new OTelStorageAdapter({
    dataDir: folder.path,
    pgliteDir: join(folder.path, "pglite"),
  });
  await adapter.init();
  await adapter.write("logs", logs([0]));
  await adapter.flush();
  const answer = handler({
    store: adapter,
    database: async (options) => slow(await adapter.database(options)),
    queryTimeoutMs: TIMEOUT_MS,
  });
  let isAnswered = false;
  const answered = answer(new Request("http://localhost:4318/api/logs"), HERE)
    .finally(() => isAnswered = true);
  let sent = 1;
  for (let pause = 0; !isAnswered; pause = Math.min(pause + 1, 50)) {
    assert.equal((await adapter.write("logs", logs([sent++]))).accepted, 1);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  const response = await answered;
  assert.equal(response.status, 504, await response.clone().text());
  assert.match((await response.json()).detail, new RegExp(`within ${TIMEOUT_MS} ms`));
  // All of it was acknowledged while the database was busy, and is stored when it is not.
  assert.ok(sent > 100, String(sent));
  await adapter.flush();
  const { logs: found } = await searchLogs(await adapter.database(), ALL);
  assert.equal(found.length, Math.min(sent, ALL.limit));
  await adapter.write("logs", logs(numbers(sent, 1)));
  await adapter.flush();
});
