import assert from "node:assert/strict";
import { pglite, type PGliteOptions } from "../src/postgres/pglite.ts";
import { classify } from "../src/retry.ts";
import { errorOf, KEYED_SQL } from "./driver_candidates.ts";
import { emptySnapshot } from "./postgres.ts";
import { removeFolder } from "./temporary_folder.ts";

const ENDLESS = "do $$ begin loop end loop; end $$";

/** A folder of PGlite that goes with the test, and how to open it. */
async function embedded(): Promise<
  AsyncDisposable & { folder: string; open(options?: PGliteOptions): ReturnType<typeof pglite> }
> {
  const parent = await Deno.makeTempDir();
  const folder = `${parent}/a/pglite`;
  const snapshot = await emptySnapshot();
  return {
    folder,
    open: (options = {}) => pglite(folder, { snapshot, ...options }),
    [Symbol.asyncDispose]: () => removeFolder(parent),
  };
}

Deno.test("PGlite makes its folder and keeps what was committed when it is opened again", async () => {
  await using place = await embedded();
  {
    await using database = place.open();
    await database.execute(KEYED_SQL);
    await database.query("insert into keyed values (1, 'kept')");
  }
  await using database = place.open();
  assert.deepEqual(await database.query("select * from keyed"), [{ id: 1n, s: "kept" }]);
});

Deno.test("PGlite syncs its files when it is told to, whatever runs", async () => {
  await using place = await embedded();
  {
    await using database = place.open();
    await database.execute(KEYED_SQL);
    const inserted = database.query("insert into keyed values (1, 'synced')");
    await Promise.all([database.secure(), inserted, database.secure()]);
    await database.secure();
    const [row] = await database.query<{ redo: string }>(
      "select redo_lsn::text as redo from pg_control_checkpoint()",
    );
    await database.query("insert into keyed values (2, 'more')");
    await database.secure();
    const [after] = await database.query<{ moved: boolean }>(
      "select redo_lsn > $1::pg_lsn as moved from pg_control_checkpoint()",
      [row!.redo],
    );
    assert.equal(after!.moved, true);
    await Deno.chmod(`${place.folder}/global`, 0o000);
    // Nothing is said to be durable that could not be looked at.
    if (Deno.uid() !== 0) await assert.rejects(database.secure(), { code: "EACCES" });
    await Deno.chmod(`${place.folder}/global`, 0o700);
  }
  await using memory = pglite("memory://", { snapshot: await emptySnapshot() });
  await memory.secure();
});

Deno.test("PGlite restarts after an aborted query: what waited goes on, what was committed stays", async () => {
  await using place = await embedded();
  await using database = place.open({ cancelGraceMs: 0 });
  await database.execute(KEYED_SQL);
  await database.query("insert into keyed values (1, 'committed')");
  const controller = new AbortController();
  const aborted = errorOf(database.query(ENDLESS, [], { signal: controller.signal }));
  const waiting = [
    database.query("insert into keyed values (2, 'waited') returning id"),
    database.transaction((transaction) =>
      transaction.query("insert into keyed values (3, 'waited too') returning id")
    ),
  ];
  setTimeout(() => controller.abort(new Error("stop")), 20);
  assert.equal((await aborted).message, "stop");
  assert.deepEqual(await Promise.all(waiting), [[{ id: 2n }], [{ id: 3n }]]);
  const rows = await database.query("select s from keyed order by id");
  assert.deepEqual(rows.map(({ s }) => s), ["committed", "waited", "waited too"]);
});

Deno.test("PGlite that is ended inside a transaction has nothing of it when it is back", async () => {
  await using place = await embedded();
  await using database = place.open({ cancelGraceMs: 0 });
  await database.execute(KEYED_SQL);
  const controller = new AbortController();
  const aborted = errorOf(
    database.transaction(async (transaction) => {
      await transaction.query(
        "insert into keyed select n, repeat('x', 1000) from generate_series(1, 20000) n",
      );
      controller.abort(new Error("stop"));
      await transaction.query(ENDLESS);
    }, { signal: controller.signal }),
  );
  assert.equal((await aborted).message, "stop");
  assert.deepEqual(await database.query("select count(*) as n from keyed"), [{ n: 0n }]);
});

