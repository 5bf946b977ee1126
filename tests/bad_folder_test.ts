/** A collector whose data folder is not what it was, or not its own. */

import assert from "node:assert/strict";
import { runCollector, startCollector, stop } from "./collector_process.ts";
import { destinationOf, nothingPending, sendSpans, spansOf } from "./collector_ledger.ts";
import { lockedTable } from "./locked_table.ts";
import { drivers, storedSpanIds, testDatabase } from "./postgres.ts";
import { spanId, spans } from "./requests.ts";
import { temporaryFolder } from "./temporary_folder.ts";

/** Somebody else: `nobody`, whatever it is called. */
const STRANGER = 65_534;
const isRoot = Deno.uid() === 0;

/** Without what lets root write anywhere, so that what modules it has read it can still read. */
const AS_ANYBODY = isRoot ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

if (drivers.includes("postgres")) {
  Deno.test("a journal that was deleted begins anew: what is stored stays, what comes is stored", async () => {
    await using test = await testDatabase("postgres");
    await using data = await temporaryFolder();
    const options = { dataDir: data.path, env: { DATABASE_URL: test.url } };
    const [first, second] = [spans([1]), spans([2])];
    let id: string;
    {
      await using collector = await startCollector(options);
      await sendSpans(collector.url, first);
      await sendSpans(collector.url, second);
      id = (await nothingPending(collector)).journal.id;
      await stop(collector);
    }
    await Deno.remove(`${data.path}/journal`, { recursive: true });
    await using collector = await startCollector(options);
    await sendSpans(collector.url, spans([3]));
    // Nobody knows any more that it has come before.
    await sendSpans(collector.url, second);
    const stats = await nothingPending(collector);
    assert.notEqual(stats.journal.id, id);
    assert.deepEqual(spansOf(stats), {
      accepted: 2,
      delivered: 2,
      pending: 0,
      dead: 0,
      skipped: 0,
    });
    assert.equal(stats.duplicates.traces, 0);
    assert.deepEqual(await storedSpanIds(test.url), [1, 2, 2, 3].map(spanId));
    const log = await stop(collector);
    assert.ok(log.includes("info journal: new id: The folder had no journal id: it is "), log);
    assert.ok(!/ (warn|error) /.test(log), log);
  });

  for (const early of [false, true]) {
    const when = early ? "before the database was asked" : "after it was found out";
    Deno.test(`a journal that was restored from an older copy passes over nothing that comes ${when}`, async () => {
      await using test = await testDatabase("postgres");
      await using data = await temporaryFolder();
      const options = { dataDir: data.path, env: { DATABASE_URL: test.url } };
      const journal = `${data.path}/journal`;
      const copy = `${data.path}/copy`;
      for (const numbers of [[1, 2], [3, 4, 5]]) {
        await using collector = await startCollector(options);
        await sendSpans(collector.url, spans(numbers));
        await nothingPending(collector);
        await stop(collector);
        if (numbers.includes(1)) await copyFolder(journal, copy);
      }
      await Deno.remove(journal, { recursive: true });
      await Deno.rename(copy, journal);
      const held = early ? await lockedTable(test.url, "journal_position") : undefined;
      await using collector = await startCollector(options);
      const ahead = collector.logged(
        " warn it is ahead of the journal, which was restored from an older copy destination=postgres ",
      );
      if (!early) await ahead;
      await sendSpans(collector.url, spans([6]));
      await held?.[Symbol.asyncDispose]();
      await ahead;
      const stats = await nothingPending(collector);
      // This journal knows of the first request and the last. What came early was put behind what the
      // database has, and is counted at both places: skipped at the first.
      const skipped = early ? 1 : 0;
      assert.deepEqual(spansOf(stats), {
        accepted: 3 + skipped,
        delivered: 3,
        pending: 0,
        dead: 0,
        skipped,
      });
      assert.equal(destinationOf(stats, "postgres").gapBytes, 0);
      assert.deepEqual(await storedSpanIds(test.url), [1, 2, 3, 4, 5, 6].map(spanId));
      await stop(collector);
    });
  }
}

/** A folder that cannot be used, and what is said about it. */
interface BadFolder {
  readonly what: string;
  /** Below the data folder; empty for that itself. */
  readonly path: string;
  readonly says: (folder: string) => string;
}

const readable = "; the folder has to be readable and writable\n";
const mine = "; it has to belong to the user who runs this, on a disk that can be written to: " +
  "change that, or choose another folder\n";

const FOLDERS: readonly BadFolder[] = [
  { what: "a data folder", path: "", says: (folder) => `Cannot use the folder ${folder}: ` },
  { what: "a journal", path: "/journal", says: () => "Cannot open the journal: " },
  {
    what: "a folder of dead letters",
    path: "/dead-letters",
    says: () => "Cannot open the dead letters: ",
  },
  {
    what: "an embedded database",
    path: "/pglite",
    says: (folder) => `Cannot open ${folder}/pglite: `,
  },
];

for (const { what, path, says } of FOLDERS) {
  Deno.test(`${what} of another user ends the start with 1, and says whose it has to be`, async () => {
    await using data = await temporaryFolder();
    await Deno.mkdir(data.path + path, { recursive: true });
    if (isRoot) await Deno.chown(data.path + path, STRANGER, STRANGER);
    await Deno.chmod(data.path + path, isRoot ? 0o700 : 0);
    const { code, stdout, stderr } = await runCollector({
      dataDir: data.path,
      args: ["--port", "0"],
      through: AS_ANYBODY,
    });
    await Deno.chmod(data.path + path, 0o700);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    const line = stderr.split("\n").find((line) => line.startsWith("otel-storage: "))! + "\n";
    assert.ok(line.startsWith(`otel-storage: ${says(data.path)}`), stderr);
    assert.match(line, /[Pp]ermission denied/);
    assert.ok(line.includes(data.path + path), stderr);
    assert.ok(line.endsWith(path === "" ? mine : readable), stderr);
  });
}

Deno.test("a data folder that may only be read ends the start with 1, and nothing is changed in it", async () => {
  await using data = await temporaryFolder();
  await Deno.chmod(data.path, 0o555);
  const { code, stdout, stderr } = await runCollector({
    dataDir: data.path,
    args: ["--port", "0"],
    through: AS_ANYBODY,
  });
  const left = await Array.fromAsync(Deno.readDir(data.path));
  await Deno.chmod(data.path, 0o700);
  assert.deepEqual([code, stdout, left], [1, "", []], stderr);
  assert.ok(stderr.startsWith(`otel-storage: Cannot use the folder ${data.path}: `), stderr);
  assert.ok(stderr.endsWith(mine), stderr);
});
