/**
 * Records that the protocol calls invalid are rejected one by one; the rest of their request is kept.
 */

import assert from "node:assert/strict";
import { encodeRequest } from "../src/otlp.ts";
import { OtlpTooLargeError } from "../src/otlp_error.ts";
import { Batch } from "../src/postgres/batch.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { type Transcoded, Transcoder } from "../src/postgres/transcode.ts";
import { WIRE } from "../src/protobuf_wire.ts";
import { WireWriter } from "../src/protobuf_writer.ts";
import type { AnyValue, ExportRequests, Signal } from "../src/record.ts";
import {
  attribute,
  event,
  exemplar,
  gauge,
  link,
  log,
  logs,
  metrics,
  point,
  resource,
  scope,
  span,
  traces,
} from "./one_record.ts";
import { TranscodeStore } from "./transcode_store.ts";

const store = await TranscodeStore.open();

const BAD_IDS = "its trace_id is not 16 or its span_id not 8 bytes that are not all zero";
const DEEP_ATTRIBUTE = "an attribute nests deeper than 128 levels";
const DEEP_VALUE = "a value nests deeper than 128 levels";
const DEEP_ORIGIN = "an attribute of the resource or scope nests deeper than 128 levels";

/** Stores a request alone; returns what became of it and what is there afterwards. */
async function stored<S extends Signal>(
  signal: S,
  body: Uint8Array,
): Promise<{ result: Transcoded; read: ExportRequests[S] }> {
  await store.clear();
  const result = store.transcode(signal, body);
  return { result, read: await store.stored(signal) };
}

function rejectedMessage(rejected: number, all: number, what: string, why: string): string {
  return `${rejected} of ${all} ${what} rejected, the first one because ${why}`;
}

const TRACE_ID = "5b8efff798038103d269b633813fc60c";
const SPAN_ID = "eee19b7ec3c1b174";

/** Ids that are none: wrong lengths and all zero. */
function badIds(id: string): string[] {
  const lengths = [0, 1, id.length / 4, id.length / 2 - 1, id.length / 2 + 1, id.length];
  return [...lengths.map((bytes) => id.repeat(2).slice(0, bytes * 2)), "00".repeat(id.length / 2)];
}

/** Ids that are some, though most of them is zero. */
function goodIds(id: string): string[] {
  return [id, "00".repeat(id.length / 2 - 1) + "01", "80" + "00".repeat(id.length / 2 - 1)];
}

Deno.test("spans whose trace id is not 16 bytes or all zero are rejected alone", async () => {
  const bad = badIds(TRACE_ID);
  const good = goodIds(TRACE_ID);
  const spans = [...bad, ...good].map((traceId) => span({ traceId }));
  const { result, read } = await stored("traces", encodeRequest("traces", traces(spans)));
  assert.deepEqual(result, {
    accepted: 3,
    rejected: bad.length,
    message: rejectedMessage(bad.length, spans.length, "spans", BAD_IDS),
  });
  const ids = read.resourceSpans.map(({ scopeSpans }) => scopeSpans[0]!.spans[0]!.traceId);
  assert.deepEqual(ids.sort(), good.sort());
});

Deno.test("spans whose span id is not 8 bytes or all zero are rejected alone", async () => {
  const bad = badIds(SPAN_ID);
  const good = goodIds(SPAN_ID);
  const spans = [...good, ...bad].map((spanId) => span({ spanId }));
  const { result, read } = await stored("traces", encodeRequest("traces", traces(spans)));
  assert.deepEqual(result, {
    accepted: 3,
    rejected: bad.length,
    message: rejectedMessage(bad.length, spans.length, "spans", BAD_IDS),
  });
  const ids = read.resourceSpans.map(({ scopeSpans }) => scopeSpans[0]!.spans[0]!.spanId);
  assert.deepEqual(ids.sort(), good.sort());
});

