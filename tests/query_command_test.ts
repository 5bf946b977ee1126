/** `query NAME …` over the shop's telemetry: here and through a server, on each database. */

import assert from "node:assert/strict";
import { readSettings } from "../src/collector_args.ts";
import { durationText } from "../src/duration.ts";
import { logLine } from "../src/log_line.ts";
import type { LogRecord, Span } from "../src/record.ts";
import {
  askDatabase,
  type Asker,
  askRemotely,
  jsonLine,
  runQuestion,
} from "../src/query_command.ts";
import { QUESTIONS } from "../src/query_flags.ts";
import { handler } from "../src/server.ts";
import { runCollector, startCollector, stop } from "./collector_process.ts";
import { logs, traces } from "./one_record.ts";
import { requestToJson } from "../src/otlp.ts";
import { attribute, log, resource, span, TIME } from "./one_record.ts";
import { drivers, migratedDatabase } from "./postgres.ts";
import { END, FIRST, HOUR, LOGS, METRICS, shopDatabase, SPANS, timeOf } from "./shop_world.ts";
import { temporaryFolder } from "./temporary_folder.ts";
import { TestOutput } from "./test_output.ts";
import { fakeStore } from "./asked_handler.ts";

const RANGE = ["--since", String(FIRST), "--until", String(END)];
const traceId = LOGS.find(({ record }) => record.traceId !== "")!.record.traceId;
const other = SPANS.at(-1)!.record.traceId;

/** What is asked of each question. */
const ASKED: Record<string, string[]> = {
  services: ["--since", "0", "--until", "2100-01-01T00:00:00Z"],
  operations: ["--service", "shop", ...RANGE],
  attributes: ["--service", "shop", ...RANGE],
  requests: ["--by", "operation", ...RANGE],
  "service-graph": RANGE,
  errors: RANGE,
  traces: ["--min-duration", "1ms", "--filter", "http.route = /a", ...RANGE],
  trace: [traceId, "--logs"],
  "similar-traces": ["--trace-id", traceId, ...RANGE],
  "compared-traces": ["--before", traceId, "--after", other],
  logs: ["--text", "timeout", ...RANGE],
  "log-counts": RANGE,
  metrics: RANGE,
  metric: ["latency", "--step", "1h", "--function", "max", ...RANGE],
  "metric-buckets": ["--metric", "size", "--step", "1h", ...RANGE],
  exemplars: ["--metric", "latency", ...RANGE],
  partitions: ["--signal", "traces"],
};

async function asked(asker: Asker, name: string, args: string[], json: boolean) {
  const output = new TestOutput({ json });
  const settings = readSettings(["query", name, ...args], () => undefined);
  assert.ok(typeof settings === "object" && "ask" in settings);
  await runQuestion(settings, asker, output);
  return { lines: output.lines, notes: output.notes };
}

async function rows(asker: Asker, name: string, args: string[]) {
  return (await asked(asker, name, args, true)).lines.map((line) => JSON.parse(line));
}

