/** The handler of HTTP requests: encodings, bodies, and what each failure is answered with. */

import assert from "node:assert/strict";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { decodeResponse, encodeRequest, type Encoding } from "../src/otlp.ts";
import { OtlpDecodeError, OtlpTooLargeError } from "../src/otlp_error.ts";
import { handler, type HandlerOptions, RequestBodies, type Store } from "../src/server.ts";
import { ask, fakeStore, ONE_LOG, type Sent, sent, statusOf } from "./asked_handler.ts";

/** As the store rejects with when it can take nothing for a while. */
function unavailable(retryAfterMs: number): Error {
  return Object.assign(new Error("Cannot write: the buffer is full; send again later"), {
    retryAfterMs,
  });
}

Deno.test("a JSON request reaches the store as protobuf and is answered in JSON", async () => {
  const store = fakeStore();
  const response = await handler({ store })(sent({
    headers: { "content-type": "Application/JSON; charset=utf-8" },
  }));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(await response.text(), "{}");
  const [{ signal, body } = { signal: undefined, body: undefined }] = store.written;
  assert.equal(signal, "logs");
  assert.equal(
    body?.toHex(),
    "0a13" + "1211" + "120f" + "090100000000000000" + "2a04" + "0a026869",
  );
});

Deno.test("a protobuf request reaches the store as it is and is answered in protobuf", async () => {
  const bytes = encodeRequest("traces", {
    resourceSpans: [{ scopeSpans: [], schemaUrl: "https://example.org" }],
  });
  const codings: Record<string, Uint8Array> = {
    identity: bytes,
    gzip: gzipSync(bytes),
    deflate: deflateSync(bytes),
    zstd: zstdCompressSync(bytes),
  };
  for (const [coding, body] of Object.entries(codings)) {
    const store = fakeStore();
    const response = await handler({ store })(sent({
      path: "/v1/traces",
      headers: { "content-type": "application/x-protobuf", "content-encoding": coding },
      body,
    }));
    assert.equal(response.status, 200, coding);
    assert.equal(response.headers.get("content-type"), "application/x-protobuf");
    assert.equal((await response.bytes()).length, 0);
    assert.deepEqual(store.written, [{ signal: "traces", body: bytes }]);
  }
});

Deno.test("an empty protobuf body is a request without records", async () => {
  const store = fakeStore();
  const response = await handler({ store })(sent({
    path: "/v1/metrics",
    headers: { "content-type": "application/x-protobuf" },
    body: null,
  }));
  assert.equal(response.status, 200);
  assert.deepEqual(store.written, [{ signal: "metrics", body: new Uint8Array() }]);
});

Deno.test("what the store rejected is told as partial success, in the request's encoding", async () => {
  const partial = { rejected: 2, message: "trace id of 4 bytes" };
  const store = fakeStore({ write: () => Promise.resolve(partial) });
  const json = await handler({ store })(sent());
  assert.equal(json.status, 200);
  assert.deepEqual(decodeResponse("logs", await json.bytes(), "json"), partial);
  const protobuf = await handler({ store })(sent({
    path: "/v1/traces",
    headers: { "content-type": "application/x-protobuf" },
    body: "",
  }));
  assert.deepEqual(decodeResponse("traces", await protobuf.bytes(), "protobuf"), partial);
});

Deno.test("a client of gRPC is told in gRPC that there is none, and what to set", async () => {
  for (const type of ["application/grpc", "application/grpc+proto"]) {
    const response = await ask({
      path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      headers: { "content-type": type },
    });
    assert.equal(response.status, 200);
    assert.equal(response.body, null);
    assert.deepEqual(Object.fromEntries(response.headers), {
      "content-type": "application/grpc",
      "grpc-message": "There is no gRPC here: send OTLP over HTTP to the same port, " +
        "in most SDKs with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
      "grpc-status": "12",
    });
  }
});

Deno.test("an unknown path gets 404 and another method 405 with Allow", async () => {
  for (const path of ["/", "/v1/profiles", "/v1/traces/", "/v1/trace", "/api/query"]) {
    assert.deepEqual(await statusOf(await ask({ path })), [
      404,
      5,
      "Cannot find the path: there are /v1/traces, /v1/logs, /v1/metrics, /healthz, /readyz",
    ]);
  }
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const response = await ask({ method });
    assert.equal(response.headers.get("allow"), "POST");
    assert.deepEqual(await statusOf(response), [
      405,
      12,
      "Cannot answer this method: use POST",
    ]);
  }
  assert.equal((await ask({ path: "/healthz" })).headers.get("allow"), "GET, HEAD");
});