Deno.test("optional ids that are none are absent, and reject nothing", async () => {
  const good = { traceId: TRACE_ID, spanId: SPAN_ID };
  const spans = [...badIds(SPAN_ID), SPAN_ID].map((parentSpanId) => span({ parentSpanId }));
  const links = badIds(TRACE_ID).flatMap((traceId) =>
    badIds(SPAN_ID).map((spanId) => link({ traceId, spanId }))
  );
  spans.push(span({ parentSpanId: SPAN_ID, links: [...links, link(good)] }));
  const one = await stored("traces", encodeRequest("traces", traces(spans)));
  assert.deepEqual(one.result, { accepted: spans.length, rejected: 0, message: "" });
  const readSpans = one.read.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans[0]!.spans);
  assert.equal(
    readSpans.filter(({ parentSpanId }) => parentSpanId === "").length,
    spans.length - 2,
  );
  const readLinks = readSpans.flatMap(({ links }) => links);
  assert.equal(readLinks.length, links.length + 1);
  assert.deepEqual(readLinks.at(-1), link(good));
  for (const { traceId, spanId } of readLinks.slice(0, -1)) assert.equal(traceId + spanId, "");

  const records = badIds(TRACE_ID).flatMap((traceId) =>
    badIds(SPAN_ID).map((spanId) => log({ traceId, spanId }))
  );
  const two = await stored("logs", encodeRequest("logs", logs([...records, log(good)])));
  assert.equal(two.result.accepted, records.length + 1);
  const readLogs = two.read.resourceLogs.flatMap(({ scopeLogs }) => scopeLogs[0]!.logRecords);
  assert.equal(
    readLogs.filter(({ traceId, spanId }) => traceId + spanId === "").length,
    records.length,
  );

  const exemplars = badIds(TRACE_ID).flatMap((traceId) =>
    badIds(SPAN_ID).map((spanId) => exemplar({ traceId, spanId, asInt: 1n }))
  );
  exemplars.push(exemplar({ ...good, asInt: 2n }));
  const three = await stored(
    "metrics",
    encodeRequest("metrics", metrics([gauge([point({ asInt: 1n, exemplars })])])),
  );
  assert.equal(three.result.accepted, 1);
  const readExemplars =
    three.read.resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!.gauge!.dataPoints[0]!.exemplars;
  assert.deepEqual(
    readExemplars,
    exemplars.map((one) => one.asInt === 2n ? one : { ...one, traceId: "", spanId: "" }),
  );
});

Deno.test("number points without a value are rejected alone, unless their flag says so", async () => {
  const dataPoints = [
    point({ asInt: 0n }),
    point(),
    point({ flags: 1 }),
    point({ flags: 2 }),
    point({ flags: 3 }),
    point({ asDouble: NaN }),
    point({ attributes: [attribute("a")] }),
  ];
  const sum = { dataPoints, aggregationTemporality: 2, isMonotonic: true };
  const request = metrics([
    gauge(dataPoints),
    { name: "sum", description: "", unit: "", metadata: [], sum },
  ]);
  const { result, read } = await stored("metrics", encodeRequest("metrics", request));
  assert.deepEqual(result, {
    accepted: 8,
    rejected: 6,
    message: rejectedMessage(6, 14, "data points", "it has no value"),
  });
  assert.equal(read.resourceMetrics.length, 8);
});

Deno.test("a message names the count and the first reason", async () => {
  const spans = [
    span({ attributes: [{ key: "deep", value: nested(129) }] }),
    span({ traceId: "" }),
    span(),
  ];
  const { result } = await stored("traces", encodeRequest("traces", traces(spans)));
  assert.deepEqual(result, {
    accepted: 1,
    rejected: 2,
    message: rejectedMessage(2, 3, "spans", DEEP_ATTRIBUTE),
  });
});

function nested(levels: number): AnyValue {
  let value: AnyValue = { stringValue: "leaf" };
  for (let level = 1; level < levels; level++) value = { arrayValue: { values: [value] } };
  return value;
}

/** Stands in a request for the value to nest, which is too deep for our own writer. */
const MARK = "@value@";

