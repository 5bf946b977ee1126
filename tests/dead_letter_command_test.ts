import assert from "node:assert/strict";
import type { DeadLetterOps, LetterReplay } from "../src/admin.ts";
import { runDeadLetters } from "../src/dead_letter_command.ts";
import { DeadLetters, type LetterFilter } from "../src/dead_letters.ts";
import { diskFiles } from "../src/journal_files.ts";
import { jsonToProtobuf } from "../src/otlp.ts";
import { TestOutput } from "./test_output.ts";

const ARRIVAL = 1_769_860_800_000_000_000n;
const RECORD = { timeUnixNano: String(2n ** 63n), body: { stringValue: "hi\u001b[31m" } };
const BODY = jsonToProtobuf(
  "logs",
  JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [RECORD] }] }] }),
);

/** Three letters on disk of two destinations; what `replay` says is up to the test. */
async function letterBox(
  answer: (name: string) => LetterReplay | Error = () => ({ outcome: "replayed", reason: "" }),
): Promise<DeadLetterOps & AsyncDisposable & { readonly names: string[]; readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "otel-storage-" });
  const letters = await DeadLetters.open(diskFiles(path), { now: () => 1_769_860_860_000 });
  const journal = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const letter = (position: bigint, reason: string) =>
    ({
      position,
      index: 0,
      signal: "logs",
      count: 1,
      arrivalUnixNano: ARRIVAL,
      reason,
      body: BODY,
    }) as const;
  await letters.add([letter(1n, "400: no tenant"), letter(2n, `413: ${"x".repeat(100)}`)], {
    destination: "vendor",
    journal,
    attempts: 2,
  });
  await letters.add([letter(1n, "23514: a check\u001b[31m")], {
    destination: "postgres",
    journal,
    attempts: 1,
  });
  const { letters: heads } = await letters.list();
  return {
    path,
    names: heads.map(({ name }) => name),
    list: (filter: LetterFilter) => letters.list(filter),
    read: (name) => letters.read(name),
    async replay(name) {
      await letters.read(name);
      const said = answer(name);
      if (said instanceof Error) throw said;
      if (said.outcome === "replayed") await letters.drop(name);
      return said;
    },
    drop: (name) => letters.drop(name),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const LIST = { command: "dead-letters", action: "list", choice: {} } as const;
const REPLAY = { command: "dead-letters", action: "replay", names: [], choice: {} } as const;
const DROP = { command: "dead-letters", action: "drop", names: [], choice: {} } as const;

Deno.test("a terminal gets a table of letters with whole names and short reasons", async () => {
  await using box = await letterBox();
  const output = new TestOutput();
  await runDeadLetters(LIST, box, output);
  const [head, , first, second, third, count] = output.lines[0]!.split("\n");
  assert.match(head!, /^name +│ destination │ signal │ count │ attempts │ arrival +│ reason$/);
  const cells = [first, second, third].map((line) => line!.split("│").map((cell) => cell.trim()));
  assert.deepEqual(cells.map(([name]) => name), box.names);
  assert.deepEqual(cells[0]!.slice(1), [
    "postgres",
    "logs",
    "1",
    "1",
    "2026-01-31T12:00:00.000Z",
    "23514: a check\\u{1b}[31m",
  ]);
  assert.equal(cells[2]!.at(-1), `413: ${"x".repeat(74)}…`);
  assert.equal(count, "(3 rows)");
  assert.deepEqual(output.notes, []);
});

Deno.test("elsewhere letters are a line of JSON each, whole", async () => {
  await using box = await letterBox();
  const output = new TestOutput({ json: true });
  await runDeadLetters({ ...LIST, choice: { destination: "vendor", limit: 2 } }, box, output);
  const heads = output.lines.map((line) => JSON.parse(line));
  assert.deepEqual(heads.map(({ reason }) => reason), [
    "400: no tenant",
    `413: ${"x".repeat(100)}`,
  ]);
  assert.equal(heads[0].arrivalUnixNano, String(ARRIVAL));
  assert.equal(heads[0].name, box.names[1]);
  assert.deepEqual(output.notes, ["stopped after 2 letters; there may be more, say --limit"]);
});

Deno.test("a letter is shown with all that is known of it and its records as OTLP JSON", async () => {
  await using box = await letterBox();
  const show = { command: "dead-letters", action: "show", name: box.names[0]! } as const;
  const terminal = new TestOutput();
  await runDeadLetters(show, box, terminal);
  const text = terminal.lines.join("\n");
  for (
    const line of [
      `name:        ${box.names[0]}`,
      "destination: postgres",
      "reason:      23514: a check\\u{1b}[31m",
      "arrival:     2026-01-31T12:00:00.000Z",
      "died:        2026-01-31T12:01:00.000Z",
    ]
  ) {
    assert.ok(text.includes(`${line}\n`), text);
  }
  // No escape of the data reaches the terminal.
  assert.ok(!text.includes("\u001b"));
  const json = new TestOutput({ json: true });
  await runDeadLetters(show, box, json);
  const { head, body } = JSON.parse(json.lines[0]!);
  assert.equal(head.name, box.names[0]);
  const [record] = body.resourceLogs[0].scopeLogs[0].logRecords;
  assert.equal(record.timeUnixNano, String(2n ** 63n));
  assert.equal(record.body.stringValue, "hi\u001b[31m");
  await assert.rejects(
    runDeadLetters({ ...show, name: "nobody" }, box, json),
    { name: "RangeError", message: "Cannot read the dead letter nobody: no such" },
  );
});

Deno.test("replaying tells what became of each letter, and fails when some are refused again", async () => {
  await using box = await letterBox((name) =>
    name.startsWith("postgres")
      ? { outcome: "refused", reason: "23514: still" }
      : { outcome: "replayed", reason: "" }
  );
  const output = new TestOutput();
  await assert.rejects(runDeadLetters(REPLAY, box, output), {
    message: "Cannot replay 1 of 3 letters",
  });
  assert.deepEqual(output.lines, [
    `${box.names[0]} refused: 23514: still`,
    `${box.names[1]} replayed`,
    `${box.names[2]} replayed`,
  ]);
  assert.deepEqual(output.notes, ["1 refused, 2 replayed of 3 letters"]);
  assert.equal((await box.list({})).letters.length, 1);
});

Deno.test("a choice replays those that it lets through, names those of the name", async () => {
  await using box = await letterBox();
  const output = new TestOutput({ json: true });
  await runDeadLetters({ ...REPLAY, choice: { reason: "tenant" } }, box, output);
  await runDeadLetters({ ...REPLAY, names: [box.names[0]!] }, box, output);
  assert.deepEqual(output.lines.map((line) => JSON.parse(line)), [
    { name: box.names[1], outcome: "replayed", reason: "" },
    { name: box.names[0], outcome: "replayed", reason: "" },
  ]);
  assert.deepEqual((await box.list({})).letters.map(({ name }) => name), [box.names[2]]);
  await runDeadLetters({ ...REPLAY, choice: { reason: "tenant" } }, box, output);
  assert.equal(output.notes.at(-1), "nothing of 0 letters");
});

Deno.test("a letter that is damaged or not there does not stop the others, a destination that is away does", async () => {
  await using box = await letterBox((name) =>
    name.startsWith("vendor")
      ? new Error("Cannot forward to https://vendor: connection refused")
      : { outcome: "replayed", reason: "" }
  );
  const file = `${box.path}/${box.names[0]}`;
  const bytes = await Deno.readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await Deno.writeFile(file, bytes);
  const output = new TestOutput();
  const names = ["nobody", ...box.names];
  await assert.rejects(runDeadLetters({ ...REPLAY, names }, box, output), {
    message: "Cannot forward to https://vendor: connection refused",
  });
  assert.deepEqual(output.lines, [
    "nobody failed: Cannot read the dead letter nobody: no such",
    `${box.names[0]} failed: Cannot read the dead letter ${
      box.names[0]
    }: its body does not match ` +
    "its checksum",
  ]);
  assert.deepEqual(output.notes, ["2 failed of 4 letters"]);
});

Deno.test("dropping takes damaged files along, unless letters are chosen by what those do not show", async () => {
  await using box = await letterBox();
  await Deno.writeTextFile(`${box.path}/${box.names[0]}`, "nothing");
  const output = new TestOutput();
  await runDeadLetters(LIST, box, output);
  assert.deepEqual(output.notes, [
    `${box.names[0]}: Cannot read the dead letter ${box.names[0]}: it does not begin as a dead ` +
    "letter does",
  ]);
  await runDeadLetters({ ...DROP, choice: { signal: "logs" } }, box, output);
  assert.equal(output.notes.at(-1), "2 dropped of 2 letters");
  await runDeadLetters(DROP, box, output);
  assert.deepEqual(output.lines.at(-1), `${box.names[0]} dropped`);
  assert.deepEqual(await box.list({}), { letters: [], damaged: [] });
  await assert.rejects(runDeadLetters({ ...DROP, names: ["nobody"] }, box, output), {
    message: "Cannot drop 1 of 1 letter",
  });
  assert.equal(output.lines.at(-1), "nobody failed: there is no such letter");
});