Deno.test("under a prefix every path is behind it, and none without it", async () => {
  const prefix = "/otel/v1.0";
  const store = fakeStore();
  const admin = {
    query: () => Promise.resolve({ lines: ['{"a":1}'], truncated: false }),
    maintain: () => Promise.resolve({}),
  };
  const asked: string[] = [];
  const database = () => {
    asked.push("database");
    return Promise.reject(new Error("none is there"));
  };
  const answer = handler({ store, prefix, admin, database });
  const status = async (path: string, method = "POST") => {
    const body = '{"sql":"select 1"}';
    const request = sent({ path, method, ...path.endsWith("/query") && { body } });
    return (await answer(request, { remoteAddr: { transport: "unix" } })).status;
  };
  for (const path of ["/v1/traces", "/v1/logs", "/v1/metrics", "/v1/logs?a=/x#y", "/api/query"]) {
    assert.equal(await status(prefix + path), 200, path);
  }
  assert.deepEqual(store.written.map(({ signal }) => signal), [
    "traces",
    "logs",
    "metrics",
    "logs",
  ]);
  assert.equal(await status(`${prefix}/readyz`, "GET"), 200);
  assert.equal(await status(`${prefix}/v1/logs`, "GET"), 405);
  // The last part of the path is the id of a trace.
  const tracePath = `/api/traces/${"ab".repeat(16)}`;
  assert.equal(await status(prefix + tracePath, "GET"), 500);
  assert.deepEqual(asked, ["database"]);
  const others = ["", "/", "/v1/logs", `${prefix}v1/logs`, `${prefix}${prefix}/v1/logs`, prefix]
    .concat("/otel/v1/logs", "/OTEL/v1.0/v1/logs", `/x${prefix}/v1/logs`, "/otel/v1x0/v1/logs");
  for (const path of others) assert.equal(await status(path), 404, path);
  for (const path of ["/healthz", tracePath, "/api/query"]) {
    assert.equal(await status(path, "GET"), 404, path);
  }
  assert.equal(store.written.length, 4);
  const [, , message] = await statusOf(await ask({ path: "/v1/logs" }, { prefix: "/otel" }));
  assert.equal(
    message,
    "Cannot find the path: there are /otel/v1/traces, /otel/v1/logs, /otel/v1/metrics, " +
      "/otel/healthz, /otel/readyz",
  );
});

Deno.test("a wrong content type or encoding gets 415 before there was room", async () => {
  const store = fakeStore({ room: () => assert.fail("asked for room") });
  const answer = handler({ store });
  for (const type of ["text/plain", "application/octet-stream", "application/grpc", "json", ""]) {
    assert.deepEqual(await statusOf(await answer(sent({ headers: { "content-type": type } }))), [
      415,
      3,
      "Cannot read the body: its Content-Type must be application/x-protobuf or application/json",
    ]);
  }
  for (const encoding of ["br", "snappy", "gzip, gzip"]) {
    const response = await answer(sent({
      headers: { "content-type": "application/x-protobuf", "content-encoding": encoding },
    }));
    assert.equal(response.headers.get("accept-encoding"), "gzip, deflate, zstd");
    assert.deepEqual(await statusOf(response, "protobuf"), [
      415,
      3,
      "Cannot read the body: its Content-Encoding must be gzip, deflate, zstd or identity",
    ]);
  }
});

