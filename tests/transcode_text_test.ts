/**
 * Texts that Postgres cannot hold as they are, texts and lists of any size, in every place.
 */

import assert from "node:assert/strict";
import { Batch } from "../src/postgres/batch.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { decodeRequest, encodeRequest } from "../src/otlp.ts";
import type { ExportRequests, KeyValue, Metric, Signal } from "../src/record.ts";
import { canonicalise } from "./canonical.ts";
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
import { ARRIVAL, TranscodeStore } from "./transcode_store.ts";

const store = await TranscodeStore.open();
const SIGNALS = ["traces", "logs", "metrics"] as const;
const MiB = 1 << 20;

/** Requests that have `text` wherever OTLP has text. */
function everywhere(text: string): ExportRequests {
  const attributes: KeyValue[] = [
    attribute(text, text),
    { key: "list", value: { arrayValue: { values: [{ stringValue: text }] } } },
    { key: "map", value: { kvlistValue: { values: [attribute(text, text)] } } },
  ];
  const entity = { schemaUrl: text, type: text, idKeys: [text], descriptionKeys: [text] };
  const origin = {
    resource: resource([...attributes, attribute("service.name", text)], { entityRefs: [entity] }),
    scope: scope({ name: text, version: text, attributes }),
  };
  const metric: Metric = gauge(
    [point({ asInt: 1n, attributes, exemplars: [exemplar({ filteredAttributes: attributes })] })],
    { name: text, unit: text, description: text, metadata: attributes },
  );
  const requests = {
    traces: traces([
      span({
        name: text,
        traceState: text,
        status: { code: 0, message: text },
        attributes,
        events: [event({ name: text, attributes })],
        links: [link({ traceState: text, attributes })],
      }),
    ], origin),
    logs: logs([
      log({ severityText: text, eventName: text, body: { stringValue: text }, attributes }),
    ], origin),
    metrics: metrics([metric], origin),
  };
  requests.traces.resourceSpans[0]!.schemaUrl = text;
  requests.logs.resourceLogs[0]!.scopeLogs[0]!.schemaUrl = text;
  return requests;
}

/** `body` with other bytes of the same length in the place of a text. */
function replaced(body: Uint8Array, text: string, bytes: readonly number[]): Uint8Array {
  const wanted = new TextEncoder().encode(text);
  assert.equal(wanted.length, bytes.length);
  const copy = body.slice();
  for (let at = 0; at <= copy.length - wanted.length; at++) {
    if (wanted.every((byte, n) => copy[at + n] === byte)) copy.set(bytes, at);
  }
  return copy;
}

const BROKEN: readonly [what: string, bytes: number[]][] = [
  ["NUL", [0x61, 0, 0x62]],
  ["nothing but NUL", [0, 0, 0]],
  ["a stray continuation", [0x80, 0x61, 0xbf]],
  ["a cut character of two bytes", [0x61, 0xc3, 0x22]],
  ["a cut character of three bytes", [0x61, 0xe2, 0x82]],
  ["a cut character of four bytes", [0xf0, 0x9f, 0x9a]],
  ["an overlong form of two bytes", [0xc0, 0x80, 0x5c]],
  ["an overlong form of three bytes", [0xe0, 0x80, 0x80]],
  ["an overlong form of four bytes", [0xf0, 0x80, 0x80, 0x80]],
  ["a surrogate", [0xed, 0xa0, 0x80]],
  ["a surrogate pair", [0xed, 0xa0, 0xbd, 0xed, 0xba, 0x80]],
  ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ["0xff", [0xff, 0xff, 0xff]],
  ["controls beside NUL", [0x01, 0, 0x1f]],
];

const SPECIAL = [
  "\x01\x1f\x7f",
  '"\\/',
  "\ufeff",
  "\u2028\u2029",
  "\u{1f680}\u{10ffff}",
  "\ufffe\uffff",
  "\ufffd",
];

for (const signal of SIGNALS) {
  Deno.test(`${signal}: NUL and invalid UTF-8 become U+FFFD in every text, and are counted`, async () => {
    for (const [what, bytes] of BROKEN) {
      await store.clear();
      const mark = "@#~^|`".slice(0, bytes.length);
      const body = replaced(encodeRequest(signal, everywhere(mark)[signal] as never), mark, bytes);
      const expected = canonicalise(signal, decodeRequest(signal, body));
      assert.equal(store.transcode(signal, body).accepted, 1);
      assert.ok(store.batch.of(signal).replaced >= 3, what);
      assert.ok(store.batch.dimensions.replaced >= 5, what);
      assert.deepEqual(canonicalise(signal, await store.stored(signal)), expected, what);
      const shown = new TextDecoder().decode(Uint8Array.from(bytes)).replaceAll("\0", "\ufffd");
      assert.ok(expected[0]!.includes(JSON.stringify(shown)), what);
    }
  });

  Deno.test(`${signal}: special characters are kept in every text, and not counted`, async () => {
    for (const text of SPECIAL) {
      await store.clear();
      const body = encodeRequest(signal, everywhere(text)[signal] as never);
      const expected = canonicalise(signal, decodeRequest(signal, body));
      store.transcode(signal, body);
      assert.equal(store.batch.replaced, 0);
      assert.deepEqual(canonicalise(signal, await store.stored(signal)), expected);
    }
  });

  Deno.test(`${signal}: long texts are kept whole in every place`, async () => {
    for (const text of ["x".repeat(100_001), "€".repeat(30_001), "\x01".repeat(20_001)]) {
      await store.clear();
      const body = encodeRequest(signal, everywhere(text)[signal] as never);
      const expected = canonicalise(signal, decodeRequest(signal, body));
      store.transcode(signal, body);
      const read = canonicalise(signal, await store.stored(signal));
      // Not deepEqual: a diff of megabytes takes minutes.
      assert.ok(read.length === 1 && read[0] === expected[0], text.slice(0, 1));
    }
  });

  Deno.test(`${signal}: 10,000 attributes are kept`, async () => {
    const attributes = Array.from(
      { length: 10_000 },
      (_, n) => attribute(`key ${n}`, `value ${n}`),
    );
    const requests = {
      traces: traces([span({ attributes, events: [event({ attributes })] })]),
      logs: logs([log({ attributes })]),
      metrics: metrics([gauge([point({ asInt: 1n, attributes })])]),
    };
    await store.clear();
    const body = encodeRequest(signal, requests[signal] as never);
    store.transcode(signal, body);
    const read = canonicalise(signal, await store.stored(signal));
    const [expected] = canonicalise(signal, decodeRequest(signal, body));
    assert.ok(read.length === 1 && read[0] === expected);
  });
}

