/** What kind of failure an error is. */

import assert from "node:assert/strict";
import { setTimeout as timer } from "node:timers/promises";
import { UnavailableError } from "@oneiric/otel-storage/adapter";
import { CircuitBreaker } from "@oneiric/otel-storage/breaker";
import { classify } from "@oneiric/otel-storage/retry";
import { classifies, errorWith, PERMANENT, refused, SHUTDOWN, TRANSIENT } from "./made_errors.ts";

Deno.test("classify takes the SQLSTATEs of connection, contention, resources and shutdown for transient", () => {
  const codes = "08000 08001 08003 08004 08006 08007 08P01 25P03 25P04 40001 40P01 " +
    "53000 53100 53200 53300 53400 55P03 57P01 57P02 57P03 57P04 57P05";
  classifies(TRANSIENT, codes.split(" ").map((code) => errorWith({ code })));
});

Deno.test("classify takes every other SQLSTATE for permanent", () => {
  const codes = "00000 02000 0A000 22001 22021 22P02 23502 23505 25P02 28P01 3D000 40002 40003 " +
    "42501 42601 42P01 54000 55000 55006 57000 57014 58030 XX000 " +
    "8001 080000 x08006 140001 53 57P0 57P001";
  classifies(PERMANENT, codes.split(" ").map((code) => errorWith({ code })));
});

Deno.test("classify takes a canceled query for permanent unless our own signal canceled it", () => {
  const canceled = (cause?: unknown) => errorWith({ code: "57014" }, cause);
  assert.deepEqual(classify(canceled()), PERMANENT);
  assert.deepEqual(classify(canceled(new DOMException("late", "TimeoutError"))), TRANSIENT);
  assert.deepEqual(classify(canceled(AbortSignal.abort().reason)), SHUTDOWN);
});

Deno.test("classify finds the SQLSTATE where @db/postgres keeps it", () => {
  const postgresError = (code: string) => errorWith({ name: "PostgresError", fields: { code } });
  assert.deepEqual(classify(postgresError("57P01")), TRANSIENT);
  assert.deepEqual(classify(postgresError("23505")), PERMANENT);
  assert.deepEqual(classify(errorWith({ name: "ConnectionError" })), TRANSIENT);
  assert.deepEqual(
    classify(errorWith({ name: "TransactionError" }, postgresError("40001"))),
    TRANSIENT,
  );
});

Deno.test("classify takes the system's connection errors for transient", () => {
  const codes = "ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT ECONNABORTED EHOSTDOWN EHOSTUNREACH " +
    "ENETDOWN ENETUNREACH EAI_AGAIN ENOTFOUND CONNECTION_CLOSED CONNECT_TIMEOUT";
  classifies(TRANSIENT, codes.split(" ").map((code) => errorWith({ code })));
  const others = "ENOENT EACCES ENOSPC EINVAL ERR_INVALID_ARG_TYPE ECONN";
  classifies(PERMANENT, others.split(" ").map((code) => errorWith({ code })));
});

Deno.test("classify knows the connection errors of Deno, and no others, by name", () => {
  const transient = new Set([
    "BrokenPipe",
    "ConnectionAborted",
    "ConnectionRefused",
    "ConnectionReset",
    "NetworkUnreachable",
    "NotConnected",
    "TimedOut",
    "UnexpectedEof",
  ]);
  const known = new Set<string>();
  for (const [name, DenoError] of Object.entries(Deno.errors)) {
    const error = new DenoError("failed");
    assert.deepEqual(classify(error), transient.has(name) ? TRANSIENT : PERMANENT, name);
    known.add(name);
  }
  assert.deepEqual([...transient].filter((name) => !known.has(name)), []);
});

Deno.test("classify takes HTTP 408, 429, 502, 503 and 504 for transient, other statuses for permanent", () => {
  classifies(TRANSIENT, [408, 429, 502, 503, 504].map((status) => errorWith({ status })));
  classifies(
    PERMANENT,
    [200, 400, 401, 403, 404, 413, 415, 500, 501, 505, "503", null].map((status) =>
      errorWith({ status })
    ),
  );
});

Deno.test("classify carries the wait the other side asked for", () => {
  assert.deepEqual(classify(errorWith({ status: 429, retryAfterMs: 1_500 })), {
    kind: "transient",
    retryAfterMs: 1_500,
  });
  assert.deepEqual(classify(errorWith({ retryAfterMs: 7 }, refused())), {
    kind: "transient",
    retryAfterMs: 7,
  });
  for (const retryAfterMs of [-1, NaN, Infinity, "5", null]) {
    assert.deepEqual(classify(errorWith({ status: 503, retryAfterMs })), TRANSIENT);
  }
  assert.deepEqual(classify(errorWith({ status: 400, retryAfterMs: 5 })), PERMANENT);
});