for (const driver of drivers) {
  const database = await shopDatabase(driver);
  const here = askDatabase(database);
  const answer = handler({
    store: fakeStore(),
    database: () => Promise.resolve(database),
    token: "secret",
  });
  const serve = () => {
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
    const url = `http://127.0.0.1:${server.addr.port}`;
    return {
      there: askRemotely({ url, token: "secret" }),
      [Symbol.asyncDispose]: () => server.shutdown(),
    };
  };

  Deno.test(`every question prints the same here and through a collector: ${driver}`, async () => {
    await using server = serve();
    assert.deepEqual(Object.keys(ASKED), QUESTIONS.map(({ name }) => name));
    for (const [name, args] of Object.entries(ASKED)) {
      for (const json of [true, false]) {
        const own = await asked(here, name, args, json);
        assert.deepEqual(await asked(server.there, name, args, json), own, name);
        assert.ok(own.lines.length > 0, name);
        if (json) assert.ok(own.lines.every((line) => JSON.parse(line) !== null));
        else assert.doesNotMatch(own.lines.join("\n"), /undefined|\[object|NaN/, name);
      }
    }
  });

  Deno.test(`query traces prints what a plain computation finds: ${driver}`, async () => {
    const isMeant = ({ service, record }: { service: string; record: Span }) =>
      service === "shop" && record.endTimeUnixNano - record.startTimeUnixNano >= 500_000_000n &&
      record.startTimeUnixNano !== 0n;
    const newest = new Map<string, bigint>();
    for (const told of SPANS.filter(isMeant)) {
      const { traceId, startTimeUnixNano: at } = told.record;
      if (at > (newest.get(traceId) ?? 0n)) newest.set(traceId, at);
    }
    const wanted = [...newest].sort(([, a], [, b]) => a < b ? 1 : -1).map(([id]) => id);
    const args = ["--service", "shop", "--min-duration", "0.5s", "--limit", "1000", ...RANGE];
    const found = await rows(here, "traces", args);
    assert.ok(wanted.length > 5);
    assert.deepEqual(found.map((row) => row.traceId).toSorted(), wanted.toSorted());
    for (const row of found) {
      // One without a start has that of its arrival, which is far from the others.
      const own = SPANS.filter(({ record }) =>
        record.traceId === row.traceId && record.startTimeUnixNano !== 0n
      );
      assert.equal(row.spanCount, own.length);
      assert.equal(row.errorCount, own.filter(({ record }) => record.status?.code === 2).length);
    }
    const [table] = (await asked(here, "traces", args, false)).lines;
    const [head, , ...lines] = table!.split("\n");
    assert.match(
      head!,
      /^trace +│ time +│ root +│ duration +│ spans +│ errors +│ services$/,
    );
    for (const [at, row] of found.entries()) {
      const cells = lines[at]!.split(" │ ").map((cell) => cell.trim());
      assert.equal(cells[0], row.traceId);
      assert.equal(cells[3], durationText(BigInt(row.durationNs)));
      assert.equal(cells[4], String(row.spanCount));
    }
  });

  Deno.test(`query logs prints what a plain computation finds: ${driver}`, async () => {
    const isMeant = ({ service, record }: { service: string; record: LogRecord }) =>
      service === "cart" && record.severityNumber >= 9 && timeOf(record) >= FIRST &&
      timeOf(record) < END;
    const wanted = LOGS.filter(isMeant).map(({ record }) => record);
    const args = ["--service", "cart", "--min-severity", "9", "--limit", "1000", ...RANGE];
    const found = await rows(here, "logs", args);
    assert.ok(wanted.length > 3);
    const key = (record: { timeUnixNano: unknown; body?: { stringValue?: string } | undefined }) =>
      `${record.timeUnixNano} ${record.body?.stringValue}`;
    assert.deepEqual(found.map(({ record }) => key(record)).toSorted(), wanted.map(key).toSorted());
    const { lines } = await asked(here, "logs", args, false);
    assert.equal(lines.length, wanted.length);
    for (const line of lines) assert.match(line, /^2\S+Z (INFO|WARN|ERROR|FATAL) +cart {2}/);
  });

  Deno.test(`pages follow each other by the flag that is printed: ${driver}`, async () => {
    const first = ["--since", "9000d", "--limit", "50"];
    const all: string[] = [];
    let { lines, notes } = await asked(here, "logs", first, true);
    while (true) {
      all.push(...lines);
      const next = / page: (.+)$/.exec(notes.join("\n"))?.[1];
      if (next === undefined) break;
      assert.match(next, /^--cursor \S+$/);
      ({ lines, notes } = await asked(here, "logs", [...first, ...next.split(" ")], true));
    }
    assert.equal(new Set(all).size, new Set(LOGS.map(({ record }) => record)).size);
  });

  Deno.test(`query trace draws each span of it once, or says that there is none: ${driver}`, async () => {
    const own = SPANS.filter(({ record }) => record.traceId === traceId);
    const { lines } = await asked(here, "trace", [traceId], false);
    assert.ok(lines[0]!.startsWith(`trace ${traceId}: ${own.length} span`));
    assert.equal(lines.length, own.length + 2);
    assert.equal((await rows(here, "trace", [traceId])).length, own.length);
    const otlp = await rows(here, "trace", [traceId, "--format", "otlp"]);
    assert.equal(otlp.length, 1);
    assert.equal(otlp[0].resourceSpans.length, own.length);
    await using server = serve();
    for (const asker of [here, server.there]) {
      await assert.rejects(asked(asker, "trace", ["f".repeat(32)], true), {
        name: "Error",
        message: "Cannot find it: nothing is stored of it",
      });
    }
  });

  Deno.test(`query metric prints a row a window: ${driver}`, async () => {
    const highest = new Map<bigint, number>();
    for (const { gauge } of METRICS) {
      for (const { timeUnixNano, asDouble } of gauge?.dataPoints ?? []) {
        const window = FIRST + (timeUnixNano - FIRST) / HOUR * HOUR;
        highest.set(window, Math.max(highest.get(window) ?? 0, asDouble!));
      }
    }
    const wanted = [...highest].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([time, value]) => ({ time: String(time), value }));
    const [series] = await rows(here, "metric", ASKED.metric!);
    assert.deepEqual(series.points, wanted);
    const [table] = (await asked(here, "metric", ASKED.metric!, false)).lines;
    assert.equal(table!.split("\n").length, wanted.length + 3);
  });

  Deno.test(`query metric-buckets prints a row for what is in a bucket: ${driver}`, async () => {
    const found = await rows(here, "metric-buckets", ASKED["metric-buckets"]!);
    const numbers = found.map(({ since, above, upTo, count }) => [since, above, upTo, count]);
    assert.deepEqual(numbers, [
      [String(FIRST), "-Infinity", 1_024, 1],
      [String(FIRST), 1_024, "Infinity", 2],
    ]);
    const [table] = (await asked(here, "metric-buckets", ASKED["metric-buckets"]!, false)).lines;
    assert.match(table!, / 1024 +│ Infinity +│ By +│ +2\n/);
  });

  Deno.test(`an unknown service gives nothing, a wrong question names its flag: ${driver}`, async () => {
    await using server = serve();
    for (const asker of [here, server.there]) {
      const service = "'; drop table otel_data.spans; --";
      for (const name of ["traces", "logs", "requests", "errors"]) {
        assert.deepEqual(await rows(asker, name, ["--service", service, ...RANGE]), []);
      }
      const table = await asked(asker, "traces", ["--service", service, ...RANGE], false);
      assert.deepEqual(table.lines, ["(0 rows)"]);
      assert.match(table.notes.join(), /^read what was from 2\S+Z until 2\S+Z$/);
      const wrong = async (args: string[], message: RegExp) =>
        await assert.rejects(asked(asker, "traces", args, true), { name: "UsageError", message });
      await wrong(["--cursor", "abc"], /^Cannot use --cursor 'abc': damaged, or from a query with/);
      await wrong(["--filter", "a ="], /^Cannot use --filter /);
      await wrong(
        ["--since", "5", "--until", "4"].map((one) => one.replace(/^\d/, `$&${"0".repeat(18)}`)),
        /^Cannot use --since 50+: later than the end of the range/,
      );
    }
  });
}

