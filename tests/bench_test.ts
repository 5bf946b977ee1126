import assert from "node:assert/strict";
import { drawLines, type Line, spreadOf } from "../bench/table.ts";
import { laterNanos } from "../bench/load.ts";
import { readSettings } from "../bench/settings.ts";
import { seeded, TYPICAL } from "../bench/telemetry.ts";
import { type BodyOptions, varyingBodies, type VaryingBody } from "../bench/varying_body.ts";
import { oracleDecode } from "./oracle.ts";
import { decodeRequest, parseRequestJson } from "../src/otlp.ts";
import type { ExportTraceServiceRequest, Span } from "../src/record.ts";

const START = 1_790_000_000_000_000_000n;
const RECORDS = 200;

const OPTIONS: BodyOptions = {
  signal: "traces",
  encoding: "protobuf",
  bodies: 2,
  records: RECORDS,
  shape: TYPICAL,
  startUnixNano: START,
};

function bodyOf(options: Partial<BodyOptions> = {}): VaryingBody {
  return varyingBodies({ ...OPTIONS, ...options })[1]!;
}

/** The body as it is sent, from an odd place in a buffer. */
function sent(body: VaryingBody, seed: number, laterNanos = 0): Uint8Array {
  const buffer = new Uint8Array(body.bytes.length + 7);
  body.write(seeded(seed), laterNanos, buffer, 7);
  return buffer.subarray(7);
}

function spansOf({ resourceSpans }: ExportTraceServiceRequest): Span[] {
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

/** For each span the place of its parent and of the first span of its trace. */
function relations(spans: readonly Span[]): [number, number][] {
  const ids = spans.map(({ spanId }) => spanId);
  const traces = spans.map(({ traceId }) => traceId);
  return spans.map((span) => [ids.indexOf(span.parentSpanId), traces.indexOf(span.traceId)]);
}

for (const encoding of ["protobuf", "json"] as const) {
  Deno.test(`spans sent again as ${encoding} are other ones with the same relations, later`, () => {
    const body = bodyOf({ encoding });
    const [first, second] = [sent(body, 1), sent(body, 2, 3_000_000_000)].map((bytes) =>
      spansOf(
        encoding === "json"
          ? parseRequestJson("traces", new TextDecoder().decode(bytes))
          : decodeRequest("traces", bytes),
      )
    );
    assert.equal(first!.length, RECORDS);
    assert.deepEqual(relations(second!), relations(first!));
    assert(new Set(relations(first!).map(([parent]) => parent)).size > RECORDS / 2);
    for (const [n, span] of first!.entries()) {
      const other = second![n]!;
      assert.notEqual(other.spanId, span.spanId);
      assert.notEqual(other.traceId, span.traceId);
      assert.equal(other.startTimeUnixNano, span.startTimeUnixNano + 3_000_000_000n);
      assert.equal(other.endTimeUnixNano, span.endTimeUnixNano + 3_000_000_000n);
      const texts = [span, other].map(({ attributes }) =>
        new Map(attributes.map(({ key, value }) => [key, value!.stringValue]))
      );
      for (const key of ["session.id", "url.path"]) {
        assert.notEqual(texts[0]!.get(key), texts[1]!.get(key));
      }
      for (const key of ["http.route", "enduser.id"]) {
        assert.equal(texts[0]!.get(key), texts[1]!.get(key));
      }
    }
  });
}

Deno.test("times that are later by more than 32 bits hold carry on", () => {
  const [first, later] = [0, 30_000_000_000].map((laterNanos) =>
    spansOf(decodeRequest("traces", sent(bodyOf(), 1, laterNanos)))
  );
  for (const [n, span] of first!.entries()) {
    assert.equal(later![n]!.startTimeUnixNano, span.startTimeUnixNano + 30_000_000_000n);
  }
});

Deno.test("every tenth request is late when it is to be, of each of the days before in turn", () => {
  const form = { batch: 100, shape: TYPICAL };
  const days = Array.from(
    { length: 40 },
    (_, n) => Math.floor(laterNanos(n, { ...form, lateDays: 3 }) / 86_400e9),
  );
  assert.deepEqual(days.filter((_, n) => n % 10 === 0), [0, 1, 2, 0]);
  assert.deepEqual(new Set(days.filter((_, n) => n % 10 !== 0)), new Set([3]));
  assert.equal(laterNanos(40, form), 4 * 100 * 1e6);
  assert.equal(laterNanos(41, { ...form, lateDays: 3 }) - 3 * 86_400e9, laterNanos(41, form));
});

Deno.test("a body of any signal and size is another one at each sending and is valid OTLP", () => {
  for (const signal of ["traces", "logs", "metrics"] as const) {
    for (const records of [1, 17]) {
      // Each kind of metric comes to be the only one of a request.
      for (const body of varyingBodies({ ...OPTIONS, signal, records, bodies: 16 })) {
        const copies = [1, 2, 3].map((seed) => sent(body, seed));
        assert.equal(new Set(copies.map((bytes) => bytes.toBase64())).size, copies.length);
        for (const copy of copies) oracleDecode(signal, copy);
      }
    }
  }
});

Deno.test("bodies whose values all differ share no text of an attribute", () => {
  const spans = varyingBodies({ ...OPTIONS, shape: { services: 10, distinct: true } })
    .flatMap((body) => spansOf(decodeRequest("traces", sent(body, 1))));
  const texts = spans.flatMap(({ attributes }) =>
    attributes.map(({ value }) => value!.stringValue)
      .filter((text) => text !== undefined)
  );
  assert(new Set(texts).size > texts.length * 0.99);
});

Deno.test("metrics as JSON are refused, because their values could not vary", () => {
  assert.throws(() => bodyOf({ signal: "metrics", encoding: "json" }), /metrics as JSON/);
});

Deno.test("the table says whether a goal is met, missed, or lost in noise", () => {
  const line = (values: number[], at: "least" | "most"): Line => ({
    row: "ingest",
    what: "spans",
    ours: "1/s",
    value: spreadOf(values),
    goal: { limit: 0.5, at },
  });
  const verdicts = drawLines([
    line([0.6, 0.7, 0.5], "least"),
    line([0.6, 0.7, 0.5], "most"),
    line([0.4, 0.7, 0.6], "least"),
    line([0.4, 0.7, 0.6], "most"),
    line([0.4, 0.3], "most"),
  ]).split("\n").slice(1).map((text) => text.slice(text.indexOf("0.5  ") + 3).trim());
  assert.deepEqual(verdicts, [
    "met",
    "missed, within noise: see CPU",
    "met, within noise: see CPU",
    "missed, within noise: see CPU",
    "met",
  ]);
});

Deno.test("the median of an even number of runs lies between the middle ones", () => {
  assert.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
});

Deno.test("the command line names the option that makes no sense, and its value", () => {
  assert.throws(() => readSettings(["--records", "many"]), /--records many/);
  assert.throws(() => readSettings(["--rows", "ingest,speed"]), /--rows ingest,speed/);
  assert.throws(() => readSettings(["--batch", "9000"]), /--batch 9000/);
  assert.throws(() => readSettings(["--volume", "0.5"]), /--volume 0.5/);
  assert.throws(() => readSettings(["--bogus"]), /--bogus/);
  assert.equal(readSettings(["--help"]), undefined);
  assert.deepEqual(readSettings(["--rows", "size,ingest"])?.rows, ["ingest", "size"]);
  assert.deepEqual(readSettings(["--signals", "all"])?.signals, ["traces", "logs", "metrics"]);
});
