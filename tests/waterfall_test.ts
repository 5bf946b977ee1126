import assert from "node:assert/strict";
import { textOf } from "../src/api_answers.ts";
import { treeOf } from "../src/query/span_tree.ts";
import type { Span } from "../src/record.ts";
import { widthOf } from "../src/text_width.ts";
import { happenings, type TraceJson, waterfall } from "../src/waterfall.ts";
import { attribute, event, log, resource, scope, span } from "./one_record.ts";

const START = 1_769_860_800_000_000_000n;
const MS = 1_000_000n;

type Part = readonly [id: string, parent: string, service: string, from: number, to: number];

/** A trace as the API gives it; times are ms from its start. */
function traceOf(
  parts: readonly Part[],
  more: (id: string) => Partial<Span> = () => ({}),
  logs: readonly unknown[] = [],
): TraceJson {
  const spans = parts.map(([id, parent, service, from, to]) => ({
    record: span({
      spanId: id.padStart(16, "0"),
      parentSpanId: parent === "" ? "" : parent.padStart(16, "0"),
      name: `op ${id}`,
      startTimeUnixNano: START + BigInt(from) * MS,
      endTimeUnixNano: START + BigInt(to) * MS,
      ...more(id),
    }),
    resource: resource([attribute("service.name", service)]),
    resourceSchemaUrl: "",
    scope: scope(),
    scopeSchemaUrl: "",
    service,
  }));
  const last = parts.reduce((end, [, , , , to]) => Math.max(end, to), 0);
  return JSON.parse(textOf({
    traceId: "5b8efff798038103d269b633813fc60c",
    startUnixNano: START,
    durationNs: BigInt(last) * MS,
    spans: treeOf(spans),
    hasMoreSpans: false,
    lateSpans: 0,
    logs,
    hasMoreLogs: false,
    points: [],
  }));
}

Deno.test("a trace is drawn as a tree with a bar a span", () => {
  const trace = traceOf([
    ["1", "", "shop", 0, 100],
    ["2", "1", "cart", 10, 50],
    ["3", "2", "payments", 20, 30],
    ["4", "1", "カート", 50, 100],
    ["5", "9", "shop", 90, 95],
  ], (id) => id === "3" ? { status: { code: 2, message: "no" } } : {});
  assert.deepEqual([...waterfall(trace, 67)], [
    "trace 5b8efff798038103d269b633813fc60c: 5 spans, 1 error, 4 services, " +
    "2026-01-31T12:00:00.000Z, 100ms",
    "",
    "shop: op 1          ▕████████████████████▏  100ms",
    "├─ cart: op 2       ▕  ████████          ▏ 40.0ms",
    "│  └─ payments: op… ▕    ██              ▏ 10.0ms ✗",
    "└─ カート: op 4     ▕          ██████████▏ 50.0ms",
    "shop: op 5          ▕                  █ ▏ 5.00ms ? parent missing",
  ]);
});

Deno.test("a circle is cut, drawn once and marked", () => {
  const trace = traceOf([["1", "2", "a", 0, 10], ["2", "1", "a", 0, 10]]);
  const lines = [...waterfall(trace, 80)].slice(2);
  assert.match(lines[0]!, /^a: op 1 .* \? circle$/);
  assert.match(lines[1]!, /^└─ a: op 2 .*ms$/);
  assert.equal(lines.length, 2);
});

Deno.test("hostile names stay on their line, and lines in the terminal", () => {
  const names = ["\x1b[31m\n\u202e\u2066", "日本語".repeat(100), "e\u0301".repeat(300), "👩‍👩‍👧🛒", ""];
  const trace = traceOf(
    names.map((name, at) => [String(at + 1), String(at), name, at, at + 1]),
    (id) => ({ name: names[Number(id) - 1]! }),
  );
  for (const columns of [50, 80, 133]) {
    const lines = [...waterfall(trace, columns)].slice(2);
    assert.equal(lines.length, names.length);
    const starts = lines.map((line) => widthOf(line.slice(0, line.indexOf("▕"))));
    assert.equal(new Set(starts).size, 1, lines.join("\n"));
    for (const line of lines) {
      assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
      assert.ok(widthOf(line) < columns, line);
    }
  }
});

Deno.test("a trace of ten thousand spans, each the child of the one before, is drawn within its width", () => {
  const trace = traceOf(
    Array.from({ length: 10_000 }, (_, at) => {
      const id = (at + 1).toString(16);
      return [id, at === 0 ? "" : at.toString(16), "deep", at, 10_000] as const;
    }),
  );
  const lines = [...waterfall(trace, 80)].slice(2);
  assert.equal(lines.length, 10_000);
  for (const line of lines) assert.ok(widthOf(line) < 80, line);
  assert.match(lines.at(-1)!, /^… .*└─ deep/);
});

Deno.test("spans without a start have no bar, those that end before they begin a column", () => {
  const trace = traceOf(
    [["1", "", "a", 0, 10], ["2", "1", "a", 5, 1], ["3", "1", "a", 0, 0]],
    (id) => id === "3" ? { startTimeUnixNano: 0n } : {},
  );
  const bars = [...waterfall(trace, 60)].slice(2).map((line) => line.match(/█/g)?.length ?? 0);
  assert.deepEqual(bars.slice(1).toSorted(), [0, 1]);
});

Deno.test("what happened in a trace comes by time: events and log records", () => {
  const trace = traceOf(
    [["1", "", "shop", 0, 10]],
    () => ({
      events: [event({
        name: "exception",
        timeUnixNano: START + 5n * MS,
        attributes: [attribute("exception.type", "TypeError\x1b")],
      })],
    }),
    [4n, 6n].map((at) => ({
      record: log({
        timeUnixNano: START + at * MS,
        severityNumber: 17,
        body: { kvlistValue: { values: [attribute("a", "b")] } },
      }),
      resource: resource([]),
    })),
  );
  assert.deepEqual([...happenings(trace)], [
    '2026-01-31T12:00:00.004Z ERROR -  {"a":"b"}',
    "2026-01-31T12:00:00.005Z EVENT shop  exception exception.type=TypeError\\u{1b}",
    '2026-01-31T12:00:00.006Z ERROR -  {"a":"b"}',
  ]);
});