Deno.test("classify takes the error of an open breaker for transient, after what remains", async () => {
  const breaker = new CircuitBreaker({ failureThreshold: 1, cooldownMs: 250, clock: () => 0 });
  await assert.rejects(breaker.call(() => Promise.reject(new Error("down"))));
  const error = await breaker.call(() => {}).catch((error: unknown) => error);
  assert.deepEqual(classify(error), { kind: "transient", retryAfterMs: 250 });
});

Deno.test("classify takes a store that is unavailable for transient, after the wait it asks for", () => {
  const error = new UnavailableError("Cannot store the request: the buffer is full", 1500);
  assert.deepEqual(classify(error), { kind: "transient", retryAfterMs: 1500 });
});

Deno.test("classify looks into causes, however deep", () => {
  let error: Error = refused();
  for (let i = 0; i < 20; i++) error = new Error("wrapped", { cause: error });
  assert.deepEqual(classify(error), TRANSIENT);
});

Deno.test("classify looks into the errors of an AggregateError, also when one of several is transient", () => {
  const attempts = [
    errorWith({ code: "ECONNREFUSED", address: "::1" }),
    errorWith({ code: "ECONNREFUSED", address: "127.0.0.1" }),
  ];
  assert.deepEqual(classify(new AggregateError(attempts)), TRANSIENT);
  assert.deepEqual(
    classify(new Error("wrapped", { cause: new AggregateError(attempts) })),
    TRANSIENT,
  );
  assert.deepEqual(
    classify(new AggregateError([errorWith({ code: "EACCES" }), refused()])),
    TRANSIENT,
  );
  assert.deepEqual(classify(new AggregateError([errorWith({ code: "23505" })])), PERMANENT);
  assert.deepEqual(classify(new AggregateError([])), PERMANENT);
});

Deno.test("classify takes an abort for a shutdown, but a timeout that Node wraps in one for transient", async () => {
  assert.deepEqual(classify(AbortSignal.abort().reason), SHUTDOWN);
  assert.deepEqual(classify(new Error("wrapped", { cause: AbortSignal.abort().reason })), SHUTDOWN);
  assert.deepEqual(classify(new DOMException("late", "TimeoutError")), TRANSIENT);

  const wrapped = (reason: unknown) =>
    timer(1, undefined, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error);
  assert.deepEqual(classify(await wrapped(undefined)), SHUTDOWN);
  assert.deepEqual(classify(await wrapped(new DOMException("late", "TimeoutError"))), TRANSIENT);
});

Deno.test("classify takes the use of a client that we closed for a shutdown", () => {
  classifies(SHUTDOWN, [
    errorWith({ code: "CONNECTION_ENDED" }),
    errorWith({ code: "CONNECTION_DESTROYED" }),
    errorWith({ message: "Connection terminated" }),
    errorWith({ message: "Client was closed and is not queryable" }),
    errorWith({ message: "Cannot use a pool after calling end on the pool" }),
  ]);
});

Deno.test("classify takes the messages of node-postgres as they are, not texts that contain them", () => {
  const messages = [
    "Connection terminated unexpectedly",
    "Connection terminated due to connection timeout",
    "timeout exceeded when trying to connect",
    "timeout expired",
    "Query read timeout",
    "Client has encountered a connection error and is not queryable",
  ];
  classifies(TRANSIENT, messages.map((message) => errorWith({ message })));
  classifies(PERMANENT, messages.map((message) => errorWith({ message: `bad name "${message}"` })));
});

Deno.test("classify knows the network errors of fetch in Deno, Node and browsers from other TypeErrors", () => {
  classifies(TRANSIENT, [
    new TypeError("fetch failed"),
    new TypeError("terminated"),
    new TypeError("error sending request for url (http://127.0.0.1:1/): connection refused"),
    new TypeError("error reading a body from connection"),
    new TypeError("Failed to fetch"),
    new TypeError("Load failed"),
    new TypeError("NetworkError when attempting to fetch resource."),
  ]);
  classifies(PERMANENT, [
    new TypeError("Invalid URL: 'http://'"),
    new TypeError("Url scheme 'foo' not supported"),
    new TypeError("Fetch failed: Requests to port 1 are blocked"),
    new TypeError("x is not a function"),
    new Error("fetch failed"),
  ]);
});

Deno.test("classify takes anything that can be thrown, in any shape", () => {
  const circular = new Error("circular");
  circular.cause = new AggregateError([circular, new Error("inner", { cause: circular })]);
  const wide = new AggregateError(Array(1_000_000).fill(new Error("wide")));
  // The transient error at its end is beyond what is looked at.
  let deep: Error = refused();
  for (let i = 0; i < 100_000; i++) deep = new Error("deep", { cause: deep });
  classifies(PERMANENT, [
    undefined,
    null,
    0,
    42n,
    "ECONNREFUSED",
    Symbol("s"),
    () => {},
    [],
    Object.create(null),
    errorWith({ code: 8006 }),
    errorWith({ code: null, fields: null, errors: 5, cause: "text" }),
    errorWith({ fields: "text" }),
  ]);
  for (const error of [circular, wide, deep]) assert.deepEqual(classify(error), PERMANENT);
});