/** The length of a message that ends in a marked value, as varints of one size however deep that is. */
function longVarint(value: number): number[] {
  const bytes = [];
  for (let n = 0; n < 4; n++) bytes.push((value >>> (7 * n)) & 0x7f | 0x80);
  return [...bytes, value >>> 28];
}

/** An AnyValue of that many levels, lists and maps by turns. */
function nestedBytes(levels: number): Uint8Array {
  // Inside out, each level before what is there: one buffer, filled from its end.
  const bytes = new Uint8Array(levels * 24 + 16);
  let at = bytes.length;
  const put = (...values: number[]) => bytes.set(values, at -= values.length);
  const wrap = (tag: number, end: number) => put(tag, ...longVarint(end - at));
  put(0x0a, 1, 0x61);
  const end = bytes.length;
  for (let level = 1; level < levels; level++) {
    if (level % 2 === 0) {
      wrap(0x0a, end);
      wrap(0x2a, end);
    } else {
      wrap(0x12, end);
      wrap(0x0a, end);
      wrap(0x32, end);
    }
  }
  return bytes.slice(at);
}

/** The request with the marked text value replaced by one of that many levels. */
function withNested(body: Uint8Array, levels: number): Uint8Array {
  const marked = Uint8Array.of(0x0a, MARK.length, ...new TextEncoder().encode(MARK));
  return replaced(body, marked, nestedBytes(levels))!;
}

/** Replaces the message `from`, wherever it lies, and mends the lengths around it. */
function replaced(bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array | undefined {
  if (bytes.length < from.length) return undefined;
  if (bytes.length === from.length && bytes.every((byte, n) => byte === from[n])) return to;
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0;; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80 || shift > 28) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    if ((tag & 7) === WIRE.varint) varint();
    else if ((tag & 7) === WIRE.fixed64) at += 8;
    else if ((tag & 7) === WIRE.fixed32) at += 4;
    else if ((tag & 7) === WIRE.bytes) {
      const length = varint();
      if (at + length > bytes.length) return undefined;
      const inner = replaced(bytes.subarray(at, at + length), from, to);
      at += length;
      if (inner !== undefined) {
        const writer = new WireWriter();
        writer.tag(tag >>> 3, WIRE.bytes);
        writer.bytes(inner);
        const field = writer.finish();
        const result = new Uint8Array(start + field.length + bytes.length - at);
        result.set(bytes.subarray(0, start));
        result.set(field, start);
        result.set(bytes.subarray(at), start + field.length);
        return result;
      }
    } else return undefined;
  }
  return undefined;
}

const marked = [attribute("before"), attribute("marked", MARK), attribute("after")];

