import assert from "node:assert/strict";
import { createLog, type Log } from "../src/log.ts";

/** A log whose clock the test moves. */
function testLog(): { log: Log; lines: string[]; pass(ms: number): void } {
  const lines: string[] = [];
  let ms = 0;
  const log = createLog({
    write: (line) => lines.push(line),
    now: () => 1_769_860_800_000 + ms,
    clock: () => ms,
  });
  return { log, lines, pass: (by) => ms += by };
}

Deno.test("a line of the log has time, level, message and fields, quoted where they need it", () => {
  const { log, lines } = testLog();
  log("warn", "could not deliver", {
    destination: "vendor",
    url: "http://h:1/x",
    missing: undefined,
    error: new Error('line\n"two"\u001b[31m'),
    many: new AggregateError([new Error("a"), new Error("b")]),
    long: "x y".repeat(1000),
  });
  const [line] = lines as [string];
  assert.ok(
    line.startsWith(
      "2026-01-31T12:00:00.000Z warn could not deliver destination=vendor url=http://h:1/x " +
        String.raw`error="line\n\"two\"\u001b[31m" many="a; b" long="x yx y`,
    ),
    line,
  );
  assert.ok(line.length < 700);
});

Deno.test("the same message is written once in ten seconds, the next one counts those left out", () => {
  const { log, lines, pass } = testLog();
  for (let i = 0; i < 5; i++) log("warn", "full", { attempt: i });
  pass(9_999);
  log("warn", "full");
  pass(1);
  log("warn", "full", { attempt: 6 });
  pass(10_000);
  log("warn", "full");
  assert.deepEqual(lines, [
    "2026-01-31T12:00:00.000Z warn full attempt=0",
    "2026-01-31T12:00:10.000Z warn full attempt=6 repeated=5",
    "2026-01-31T12:00:20.000Z warn full",
  ]);
});

Deno.test("another message, another level and another destination are not held back", () => {
  const { log, lines } = testLog();
  log("warn", "full", { destination: "vendor" });
  log("warn", "full", { destination: "vendor" });
  log("warn", "full", { destination: "other" });
  log("warn", "full");
  log("error", "full");
  log("warn", "empty");
  assert.equal(lines.length, 5);
});

Deno.test("the log remembers a bounded number of messages: the oldest is forgotten", () => {
  const { log, lines } = testLog();
  for (let i = 0; i < 1_001; i++) log("info", `message ${i}`);
  log("info", "message 1");
  log("info", "message 0");
  assert.equal(lines.length, 1_002);
  assert.match(lines.at(-1)!, /message 0$/);
});
