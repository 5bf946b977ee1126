import fc from "fast-check";
import assert from "node:assert/strict";
import { FilterFieldError } from "../src/filter_sql.ts";
import { parseFilter } from "../src/filter.ts";
import { Destination, ForwardError } from "../src/forward_request.ts";
import { decodeRequest, encodeRequest } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import {
  MAX_REASONS,
  replay,
  ReplayError,
  type ReplayOptions,
  type ReplayProgress,
  ReplayTimeoutError,
} from "../src/replay.ts";
import { arbitraryRequest } from "./arbitraries.ts";
import { canonicalise } from "./canonical.ts";
import {
  type Behaviour,
  type MisbehavingServer,
  misbehavingServer,
  type ReceivedRequest,
} from "./misbehaving_server.ts";
import { log, logs, span, TIME, traces } from "./one_record.ts";
import { observed, type OpenStore, openStore } from "./open_store.ts";
import { drivers } from "./postgres.ts";
import { startServer } from "./recording_server.ts";

const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

/** Records in the order of their time, a nanosecond apart, named 0, 1, 2, … */
async function storeLogs({ adapter }: OpenStore, count: number, first = 0): Promise<void> {
  const records = Array.from(
    { length: count },
    (_, n) => log({ eventName: String(first + n), timeUnixNano: TIME + BigInt(n) }),
  );
  await adapter.write("logs", encodeRequest("logs", logs(records)));
}

function namesIn({ body }: ReceivedRequest): string[] {
  return decodeRequest("logs", body).resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ eventName }) => eventName))
  );
}

/** Names of the log records that a server got, in the order of their arrival. */
function received({ requests }: MisbehavingServer): string {
  return requests.flatMap(namesIn).join(" ");
}

/** Replays logs, one record to a request. */
async function replayLogs(
  { database }: OpenStore,
  { url }: MisbehavingServer,
  options: ReplayOptions = {},
): Promise<ReplayProgress> {
  const destination = new Destination({ url });
  const [progress] = await replay(database, destination, {
    signals: ["logs"],
    maxBytes: 1,
    ...options,
  });
  return progress!;
}

async function failure(running: Promise<unknown>): Promise<ReplayError> {
  const error = await running.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof ReplayError, String(error));
  return error;
}

function said({ sent, rejected, refused, requests, total }: ReplayProgress) {
  return { sent, rejected, refused, requests, total };
}

for (const driver of drivers) {
  Deno.test(`a replay of all signals into an empty store gives the same data: ${driver}`, async () => {
    await using store = await openStore(driver);
    await using server = await startServer(driver);
    const expected = new Map<Signal, string[]>();
    for (const signal of SIGNALS) {
      const lines: string[] = [];
      for (const request of fc.sample(arbitraryRequest(signal), { numRuns: 80, seed: 3 })) {
        const body = encodeRequest(signal, request);
        await store.adapter.write(signal, body);
        lines.push(...canonicalise(signal, decodeRequest(signal, body)));
      }
      expected.set(signal, lines.sort());
    }
    const steps: ReplayProgress[] = [];
    const done = await replay(store.database, new Destination({ url: server.url, gzip: true }), {
      maxBytes: 20_000,
      onProgress: (progress) => steps.push(progress),
    });
    for (const [index, signal] of SIGNALS.entries()) {
      const lines = expected.get(signal)!;
      assert.deepEqual(canonicalise(signal, await store.adapter.exportStored(signal)), lines);
      assert.deepEqual(canonicalise(signal, await server.adapter.exportStored(signal)), lines);
      const { sent, rejected, refused, requests, total } = done[index]!;
      assert.deepEqual([sent, rejected, refused, total], [lines.length, 0, 0, lines.length]);
      assert.ok(requests > 1);
      assert.deepEqual(steps.filter((step) => step.signal === signal).at(-1), done[index]);
    }
    assert.equal(steps.length, server.exchanges.length);
  });
}

const DRIVER = drivers[0]!;

Deno.test("a replay waits for a destination that is away, and sends everything in order", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 5);
  const bad: Behaviour[] = ["closes", { status: 503 }, {
    status: 429,
    headers: { "retry-after": "0" },
  }, "is no HTTP"];
  const taken: string[] = [];
  await using server = await misbehavingServer((request) => {
    const behaviour = taken.length === 2 ? bad.shift() : undefined;
    if (behaviour === undefined) taken.push(...namesIn(request));
    return behaviour ?? { status: 200 };
  });
  const progress = await replayLogs(store, server);
  assert.deepEqual(taken, ["0", "1", "2", "3", "4"]);
  assert.equal(received(server), "0 1 2 2 2 2 2 3 4");
  assert.deepEqual(said(progress), { sent: 5, rejected: 0, refused: 0, requests: 5, total: 5 });
  assert.equal(progress.lastUnixNano, TIME + 4n);
});

Deno.test("a replay goes on behind a request that is refused, and says how many and why", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 4);
  await using server = await misbehavingServer((request) =>
    namesIn(request).includes("1")
      ? { status: 400, headers: { "content-type": "text/plain" }, body: "too old" }
      : namesIn(request).includes("2")
      ? { rejected: 1, message: "no room" }
      : { status: 200 }
  );
  const progress = await replayLogs(store, server);
  assert.equal(received(server), "0 1 2 3");
  assert.deepEqual(said(progress), { sent: 2, rejected: 1, refused: 1, requests: 4, total: 4 });
  assert.deepEqual([...progress.reasons], [[`${server.url} answered 400: too old`, 1], [
    "no room",
    1,
  ]]);
});