/** Requests with the mark in each place where a value can stand, and what is rejected for it. */
const PLACES: readonly {
  readonly where: string;
  readonly signal: Signal;
  readonly body: Uint8Array;
  /** How many records are kept, in spite of it. */
  readonly kept: number;
  readonly rejected: number;
  readonly why: string;
}[] = [
  ...[
    { where: "span", bad: span({ attributes: marked }) },
    { where: "event", bad: span({ events: [event(), event({ attributes: marked }), event()] }) },
    { where: "link", bad: span({ links: [link(), link({ attributes: marked }), link()] }) },
  ].map(({ where, bad }) => ({
    where: `attributes of a ${where}`,
    signal: "traces" as const,
    body: encodeRequest("traces", traces([span(), bad, span()])),
    kept: 2,
    rejected: 1,
    why: DEEP_ATTRIBUTE,
  })),
  ...[
    { where: "the body of a log record", bad: log({ body: { stringValue: MARK } }) },
    { where: "attributes of a log record", bad: log({ attributes: marked }) },
  ].map(({ where, bad }) => ({
    where,
    signal: "logs" as const,
    body: encodeRequest("logs", logs([log(), bad, log()])),
    kept: 2,
    rejected: 1,
    why: DEEP_VALUE,
  })),
  ...[
    { where: "attributes", bad: point({ asInt: 1n, attributes: marked }) },
    {
      where: "exemplars",
      bad: point({ asInt: 1n, exemplars: [exemplar(), exemplar({ filteredAttributes: marked })] }),
    },
  ].map(({ where, bad }) => ({
    where: `${where} of a point`,
    signal: "metrics" as const,
    body: encodeRequest("metrics", metrics([gauge([point({ asInt: 1n }), bad])])),
    kept: 1,
    rejected: 1,
    why: DEEP_ATTRIBUTE,
  })),
  {
    where: "metadata of a metric",
    signal: "metrics",
    body: encodeRequest(
      "metrics",
      metrics([
        gauge([point({ asInt: 1n }), point({ asInt: 2n })], { metadata: marked }),
        gauge([point({ asInt: 3n })]),
      ]),
    ),
    kept: 1,
    rejected: 2,
    why: DEEP_ATTRIBUTE,
  },
  ...[{ resource: resource(marked) }, { scope: scope({ attributes: marked }) }].flatMap(
    (origin) => {
      const where = `attributes of a ${Object.keys(origin)[0]}`;
      const bad = {
        traces: traces([span({ name: "bad" }), span({ traceId: "" })], origin),
        logs: logs([log(), log()], origin),
        metrics: metrics([gauge([point({ asInt: 1n }), point()])], origin),
      };
      const good = {
        traces: traces([span()]),
        logs: logs([log()]),
        metrics: metrics([gauge([point({ asInt: 2n })])]),
      };
      return (["traces", "logs", "metrics"] as const).map((signal) => ({
        where,
        signal,
        body: Uint8Array.of(
          ...encodeRequest(signal, bad[signal] as never),
          ...encodeRequest(signal, good[signal] as never),
        ),
        kept: 1,
        rejected: 2,
        why: DEEP_ORIGIN,
      }));
    },
  ),
];

for (const { where, signal, body, kept, rejected, why } of PLACES) {
  Deno.test(`${signal}: ${where} may nest 128 levels, and reject alone what they belong to beyond`, async () => {
    const isOrigin = why === DEEP_ORIGIN;
    const spared = isOrigin && signal !== "logs" ? 1 : 0; // one of the two is invalid anyway
    for (const levels of [127, 128]) {
      const { result } = await stored(signal, withNested(body, levels));
      assert.equal(result.accepted, kept + rejected - spared, `${levels}: ${result.message}`);
    }
    for (const levels of [129, 130, 10_000]) {
      const { result, read } = await stored(signal, withNested(body, levels));
      assert.equal(result.accepted, kept);
      assert.equal(result.rejected, rejected);
      assert.equal(Object.values(read)[0].length, kept);
      const [what, reason] = result.message.split(" rejected, the first one because ");
      assert.match(what!, new RegExp(`^${rejected} of ${kept + rejected} `));
      if (!spared) assert.equal(reason, why);
    }
  });
}

Deno.test("a request whose rows take too much room is refused whole, however small it is itself", () => {
  // Four million log records of two bytes, which a gzip of some kilobytes can hold.
  const empty = new Uint8Array(8 << 20);
  for (let at = 0; at < empty.length; at += 2) empty[at] = 0x12;
  const writer = new WireWriter();
  writer.tag(1, WIRE.bytes); // resource_logs
  const resourceLogs = writer.open();
  writer.tag(2, WIRE.bytes); // scope_logs
  writer.bytes(empty);
  writer.close(resourceLogs);
  const batch = new Batch();
  const transcoder = new Transcoder(new Dimensions());
  const good = encodeRequest("logs", logs([log()]));
  transcoder.transcode("logs", good, 1n, batch);
  const { at, count } = batch.logs;
  assert.throws(
    () => transcoder.transcode("logs", writer.finish(), 1n, batch),
    OtlpTooLargeError,
  );
  assert.deepEqual({ at: batch.logs.at, count: batch.logs.count }, { at, count });
  assert.ok(batch.logs.bytes.length <= at + (256 << 20));
  transcoder.transcode("logs", good, 1n, batch);
  assert.equal(batch.logs.count, 2);
});
