import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { decodeResponse, decodeStatus, encodeRequest } from "../src/otlp.ts";
import type { AnyValue, KeyValue, Signal, Span } from "../src/record.ts";
import { handler, RequestBodies } from "../src/server.ts";
import { attribute, log, logs, resource, span, traces } from "./one_record.ts";
import { openStore } from "./open_store.ts";
import { oracleDecode } from "./oracle.ts";
import { drivers, type TestDriver } from "./postgres.ts";
import { joined, nested, text } from "./wire_parts.ts";

/** What a request was answered with: its status, how many were rejected, and what was said. */
type Answer = [status: number, rejected: number, message: string];

/** The door and the store behind it, with a database of their own. */
interface House extends AsyncDisposable {
  post(
    signal: Signal,
    body: Uint8Array | string,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** The rows of a query. */
  rows(sql: string): Promise<unknown[][]>;
  /** What became a 500. */
  readonly errors: readonly unknown[];
  readonly bodies: RequestBodies;
}

async function house(driver: TestDriver): Promise<House> {
  const store = await openStore(driver);
  const { adapter, database } = store;
  const errors: unknown[] = [];
  const bodies = new RequestBodies();
  const answer = handler({ store: adapter, bodies, onError: (error) => errors.push(error) });
  return {
    errors,
    bodies,
    async post(signal, body, headers = {}) {
      const encoding = typeof body === "string" ? "json" : "protobuf";
      const response = await answer(
        new Request(`http://localhost/v1/${signal}`, {
          method: "POST",
          headers: {
            "content-type": encoding === "json" ? "application/json" : "application/x-protobuf",
            ...headers,
          },
          body: body as BodyInit,
        }),
      );
      const bytes = await response.bytes();
      const { status } = response;
      if (status !== 200) return [status, 0, decodeStatus(bytes, encoding).message];
      const { rejected, message } = decodeResponse(signal, bytes, encoding);
      return [status, rejected, message];
    },
    rows: async (sql) => (await database.query(sql)).map((row) => Object.values(row)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

const GOOD_TRACE = "5b8efff798038103d269b633813fc60c";
const OK: Answer = [200, 0, ""];

function encodedTraces(spans: Span[], service = "shop"): Uint8Array {
  const origin = { resource: resource([attribute("service.name", service)]) };
  return encodeRequest("traces", traces(spans, origin));
}

/** The bytes with each `marker` in them replaced by as many others. */
function replaced(bytes: Uint8Array, marker: string, by: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  const latin = new TextDecoder("latin1").decode(copy);
  assert.equal(marker.length, by.length);
  for (let at = latin.indexOf(marker); at >= 0; at = latin.indexOf(marker, at + 1)) {
    copy.set(by, at);
  }
  assert.notDeepEqual(copy, bytes);
  return copy;
}

/** A value nested so many levels deep. */
function valueIn(levels: number): AnyValue {
  let value: AnyValue = { stringValue: "leaf" };
  for (let level = 1; level < levels; level++) value = { arrayValue: { values: [value] } };
  return value;
}

/** Bytes of such a value, also deeper than our own writer goes. */
function bytesIn(levels: number): Uint8Array {
  let value: Uint8Array = text(1, "a");
  for (let level = 1; level < levels; level++) value = nested(5, nested(1, value));
  return value;
}

const MiB = 1024 * 1024;

for (const driver of drivers) {
  const bad = (name: string, run: (house: House) => Promise<void>) =>
    Deno.test(`bad input: ${name} (${driver})`, async () => {
      await using opened = await house(driver);
      await run(opened);
      assert.deepEqual(opened.errors, []);
      assert.equal(opened.bodies.heldBytes, 0);
      // It still takes what is good, and gives it back.
      assert.deepEqual(await opened.post("traces", encodedTraces([span({ name: "after" })])), OK);
      assert.deepEqual(await opened.rows("select name from otel.spans where name = 'after'"), [
        ["after"],
      ]);
    });

  bad("a request cut anywhere is taken or refused as the official parser does", async (house) => {
    const whole = encodedTraces([
      span({ name: "cut", attributes: [{ key: "a", value: { intValue: 5n } }] }),
    ]);
    let taken = 0;
    for (let length = 0; length < whole.length; length++) {
      const piece = whole.subarray(0, length);
      const [status, , message] = await house.post("traces", piece);
      let valid = true;
      try {
        oracleDecode("traces", piece);
      } catch {
        valid = false;
      }
      assert.equal(status, valid ? 200 : 400, `${length} bytes: ${message}`);
      if (valid) taken++;
      else assert.match(message, /^Cannot decode OTLP/);
    }
    // Nothing but the empty request, since all is within one field.
    assert.equal(taken, 1);
    assert.deepEqual(await house.rows("select * from otel.spans"), []);
  });

  bad("wrong wire types and impossible tags get 400 with the field", async (house) => {
    const cases: [Signal, Uint8Array, RegExp][] = [
      ["traces", Uint8Array.of(0x08, 1), /^Cannot decode OTLP at resourceSpans.*wire type/],
      ["logs", Uint8Array.of(0x0a, 2, 0x15, 0), /^Cannot decode OTLP at resourceLogs\[0\]/],
      ["traces", Uint8Array.of(0x7f), /^Cannot decode OTLP: unknown wire type 7/],
      ["traces", Uint8Array.of(0x02), /^Cannot decode OTLP: field number 0/],
      ["metrics", Uint8Array.of(0x0c), /^Cannot decode OTLP/],
      ["metrics", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), /^Cannot decode OTLP/],
      ["logs", new Uint8Array(11).fill(0xff), /^Cannot decode OTLP: a varint is longer/],
      [
        "traces",
        nested(1, nested(2, nested(2, Uint8Array.of(0x08, 1)))),
        /^Cannot decode OTLP at resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[0\]\.traceId/,
      ],
    ];
    for (const [signal, body, wanted] of cases) {
      const [status, , message] = await house.post(signal, body);
      assert.equal(status, 400, body.toHex());
      assert.match(message, wanted);
    }
  });

  bad("broken JSON gets 400, for each signal", async (house) => {
    for (const signal of ["traces", "logs", "metrics"] as const) {
      for (const body of ["", "{", "[]", "null", '{"resourceSpans":[', "\x00", "{}x", "nul"]) {
        const [status, , message] = await house.post(signal, body);
        assert.equal(status, 400, body);
        assert.match(message, /^Cannot decode OTLP: expected (JSON|an object), got /);
      }
    }
    const deep = "[".repeat(1_000_000);
    assert.equal((await house.post("logs", `{"resourceLogs":${deep}`))[0], 400);
  });

  bad("what is too large or of another type is refused before it is decoded", async (house) => {
    const bomb = gzipSync(new Uint8Array(65 * MiB));
    assert.deepEqual(await house.post("traces", bomb, { "content-encoding": "gzip" }), [
      413,
      0,
      "Cannot read the body: it is larger than 67108864 bytes decompressed; send smaller batches",
    ]);
    const large = new Uint8Array(16 * MiB + 1);
    const message = "Cannot read the body: it is larger than 16777216 bytes; send smaller batches";
    assert.deepEqual(await house.post("traces", large), [413, 0, message]);
    assert.deepEqual(
      await house.post("traces", large, { "content-length": String(large.length) }),
      [413, 0, message],
    );
    assert.deepEqual(await house.post("logs", "{}", { "content-type": "text/plain" }), [
      415,
      0,
      "Cannot read the body: its Content-Type must be application/x-protobuf or application/json",
    ]);
    const cut = gzipSync(encodedTraces([span({ name: "cut" })])).subarray(0, -5);
    assert.deepEqual(await house.post("traces", cut, { "content-encoding": "gzip" }), [
      400,
      0,
      "Cannot decompress the body: unexpected end of file",
    ]);
    assert.deepEqual(await house.rows("select * from otel.spans"), []);
  });

  bad("spans without a proper id are rejected and counted, the others are kept", async (house) => {
    const why =
      "rejected, the first one because its trace_id is not 16 or its span_id not 8 bytes " +
      "that are not all zero";
    const traceIds = ["", "5b8efff798038103", GOOD_TRACE + GOOD_TRACE, "0".repeat(32)];
    const spanIds = ["", "eee1", "0".repeat(16), GOOD_TRACE];
    const spans = [
      span({ name: "good 1" }),
      ...traceIds.map((traceId) => span({ name: "bad", traceId })),
      ...spanIds.map((spanId) => span({ name: "bad", spanId })),
      span({ name: "good 2", parentSpanId: "0".repeat(16) }),
    ];
    assert.deepEqual(await house.post("traces", encodedTraces(spans)), [
      200,
      8,
      `8 of 10 spans ${why}`,
    ]);
    assert.deepEqual(
      await house.rows("select name, parent_span_id from otel.spans order by name"),
      [
        ["good 1", null],
        ["good 2", null],
      ],
    );
    const json = (traceId: string) => `{"traceId":"${traceId}","spanId":"eee19b7ec3c1b174"}`;
    assert.deepEqual(
      await house.post(
        "traces",
        `{"resourceSpans":[{"scopeSpans":[{"spans":[${json("")},${json(GOOD_TRACE)}]}]}]}`,
      ),
      [200, 1, `1 of 2 spans ${why}`],
    );
    assert.deepEqual(
      await house.post("traces", encodedTraces([span({ name: "bad", traceId: "" })])),
      [200, 1, `1 of 1 spans ${why}`],
    );
  });

  bad("a log's improper trace id means that it has none", async (house) => {
    const ids = ["", "5b8efff798038103", "0".repeat(32), GOOD_TRACE];
    const records = ids.map((traceId, n) => log({ body: { stringValue: `log ${n}` }, traceId }));
    assert.deepEqual(await house.post("logs", encodeRequest("logs", logs(records))), OK);
    assert.deepEqual(await house.rows("select message, trace_id from otel.logs order by message"), [
      ["log 0", null],
      ["log 1", null],
      ["log 2", null],
      ["log 3", "5b8efff7-9803-8103-d269-b633813fc60c"],
    ]);
  });

  bad("NUL and invalid UTF-8 become U+FFFD everywhere", async (house) => {
    const marked = "a@@b";
    const attributes: KeyValue[] = [
      { key: marked, value: { stringValue: marked } },
      { key: "list", value: { arrayValue: { values: [{ stringValue: marked }] } } },
    ];
    const event = { timeUnixNano: 1n, name: marked, attributes, droppedAttributesCount: 0 };
    const body = encodedTraces([
      span({
        name: marked,
        attributes,
        traceState: marked,
        status: { code: 2, message: marked },
        events: [event],
      }),
    ], marked);
    for (
      const [by, shown] of [[[0, 0], "a\ufffd\ufffdb"], [[0xff, 0xc0], "a\ufffd\ufffdb"]] as const
    ) {
      assert.deepEqual(await house.post("traces", replaced(body, "@@", by)), OK);
      const rows = await house.rows(
        `select name, trace_state, status_message, service_name, attributes::text,
           events->0->>'name' as event
         from otel.spans where name <> 'after'`,
      );
      assert.deepEqual(rows.at(-1), [
        shown,
        shown,
        shown,
        shown,
        `{"list": ["${shown}"], "${shown}": "${shown}"}`,
        shown,
      ]);
    }
    assert.deepEqual(
      await house.post(
        "logs",
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a\\u0000\\ud800b"}}]}]}]}',
      ),
      OK,
    );
    assert.deepEqual(await house.rows("select message from otel.logs"), [["a\ufffd\ufffdb"]]);
    const [[count]] = await house.rows(
      "select value > 0 from otel.stats where name = 'string_replacements'",
    ) as [[boolean]];
    assert.equal(count, true);
  });

  bad("NaN, infinities, extremes of int64 and times of 1970 and 2262 are kept", async (house) => {
    const values: [string, AnyValue][] = [
      ["nan", { doubleValue: NaN }],
      ["inf", { doubleValue: Infinity }],
      ["-inf", { doubleValue: -Infinity }],
      ["-0", { doubleValue: -0 }],
      ["min", { intValue: -(2n ** 63n) }],
      ["max", { intValue: 2n ** 63n - 1n }],
      ["huge", { doubleValue: Number.MAX_VALUE }],
    ];
    const attributes = values.map(([key, value]) => ({ key, value }));
    const times = [0n, 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
    const spans = times.map((time) =>
      span({ name: `at ${time}`, startTimeUnixNano: time, endTimeUnixNano: time, attributes })
    );
    assert.deepEqual(await house.post("traces", encodedTraces(spans)), OK);
    const rows = await house.rows(
      `select name, start_unix_nano::text as start, attributes->>'nan' as a,
         attributes->>'inf' as b, attributes->>'-inf' as c, attributes->>'min' as d,
         attributes->>'max' as e
       from otel.spans order by start_unix_nano`,
    );
    assert.deepEqual(
      rows,
      times.map((time) => [
        `at ${time}`,
        String(time),
        "NaN",
        "Infinity",
        "-Infinity",
        String(-(2n ** 63n)),
        String(2n ** 63n - 1n),
      ]),
    );
  });

  bad("a metric point without a value is rejected alone", async (house) => {
    const point = (value: string) => `{"timeUnixNano":"1760000000000000000",${value}}`;
    const points = [
      '"asDouble":1.5',
      '"asDouble":null',
      '"asDouble":"NaN"',
      '"asDouble":"-Infinity"',
      '"asInt":"-9223372036854775808"',
      '"asInt":9223372036854775807',
    ].map(point);
    const answer = await house.post(
      "metrics",
      `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[${points}]}}]}]}]}`,
    );
    assert.deepEqual(answer, [
      200,
      1,
      "1 of 6 data points rejected, the first one because it has no value",
    ]);
    assert.deepEqual(
      await house.rows("select value::text, value_int::text from otel.metric_points order by 1, 2"),
      [
        ["-9.223372036854776e+18", "-9223372036854775808"],
        ["-Infinity", null],
        ["1.5", null],
        ["9.223372036854776e+18", "9223372036854775807"],
        ["NaN", null],
      ],
    );
  });

  bad(
    "a value nested 128 levels deep is kept, a deeper one rejects its record alone",
    async (house) => {
      const bodies = [valueIn(1), valueIn(100), valueIn(128)];
      assert.deepEqual(
        await house.post("logs", encodeRequest("logs", logs(bodies.map((body) => log({ body }))))),
        OK,
      );
      const depths = "select length(body::text) from otel.logs order by 1";
      assert.deepEqual(await house.rows(depths), [[6], [204], [260]]);
      for (const levels of [129, 10_000]) {
        const deep = nested(5, bytesIn(levels));
        const good = nested(5, text(1, "b"));
        const records = joined(nested(2, good), nested(2, deep), nested(2, good));
        assert.deepEqual(await house.post("logs", nested(1, nested(2, records))), [
          200,
          1,
          "1 of 3 log records rejected, the first one because a value nests deeper than 128 levels",
        ]);
      }
      assert.deepEqual(await house.rows("select count(*)::int from otel.logs"), [[7]]);
      // The same as JSON.
      const json = `${'{"arrayValue":{"values":['.repeat(9_999)}{"stringValue":"x"}${
        "]}}".repeat(9_999)
      }`;
      const records = `{"body":${json}},{"body":{"stringValue":"b"}}`;
      assert.deepEqual(
        await house.post("logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${records}]}]}]}`),
        [
          200,
          1,
          "1 of 2 log records rejected, the first one because a value nests deeper than 128 levels",
        ],
      );
      assert.deepEqual(await house.rows("select count(*)::int from otel.logs"), [[8]]);
    },
  );

  bad(
    "names, keys, values and services of 1 MB and 10,000 attributes are kept whole",
    async (house) => {
      const long = "x".repeat(MiB);
      const spans = [
        span({ name: "value", attributes: [{ key: "k", value: { stringValue: long } }] }),
        span({ name: "key", attributes: [{ key: long, value: { boolValue: true } }] }),
        span({ name: long }),
        span({
          name: "many",
          attributes: Array.from(
            { length: 10_000 },
            (_, n) => ({ key: `k${n}`, value: { intValue: BigInt(n) } }),
          ),
        }),
      ];
      assert.deepEqual(await house.post("traces", encodedTraces(spans, `${long}y`)), OK);
      assert.deepEqual(
        await house.rows(`
        select left(name, 5) as name, length(name) as a, length(service_name) as b,
          length(attributes->>'k') as c,
          (select max(length(key)) from jsonb_object_keys(attributes) key) as d,
          (select count(*)::int from jsonb_object_keys(attributes)) as e,
          attributes->>'k9999' as f
        from otel.spans order by name`),
        [
          ["key", 3, MiB + 1, null, MiB, 1, null],
          ["many", 4, MiB + 1, null, 5, 10_000, "9999"],
          ["value", 5, MiB + 1, MiB, 1, 1, null],
          ["xxxxx", MiB, MiB + 1, null, null, 0, null],
        ],
      );
      const metric =
        '{"name":"NAME","unit":"NAME","gauge":{"dataPoints":[{"asInt":1,"timeUnixNano":1}]}}';
      assert.deepEqual(
        await house.post(
          "metrics",
          `{"resourceMetrics":[{"scopeMetrics":[{"scope":{"name":"NAME"},"metrics":[${metric}]}]}]}`
            .replaceAll("NAME", long),
        ),
        OK,
      );
      assert.deepEqual(
        await house.rows(
          `select length(metric_name) as a, length(unit) as b, length(scope_name) as c
           from otel.metric_points`,
        ),
        [[MiB, MiB, MiB]],
      );
    },
  );
}