Deno.test("a log record that says no time is not from 1970, but as old as when it was observed", () => {
  const lineOf = (times: { timeUnixNano?: string; observedTimeUnixNano?: string }) =>
    logLine({
      record: {
        timeUnixNano: "0",
        observedTimeUnixNano: "0",
        severityNumber: 9,
        severityText: "",
        eventName: "",
        attributes: [],
        droppedAttributesCount: 0,
        flags: 0,
        traceId: "",
        spanId: "",
        body: { stringValue: "up" },
        ...times,
      },
      resource: { attributes: [], droppedAttributesCount: 0, entityRefs: [] },
      scope: { name: "", version: "", attributes: [], droppedAttributesCount: 0 },
      resourceSchemaUrl: "",
      scopeSchemaUrl: "",
    });
  assert.equal(lineOf({}), "no time                  INFO  -  up");
  assert.equal(lineOf({ timeUnixNano: "1000000" }), "1970-01-01T00:00:00.001Z INFO  -  up");
  assert.equal(lineOf({ observedTimeUnixNano: "1000000" }), "1970-01-01T00:00:00.001Z INFO  -  up");
});

Deno.test("JSON lines hold what would move the cursor escaped, and mean the same", () => {
  const hostile = { text: "\x1b[31m\u009b\u202e\u2028\x7f\u{e0001}é🛒", n: "18446744073709551615" };
  const line = jsonLine(hostile);
  assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}]/u);
  assert.deepEqual(JSON.parse(line), hostile);
});