Deno.test("names, keys, values and services of a megabyte are kept whole", async () => {
  const long = "x".repeat(MiB);
  const spans = [
    span({ name: long }),
    span({ attributes: [attribute(long)] }),
    span({ attributes: [attribute("key", long)] }),
  ];
  const request = traces(spans, { resource: resource([attribute("service.name", long)]) });
  const expected = canonicalise("traces", request);
  await store.clear();
  assert.equal(store.transcode("traces", encodeRequest("traces", request)).accepted, 3);
  const read = canonicalise("traces", await store.stored("traces"));
  assert.ok(read.length === 3 && read.every((line, n) => line === expected[n]));
});

Deno.test("texts that records share are counted as replaced once", async () => {
  await store.clear();
  const text = "once\0";
  const origin = {
    resource: resource([attribute("service.name", text)]),
    scope: scope({ name: text, version: text, attributes: [attribute(text, text)] }),
  };
  const spans = encodeRequest(
    "traces",
    traces([span({ name: text }), span({ name: text })], origin),
  );
  const points = [point({ asInt: 1n, attributes: [attribute("key", text)] }), point({ asInt: 2n })];
  const described = gauge(points, { name: text, unit: text, description: text });
  const gauges = encodeRequest("metrics", metrics([described], origin));
  for (let n = 0; n < 2; n++) {
    store.transcode("traces", spans);
    store.transcode("metrics", gauges);
    assert.equal(store.batch.replaced, 1 + 4 + 1 + 4);
  }
  await store.flush();
  store.transcode("traces", spans);
  store.transcode("metrics", gauges);
  assert.equal(store.batch.replaced, 0);
});

Deno.test("what is rejected is not counted as replaced", () => {
  const batch = new Batch();
  const transcoder = new Transcoder(new Dimensions());
  const bad: [Signal, Uint8Array][] = [
    [
      "traces",
      encodeRequest("traces", traces([span({ traceId: "", name: "a\0b", traceState: "a\0b" })])),
    ],
    [
      "metrics",
      encodeRequest(
        "metrics",
        metrics([gauge([
          point({ exemplars: [exemplar({ filteredAttributes: [attribute("a\0b")] })] }),
        ])]),
      ),
    ],
  ];
  for (const [signal, body] of bad) {
    assert.equal(transcoder.transcode(signal, body, ARRIVAL, batch).rejected, 1);
    assert.equal(batch.replaced, 0);
  }
});

Deno.test("the batch of a 16 MiB body takes about twice its size", () => {
  const text = "x".repeat(16 * MiB);
  const bodies: [Signal, object][] = [
    ["traces", traces([span({ attributes: [attribute("key", text)] })])],
    ["traces", traces([span({ traceState: text })])],
    ["traces", traces([span({ events: [event({ name: text })] })])],
    ["logs", logs([log({ body: { stringValue: text } })])],
    ["logs", logs([log({ severityText: text })])],
  ];
  for (const [signal, request] of bodies) {
    const batch = new Batch();
    const body = encodeRequest(signal, request as never);
    new Transcoder(new Dimensions()).transcode(signal, body, ARRIVAL, batch);
    assert.ok(batch.of(signal).bytes.byteLength <= 2.1 * body.length, `${signal}`);
    assert.ok(batch.bytes < 1.1 * body.length);
  }
});

Deno.test("a batch that is cleared keeps its memory for the next, but not that of an odd request", () => {
  const batch = new Batch();
  const transcode = (text: string) => {
    const body = encodeRequest("logs", logs([log({ body: { stringValue: text } })]));
    new Transcoder(new Dimensions()).transcode("logs", body, ARRIVAL, batch);
    return batch.logs.bytes.byteLength;
  };
  const usual = transcode("x".repeat(4 * MiB));
  batch.clear();
  assert.equal(batch.logs.bytes.byteLength, usual);
  assert.ok(transcode("\x01".repeat(16 * MiB)) > 64 * MiB);
  batch.clear();
  assert.ok(batch.logs.bytes.byteLength <= 32 * MiB);
  // It still takes as much.
  assert.ok(transcode("\x01".repeat(16 * MiB)) > 64 * MiB);
  assert.equal(batch.count, 1);
});