Deno.test("PGlite lets an aborted query end by itself within the grace, and does not restart", async () => {
  await using place = await embedded();
  await using database = place.open({ cancelGraceMs: 600_000 });
  await database.query("create temporary table t (a int4)");
  const controller = new AbortController();
  const aborted = errorOf(
    database.query("do $$ begin for i in 1..3000000 loop end loop; end $$", [], {
      signal: controller.signal,
    }),
  );
  setTimeout(() => controller.abort(new Error("stop")), 1);
  assert.equal((await aborted).message, "stop");
  // A restart would have lost the temporary table.
  assert.deepEqual(await database.query("select * from t"), []);
});

Deno.test("PGlite ends a statement at its time limit, with the SQLSTATE of a server's", async () => {
  await using place = await embedded();
  {
    await using database = place.open();
    await database.execute(KEYED_SQL);
  }
  await using database = place.open({ statementTimeoutMs: 2_000 });
  const error = await errorOf(database.query(ENDLESS));
  assert.equal(error.code, "57014");
  assert.equal(error.message, "Cannot finish the statement within 2000 ms: it was ended");
  assert.deepEqual(await database.query("select * from keyed"), []);
});

Deno.test("PGlite refuses a folder of another version of Postgres, names the export and changes nothing", async () => {
  await using place = await embedded();
  await Deno.mkdir(place.folder, { recursive: true });
  await Deno.writeTextFile(`${place.folder}/PG_VERSION`, "17\n");
  await using database = place.open();
  const error = await errorOf(database.query("select 1"));
  assert.ok(
    error.message.startsWith(
      `Cannot open ${place.folder}: it was made by Postgres 17, this release embeds Postgres 18.`,
    ),
    error.message,
  );
  assert.match(error.message, /collector query sql/);
  assert.equal(classify(error).kind, "permanent");
  assert.deepEqual((await Array.fromAsync(Deno.readDir(place.folder))).map(({ name }) => name), [
    "PG_VERSION",
  ]);
});

Deno.test("PGlite embeds the version of Postgres that its folders are checked for", async () => {
  await using database = pglite("memory://", { snapshot: await emptySnapshot() });
  const [row] = await database.query(
    "select current_setting('server_version_num')::int4 as version",
  );
  assert.equal(Math.floor(row!.version as number / 10_000), 18);
});

Deno.test("PGlite that cannot make its folder says why, and works when it can", async () => {
  await using place = await embedded();
  const blocker = place.folder.replace("/a/pglite", "/a");
  await Deno.writeTextFile(blocker, "a file where a folder belongs");
  await using database = place.open();
  const error = await errorOf(database.query("select 1"));
  assert.match(error.message, /EEXIST|ENOTDIR|exists|Not a directory/);
  await Deno.remove(blocker);
  assert.deepEqual(await database.query("select 1 as a"), [{ a: 1 }]);
});

Deno.test("PGlite in memory survives an aborted query", async () => {
  await using database = pglite("memory://", { snapshot: await emptySnapshot() });
  await database.execute(KEYED_SQL);
  const controller = new AbortController();
  const aborted = errorOf(
    database.query("do $$ begin for i in 1..3000000 loop end loop; end $$", [], {
      signal: controller.signal,
    }),
  );
  setTimeout(() => controller.abort(new Error("stop")), 1);
  assert.equal((await aborted).message, "stop");
  assert.deepEqual(await database.query("select * from keyed"), []);
});

Deno.test("PGlite closed while others wait for it rejects them and opens no second worker", async () => {
  await using place = await embedded();
  const database = place.open({ closeGraceMs: 0, cancelGraceMs: 0 });
  await database.query("select 1");
  const running = [ENDLESS, "select 1", "select 1"].map((sql) => errorOf(database.query(sql)));
  await database.close();
  for (const error of await Promise.all(running)) assert.equal(classify(error).kind, "shutdown");
});