Deno.test("the script asks a collector that runs, else the database, and ends quietly when nobody reads", async () => {
  await using data = await temporaryFolder();
  const dataDir = data.path;
  const own = { resource: resource([attribute("service.name", "shop")]) };
  const requests = {
    traces: requestToJson("traces", traces([span({ traceId, name: "GET /\u001b[31m" })], own)),
    logs: requestToJson(
      "logs",
      logs(
        Array.from(
          { length: 500 },
          (_, n) =>
            log({ timeUnixNano: TIME + BigInt(n), body: { stringValue: "x".repeat(1_000) } }),
        ),
        own,
      ),
    ),
  };
  const answers = [];
  const everything = ["--since", "0", "--limit", "1000"];
  const questions = [
    ["query", "trace", traceId],
    ["query", "logs", ...everything],
    ["query", "traces", "--service", "nobody"],
    ["query", "trace", "5b8e"],
    ["query", "trace", "f".repeat(32)],
  ];
  {
    await using collector = await startCollector({ dataDir });
    for (const [signal, body] of Object.entries(requests)) {
      const response = await fetch(`${collector.url}/v1/${signal}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      assert.equal(response.status, 200);
      await response.body?.cancel();
    }
    // Asking in SQL waits for what was acknowledged.
    await runCollector({ dataDir, args: ["query", "sql", "select 1"] });
    for (const args of questions) answers.push(await runCollector({ dataDir, args }));
    collector.signal("SIGTERM");
    assert.equal((await collector.ended).code, 0);
  }
  assert.deepEqual(answers.map(({ code }) => code), [0, 0, 0, 2, 1]);
  assert.equal(answers[1]!.stdout.split("\n").length, 501);
  assert.equal(answers[2]!.stdout, "");
  assert.match(
    answers[3]!.stderr,
    /^otel-storage: Cannot use the trace id of query trace '5b8e': /,
  );
  for (const [at, args] of questions.entries()) {
    assert.deepEqual(await runCollector({ dataDir, args }), answers[at]);
  }
  const head = await runCollector({
    dataDir,
    args: ["query", "logs", ...everything],
    through: ["sh", "-c", '{ "$@"; echo "code $?" >&2; } | head -n 1', "sh"],
  });
  assert.deepEqual(head, {
    code: 0,
    stdout: answers[1]!.stdout.split("\n")[0] + "\n",
    stderr: "code 0\n",
  });
});

if (drivers.includes("postgres")) {
  Deno.test("a collector that stores on a server is asked by who knows its folder alone", async () => {
    await using test = await migratedDatabase("postgres");
    await using folder = await temporaryFolder();
    const dataDir = folder.path;
    await using collector = await startCollector({ dataDir, args: ["--database", test.url] });
    const response = await fetch(`${collector.url}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: requestToJson("logs", logs([log({ body: { stringValue: "disk full" } })])),
    });
    assert.deepEqual(await response.json(), {});
    const query = async (...args: string[]) => {
      const { code, stdout, stderr } = await runCollector({
        dataDir,
        args: ["query", ...args, "--json"],
      });
      assert.equal(code, 0, stderr);
      return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    };
    // Asking in SQL waits for what was acknowledged.
    assert.deepEqual(await query("sql", "select message from otel.logs"), [
      { message: "disk full" },
    ]);
    assert.equal((await query("logs", "--since", "0")).length, 1);

    // Without it, nobody knows where the data is, and nobody makes a database to look.
    await stop(collector);
    const { code, stderr } = await runCollector({ dataDir, args: ["query", "sql", "select 1"] });
    assert.equal(code, 1);
    assert.match(stderr, /Cannot open \S+pglite: .*say where with --data-dir or --database/);
  });
}
