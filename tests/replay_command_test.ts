import assert from "node:assert/strict";
import type { Replay, ReplayProgress, ReplayRequest } from "../src/admin.ts";
import { runReplay } from "../src/replay_command.ts";
import { TestOutput } from "./test_output.ts";

const REQUEST: ReplayRequest = {
  to: "https://otlp.example/in?key=s3cret",
  headers: {},
  since: undefined,
  until: undefined,
  signals: ["traces", "logs"],
  filter: "",
};

function progress(signal: "traces" | "logs", sent: number, total: number): ReplayProgress {
  const none = { rejected: 0, refused: 0, reasons: new Map() };
  return { signal, sent, ...none, requests: sent / 100, total, lastUnixNano: BigInt(sent) };
}

/** Sends 100 of 1000 spans a second, then 300 logs. */
function slowReplay(clock: { ms: number }): Replay {
  return (_, { onProgress }) => {
    for (let sent = 100; sent <= 1000; sent += 100) {
      clock.ms += 1000;
      onProgress(progress("traces", sent, 1000));
    }
    clock.ms += 10;
    onProgress(progress("logs", 300, 300));
    return Promise.resolve([progress("traces", 1000, 1000), progress("logs", 300, 300)]);
  };
}

async function run(
  output: TestOutput,
  replayWith: (clock: { ms: number }) => Replay,
): Promise<TestOutput> {
  const clock = { ms: 5_000 };
  const { signal } = new AbortController();
  await runReplay(REQUEST, replayWith(clock), output, { signal, clock: () => clock.ms });
  return output;
}

const RESULTS = [
  "traces: 1000 records sent in 10 requests",
  "logs: 300 records sent in 3 requests",
];

Deno.test("a terminal shows a bar a signal, which goes when all is sent", async () => {
  const output = await run(new TestOutput({ columns: 80 }), slowReplay);
  assert.deepEqual(output.drawn.slice(0, 2), [
    "traces  [##                     ]  10%  100 of 1000, 100/s, 9s left",
    "traces  [####                   ]  20%  200 of 1000, 100/s, 8s left",
  ]);
  assert.equal(output.drawn.at(-1), "");
  // Logs came 10 ms after the last bar: too soon to be drawn.
  assert.equal(output.drawn.length, 11);
  assert.ok(output.drawn.every(({ length }) => length < 80));
  assert.deepEqual(output.lines, RESULTS);
  assert.deepEqual(output.notes, []);
});

Deno.test("without a terminal there is a line every few seconds", async () => {
  const output = await run(new TestOutput(), slowReplay);
  assert.deepEqual(output.notes, [
    "traces: 100 of 1000, 100/s, 9s left",
    "traces: 600 of 1000, 100/s, 4s left",
  ]);
  assert.deepEqual([output.drawn, output.lines], [[], RESULTS]);
});

Deno.test("in JSON progress and results are lines, also on a terminal", async () => {
  const output = await run(new TestOutput({ json: true, columns: 80 }), slowReplay);
  const lines = output.lines.map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => Object.keys(line)[0]), [
    "progress",
    "progress",
    "result",
    "result",
  ]);
  assert.deepEqual(lines[3].result, {
    signal: "logs",
    sent: 300,
    rejected: 0,
    refused: 0,
    reasons: {},
    requests: 3,
    total: 300,
    lastUnixNano: "300",
  });
  assert.deepEqual([output.drawn, output.notes], [[], []]);
});

Deno.test("what the destination did not take is told with reasons, and is a failure without its URL's secrets", async () => {
  const output = new TestOutput();
  const replay: Replay = () =>
    Promise.resolve([{
      ...progress("traces", 100, 103),
      rejected: 1,
      refused: 2,
      reasons: new Map([["it answered 400: bad\u001b[31m", 2]]),
    }]);
  await assert.rejects(run(output, () => replay), {
    message: "Cannot replay everything: 3 records not taken by otlp.example",
  });
  assert.deepEqual(output.lines, [
    "traces: 100 records sent in 1 request, 1 rejected, 2 refused",
    "  2: it answered 400: bad\\u{1b}[31m",
  ]);
});

Deno.test("a replay that fails removes its bar and says why", async () => {
  const output = new TestOutput({ columns: 80 });
  const replay: Replay = (_, { onProgress }) => {
    onProgress(progress("traces", 100, 1000));
    return Promise.reject(new Error("Cannot replay traces: gone"));
  };
  await assert.rejects(run(output, () => replay), { message: "Cannot replay traces: gone" });
  assert.deepEqual([output.drawn.length, output.drawn.at(-1), output.lines], [2, "", []]);
});