Deno.test("a replay keeps so many different reasons and no more", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, MAX_REASONS + 3);
  await using server = await misbehavingServer((request) => ({
    status: 400,
    headers: { "content-type": "text/plain" },
    body: `not ${namesIn(request)[0]}`,
  }));
  const { refused, reasons } = await replayLogs(store, server);
  assert.equal(refused, MAX_REASONS + 3);
  assert.equal(reasons.size, MAX_REASONS + 1);
  assert.equal(reasons.get("other reasons"), 3);
});

Deno.test("a replay that is aborted while the destination hangs says where to go on, and goes on there", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 4);
  const controller = new AbortController();
  await using server = await misbehavingServer((request) => {
    if (!namesIn(request).includes("2")) return { status: 200 };
    controller.abort();
    return "hangs";
  });
  const signals = ["logs", "traces", "metrics"] as const;
  const error = await failure(replayLogs(store, server, { signals, abort: controller.signal }));
  assert.equal(error.cause, controller.signal.reason);
  assert.equal(error.signal, "logs");
  assert.deepEqual(error.left, ["traces", "metrics"]);
  assert.equal(error.since, TIME + 1n);
  assert.match(error.message, /logs before 1760000000000000001 ns .*; not begun: traces, metrics/);
  assert.equal(error.progress[0]!.sent, 2);

  server.behave = () => ({ status: 200 });
  await replayLogs(store, server, { since: error.since });
  assert.equal(received(server), "0 1 2 1 2 3");
});

Deno.test("a replay gives up on a destination that stays away, with its last answer", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 2);
  await using server = await misbehavingServer(() => ({
    status: 503,
    headers: { "content-type": "text/plain" },
    body: "closed for lunch",
  }));
  const error = await failure(replayLogs(store, server, { giveUpAfterMs: 2_000 }));
  assert.ok(error.cause instanceof ReplayTimeoutError);
  assert.ok(error.cause.cause instanceof ForwardError);
  assert.match(
    error.message,
    /within 2000 ms, at last because: .*503: closed for lunch.* None of the logs were sent/,
  );
  assert.equal(error.since, undefined);
  assert.ok(server.requests.length > 1);
});

Deno.test("a replay leaves a destination alone for as long as it asks to", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 1);
  await using server = await misbehavingServer(() => ({
    status: 429,
    headers: { "retry-after": "60" },
  }));
  await failure(replayLogs(store, server, { giveUpAfterMs: 2_000 }));
  assert.equal(server.requests.length, 1);
});

Deno.test("a replay ends at once where somebody has to mend the destination", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 2);
  await using server = await misbehavingServer(() => ({ status: 401 }));
  const error = await failure(replayLogs(store, server, { since: TIME }));
  assert.match(error.message, /check the headers/);
  assert.equal(error.since, TIME);
  assert.equal(server.requests.length, 1);
});

Deno.test("a replay sends the range and what the filter chooses, signal by signal", async () => {
  await using store = await openStore(DRIVER);
  await storeLogs(store, 5);
  const spans = [span({ name: "a" }), span({ name: "b", startTimeUnixNano: TIME + 1n })];
  await store.adapter.write("traces", encodeRequest("traces", traces(spans)));
  await using server = await misbehavingServer();
  const destination = new Destination({ url: server.url });
  const range = { since: TIME + 1n, until: TIME + 4n };
  const done = await replay(store.database, destination, { ...range, signals: ["logs", "traces"] });
  assert.deepEqual(done.map(({ signal, sent }) => [signal, sent]), [["logs", 3], ["traces", 1]]);
  assert.deepEqual(server.requests.map(({ path }) => path), ["/v1/logs", "/v1/traces"]);

  const filter = parseFilter("operation = a");
  const some = await replay(store.database, destination, { filter, signals: ["traces"] });
  assert.deepEqual(some.map(({ sent, total }) => [sent, total]), [[1, 1]]);
  await assert.rejects(replay(store.database, destination, { filter }), FilterFieldError);
  assert.equal(server.requests.length, 3);
});

Deno.test("a replay reads no more than a page ahead of what it has sent", async () => {
  await using store = await openStore(DRIVER);
  for (let n = 0; n < 6; n++) await storeLogs(store, 500, 500 * n);
  const { database, asked } = observed(store.database);
  let sent = 0;
  let most = 0;
  await using server = await misbehavingServer((request) => {
    const read = asked.reduce(
      (sum, { sql, rows }) => sum + (sql.startsWith("fetch") ? rows : 0),
      0,
    );
    most = Math.max(most, read - sent);
    sent += namesIn(request).length;
    return { status: 200 };
  });
  await replay(database, new Destination({ url: server.url }), {
    signals: ["logs"],
    maxBytes: 5_000,
  });
  assert.equal(sent, 3000);
  assert.ok(server.requests.length > 5);
  assert.ok(most <= 500, `${most} records`);
});

Deno.test("a replay with an option out of range says which, and sends nothing", async () => {
  await using store = await openStore("pglite");
  await storeLogs(store, 1);
  await using server = await misbehavingServer();
  const refused: [ReplayOptions, RegExp][] = [
    [{ giveUpAfterMs: 0 }, /Cannot replay with 'giveUpAfterMs': 0/],
    [{ signals: ["spans" as Signal] }, /Cannot replay with 'signals\.0': 'spans'/],
    [{ signals: [] }, /Cannot replay with 'signals': \[\]/],
    [{ maxBytes: 0 }, /Cannot replay with 'maxBytes': 0/],
    [{ since: -1n }, /a bound has to be 0 to/],
  ];
  for (const [options, message] of refused) {
    await assert.rejects(replayLogs(store, server, options), { name: "RangeError", message });
  }
  assert.equal(server.requests.length, 0);
});