Deno.test("an undecodable body gets 400 with the field's path and nothing of its content", async () => {
  const cases: [Sent, Encoding, RegExp][] = [
    [{ body: '{"resourceLogs":"s3cret"}' }, "json", /resourceLogs/],
    [{ body: '{"resourceLogs":[{"scopeLogs":[{"logRecords":[s3cret' }, "json", /expected JSON/],
    [{ body: '{"s3cret":"s3cret"' }, "json", /expected JSON, got a flaw at character 18$/],
    [{ body: "" }, "json", /expected JSON, got its beginning$/],
    [{ body: '"s3cret"' }, "json", /expected an object, got string$/],
    [
      { body: '{"resourceLogs":[{"resource":{"droppedAttributesCount":"s3cret"}}]}' },
      "json",
      /at resourceLogs\[0\]\.resource\.droppedAttributesCount: expected an integer, got string$/,
    ],
    [
      {
        body:
          '{"resourceLogs":[{"resource":{"attributes":[{"key":"s3cret","value":{"bytesValue":"*s3cret"}}]}}]}',
      },
      "json",
      /attributes\[0\]\.value\.bytesValue: expected base64, got another string$/,
    ],
  ];
  for (const [request, encoding, message] of cases) {
    const [status, code, text] = await statusOf(await ask(request), encoding);
    assert.deepEqual([status, code], [400, 3]);
    assert.match(text, message);
    assert.doesNotMatch(text, /s3cret/);
  }
  const store = fakeStore({
    write: () => Promise.reject(new OtlpDecodeError("wire type 7", "resourceSpans[0]")),
  });
  const response = await handler({ store })(sent({
    path: "/v1/traces",
    headers: { "content-type": "application/x-protobuf" },
    body: Uint8Array.of(0x0f),
  }));
  assert.deepEqual(await statusOf(response, "protobuf"), [
    400,
    3,
    "Cannot decode OTLP at resourceSpans[0]: wire type 7",
  ]);
});

Deno.test("a request that is too large for the store gets 413", async () => {
  const store = fakeStore({
    write: () => Promise.reject(new OtlpTooLargeError("send fewer at a time")),
  });
  const response = await handler({ store })(sent({
    path: "/v1/logs",
    headers: { "content-type": "application/x-protobuf" },
    body: new Uint8Array(),
  }));
  assert.deepEqual(await statusOf(response, "protobuf"), [
    413,
    3,
    "Cannot take the OTLP request: send fewer at a time",
  ]);
});

