import assert from "node:assert/strict";
import { connect, type ConnectTarget } from "../src/postgres/connect.ts";

Deno.test("connect takes both forms of a URL, without connecting yet", async () => {
  for (const scheme of ["postgres", "postgresql"]) {
    await using database = await connect(`${scheme}://user:pass@127.0.0.1:1/db?sslmode=disable`);
    assert.equal(database.driver, "pg");
  }
});

Deno.test("connect takes a folder, without opening it yet", async () => {
  await using database = await connect({ pgliteDir: "/nowhere/at/all" });
  assert.equal(database.driver, "pglite");
});

Deno.test("connect refuses a URL it cannot read, and does not repeat it", async () => {
  for (
    const url of [
      "",
      "otel",
      "user:open-sesame@127.0.0.1/db",
      "http://user:open-sesame@127.0.0.1/db",
      "postgres://user:open-sesame#@127.0.0.1:5432/db",
      "postgres://user:open-sesame@127.0.0.1:port/db",
      "postgres://user:open-sesame%zz@127.0.0.1/db",
    ]
  ) {
    await assert.rejects(connect(url), (error) => {
      assert.ok(error instanceof TypeError, url);
      assert.match(error.message, /^Cannot read the database URL: /);
      assert.ok(!Deno.inspect(error).includes("open-sesame"), url);
      return true;
    });
  }
});

Deno.test("connect refuses what is no client", async () => {
  for (const target of [null, undefined, 1, {}, [], () => {}, { connect: () => {} }]) {
    await assert.rejects(
      connect(target as unknown as ConnectTarget),
      /^TypeError: Cannot connect to what was given: expected a postgres:\/\/ URL/,
    );
  }
});

Deno.test("connect refuses a client of npm:postgres that renames columns", async () => {
  const { default: postgres } = await import("postgres");
  const client = postgres("postgres://127.0.0.1:1/db", { transform: postgres.camel });
  await assert.rejects(connect(client), TypeError);
  await client.end();
});