Deno.test("a corrupt gzip body gets 400, a body over the limits 413", async () => {
  const headers = { "content-encoding": "gzip" };
  assert.deepEqual(await statusOf(await ask({ headers, body: "no gzip" })), [
    400,
    3,
    "Cannot decompress the body: incorrect header check",
  ]);
  const bodies = new RequestBodies({ bodyBytes: 100, inflatedBytes: 1000 });
  assert.deepEqual(await statusOf(await ask({ body: "x".repeat(101) }, { bodies })), [
    413,
    3,
    "Cannot read the body: it is larger than 100 bytes; send smaller batches",
  ]);
  const bomb = gzipSync(" ".repeat(1001));
  assert.deepEqual(await statusOf(await ask({ headers, body: bomb }, { bodies })), [
    413,
    3,
    "Cannot read the body: it is larger than 1000 bytes decompressed; send smaller batches",
  ]);
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("a store without room gets its client 503 with Retry-After, the body unread", async () => {
  for (const [retryAfterMs, seconds] of [[0, "1"], [1000, "1"], [1001, "2"], [60_000, "60"]]) {
    const store = fakeStore({ room: () => Promise.reject(unavailable(Number(retryAfterMs))) });
    const request = sent();
    const response = await handler({ store })(request);
    assert.equal(response.headers.get("retry-after"), seconds);
    assert.deepEqual(await statusOf(response), [
      503,
      14,
      "Cannot write: the buffer is full; send again later",
    ]);
    assert.equal(request.bodyUsed, false);
    assert.deepEqual(store.written, []);
  }
});

Deno.test("a write that can be sent again gets 503 with Retry-After", async () => {
  const store = fakeStore({ write: () => Promise.reject(unavailable(2500)) });
  const response = await handler({ store })(sent({
    headers: { "content-type": "application/x-protobuf" },
    body: "",
  }));
  assert.equal(response.headers.get("retry-after"), "3");
  assert.equal(response.status, 503);
});

Deno.test("any other failure gets 500, which tells nothing of it to the client, and all to the observer", async () => {
  const failure = new Error('invalid input syntax: "s3cret"');
  const seen: unknown[] = [];
  for (
    const instead of [
      { write: () => Promise.reject(failure) },
      { room: () => Promise.reject(failure) },
      {
        write: () => {
          throw failure;
        },
      },
    ]
  ) {
    const response = await ask({}, {
      store: fakeStore(instead),
      onError: (error) => {
        seen.push(error);
        throw new Error("an observer that throws");
      },
    });
    assert.deepEqual(await statusOf(response), [
      500,
      13,
      "Cannot store the request: see the log of the collector",
    ]);
    assert.equal(response.headers.get("retry-after"), null);
  }
  assert.deepEqual(seen, [failure, failure, failure]);
});

Deno.test("a client that goes away while it waits or sends is let go, and what it held is free", async () => {
  const bodies = new RequestBodies();
  const errors: unknown[] = [];
  const gone = new AbortController();
  const store = fakeStore({
    room: ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  const onError = (error: unknown) => void errors.push(error);
  const waiting = handler({ store, bodies, onError })(sent({ signal: gone.signal }));
  const reading = handler({ store: fakeStore(), bodies, onError })(
    sent({ signal: gone.signal, body: new ReadableStream() }),
  );
  gone.abort();
  assert.equal((await waiting).status, 499);
  assert.equal((await reading).status, 499);
  assert.deepEqual(errors, []);
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("memory of a body is held until the store has written it", async () => {
  const bodies = new RequestBodies();
  const written = Promise.withResolvers<{ rejected: number; message: string }>();
  const begun = Promise.withResolvers<void>();
  const store = fakeStore({
    write: () => {
      begun.resolve();
      return written.promise;
    },
  });
  const answer = handler({ store, bodies })(
    sent({ headers: { "content-length": String(ONE_LOG.length) } }),
  );
  await begun.promise;
  assert.equal(bodies.heldBytes, ONE_LOG.length);
  written.resolve({ rejected: 0, message: "" });
  assert.equal((await answer).status, 200);
  assert.equal(bodies.heldBytes, 0);
});

Deno.test("health tells that the process lives, readiness whether the store can be reached", async () => {
  const check = async (path: string, health: Store["health"], method = "GET") => {
    const response = await ask({ path, method }, { store: fakeStore({ health }) });
    return [response.status, await response.text()];
  };
  const bad = () => Promise.reject(new Error("password of postgres is s3cret"));
  assert.deepEqual(await check("/healthz", bad), [200, '{"status":"ok"}']);
  assert.deepEqual(await check("/readyz", () => Promise.resolve({ ok: true })), [
    200,
    '{"status":"ready"}',
  ]);
  assert.deepEqual(await check("/readyz", bad), [503, '{"status":"unavailable"}']);
  assert.deepEqual(await check("/readyz", () => Promise.resolve({ ok: false })), [
    503,
    '{"status":"unavailable"}',
  ]);
  assert.equal((await check("/readyz", bad, "HEAD"))[0], 503);
});

Deno.test("an invalid option is refused by name and value, a token by name alone", () => {
  const store = fakeStore();
  const cases: [Record<string, unknown>, string][] = [
    [{}, "'store': undefined (must have the methods room, write, health)"],
    [
      { store, corsOrigin: "example.org" },
      "'corsOrigin': 'example.org' (must be an origin such as \"https://example.org\", or \"*\")",
    ],
    [
      { store, corsOrigin: "https://example.org/" },
      "'corsOrigin': 'https://example.org/' (must be an origin such as \"https://example.org\", " +
      'or "*")',
    ],
    [{ store, token: "s3 cret" }, "'token': … (must be printable ASCII without spaces)"],
    [{ store, token: "" }, "'token': … (must be printable ASCII without spaces)"],
    ...["otel", "/", "/otel/", "//otel", "/..", "/otel/.", "/a b", "/%6f", "/otel?a"].map((
      prefix,
    ): [Record<string, unknown>, string] => [
      { store, prefix },
      `'prefix': '${prefix}' (must be a path such as "/otel")`,
    ]),
    [
      { store, prefix: "/otel", page: { document: "", files: [] }, token: "s3cret" },
      "'prefix': '/otel' (a page has to be at the root: leave one of them out)",
    ],
    [{ store, onError: 1 }, "'onError': 1 (must be a function)"],
    [{ store, admin: {} }, "'admin': {} (must have the methods query, maintain)"],
    [{ store, tokn: "s3cret" }, "'options': … (Unrecognized key: \"tokn\")"],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => handler(options as unknown as HandlerOptions), {
      name: "RangeError",
      message: `Cannot create a handler with ${message}`,
    });
  }
});
