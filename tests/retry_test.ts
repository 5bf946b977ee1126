import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as timer } from "node:timers/promises";
import { inspect } from "node:util";
import pg from "pg";
import { UnavailableError } from "@oneiric/otel-storage/adapter";
import { CircuitBreaker } from "@oneiric/otel-storage/breaker";
import {
  classify,
  type Failure,
  withRetry,
  type WithRetryOptions,
} from "@oneiric/otel-storage/retry";
import { InstantTime } from "./instant_time.ts";

/** An error with more properties. */
function errorWith(properties: Record<string, unknown>, cause?: unknown): Error {
  const { message = "failed", ...rest } = properties;
  const options = cause === undefined ? {} : { cause };
  return Object.assign(new Error(String(message), options), rest);
}

const refused = () => errorWith({ code: "ECONNREFUSED" });

/** A function that fails with these errors, one a call, then returns "done". */
function failing(...errors: unknown[]): { (): Promise<string>; calls: number } {
  const call = () => {
    const index = call.calls++;
    return index < errors.length ? Promise.reject(errors[index]) : Promise.resolve("done");
  };
  call.calls = 0;
  return call;
}

// withRetry

Deno.test("withRetry succeeds on the third attempt", async () => {
  using _time = new InstantTime();
  const third = failing(refused(), errorWith({ name: "TimeoutError" }));
  assert.equal(await withRetry(third), "done");
  assert.equal(third.calls, 3);
});

Deno.test("withRetry gives up after maxAttempts with the last error itself", async () => {
  using time = new InstantTime();
  const errors = Array.from({ length: 9 }, refused);
  for (const [options, attempts] of [[{}, 3], [{ maxAttempts: 1 }, 1], [{ maxAttempts: 7 }, 7]]) {
    time.waits.length = 0;
    const never = failing(...errors);
    await assert.rejects(
      withRetry(never, options as WithRetryOptions),
      (error) => error === errors[never.calls - 1],
    );
    assert.equal(never.calls, attempts);
    assert.equal(time.waits.length, attempts as number - 1);
  }
});

Deno.test("withRetry calls once and waits for nothing when the first attempt succeeds", async () => {
  using time = new InstantTime();
  assert.equal(await withRetry(() => 42), 42);
  assert.deepEqual(time.waits, []);
});

Deno.test("withRetry retries what fn throws at once like what it rejects with", async () => {
  using _time = new InstantTime();
  let calls = 0;
  const result = await withRetry(() => {
    if (++calls < 3) throw refused();
    return calls;
  });
  assert.equal(result, 3);
});

Deno.test("withRetry throws a permanent error itself at once", async () => {
  using time = new InstantTime();
  for (const thrown of [errorWith({ code: "23505" }), new TypeError("a bug"), "text", undefined]) {
    const never = failing(thrown);
    await assert.rejects(withRetry(never), (error) => error === thrown);
    assert.equal(never.calls, 1);
  }
  const mixed = failing(refused(), errorWith({ message: "bad data" }));
  await assert.rejects(withRetry(mixed), { message: "bad data" });
  assert.equal(mixed.calls, 2);
  assert.equal(time.waits.length, 1);
});

Deno.test("withRetry does not unwrap an error of fn that looks like its own wrapper", async () => {
  const { RetryError } = await import("@std/async/retry");
  using _time = new InstantTime();
  for (const inner of [new Error("permanent"), refused()]) {
    const thrown = new RetryError(inner, 5);
    await assert.rejects(
      withRetry(() => Promise.reject(thrown)),
      (error) => error === thrown,
    );
  }
});

Deno.test("withRetry without jitter waits 100, 200, 400, 800 and then 1 000 ms", async () => {
  using time = new InstantTime();
  const never = failing(...Array.from({ length: 7 }, refused));
  await assert.rejects(withRetry(never, { maxAttempts: 7, jitter: 0 }));
  assert.deepEqual(time.waits, [100, 200, 400, 800, 1_000, 1_000]);
});

Deno.test("withRetry waits as its options say", async () => {
  using time = new InstantTime();
  const never = failing(...Array.from({ length: 5 }, refused));
  await assert.rejects(
    withRetry(never, {
      maxAttempts: 5,
      initialDelayMs: 10,
      multiplier: 3,
      maxDelayMs: 100,
      jitter: 0,
    }),
  );
  assert.deepEqual(time.waits, [10, 30, 90, 100]);
});

Deno.test("withRetry never waits longer than maxDelayMs, not even at first", async () => {
  using time = new InstantTime();
  const never = failing(refused(), refused(), refused());
  await assert.rejects(withRetry(never, { maxDelayMs: 50, jitter: 0 }));
  assert.deepEqual(time.waits, [50, 50]);
});

Deno.test("withRetry has full jitter by default", async () => {
  const { random } = Math;
  const waits: number[] = [];
  try {
    for (const value of [0, 0.5, 1 - Number.EPSILON]) {
      Math.random = () => value;
      using time = new InstantTime();
      await assert.rejects(withRetry(failing(refused(), refused()), { maxAttempts: 2 }));
      waits.push(...time.waits);
    }
  } finally {
    Math.random = random;
  }
  assert.deepEqual(waits, [100, 50, 0]);
});

Deno.test("withRetry with an aborted signal calls nothing and throws the reason", async () => {
  const reason = new Error("no more");
  const never = failing();
  await assert.rejects(
    withRetry(never, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  assert.equal(never.calls, 0);
});

Deno.test("withRetry ends a wait at once when the signal aborts and leaves no timer", async () => {
  using time = new InstantTime();
  time.holding = true;
  const controller = new AbortController();
  const reason = new Error("no more");
  time.onTimer = () => queueMicrotask(() => controller.abort(reason));
  const never = failing(refused(), refused());
  await assert.rejects(
    withRetry(never, { signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(never.calls, 1);
  assert.equal(time.pending, 0);
});

Deno.test("withRetry ends the wait the other side asked for when the signal aborts", async () => {
  using time = new InstantTime();
  const controller = new AbortController();
  const reason = refused();
  // The first timer is the wait of the retry, the second what is missing to retryAfterMs.
  time.onTimer = () => {
    time.holding = true;
    if (time.waits.length === 2) queueMicrotask(() => controller.abort(reason));
  };
  const busy = failing(errorWith({ status: 503, retryAfterMs: 900 }));
  await assert.rejects(
    withRetry(busy, { jitter: 0, signal: controller.signal }),
    (error) => error === reason,
  );
  assert.equal(busy.calls, 1);
  assert.deepEqual(time.waits, [100, 800]);
  assert.equal(time.pending, 0);
});

Deno.test("withRetry does not retry an aborted call", async () => {
  const aborted = failing(AbortSignal.abort().reason);
  await assert.rejects(withRetry(aborted), { name: "AbortError" });
  assert.equal(aborted.calls, 1);
});

Deno.test("withRetry waits at least as long as the other side asks", async () => {
  using time = new InstantTime();
  const busy = failing(
    errorWith({ status: 429, retryAfterMs: 50 }),
    errorWith({ status: 429, retryAfterMs: 1_000 }),
  );
  assert.equal(await withRetry(busy, { jitter: 0 }), "done");
  assert.deepEqual(time.waits, [100, 200, 800]);
});

Deno.test("withRetry throws at once when it is asked to wait longer than maxDelayMs", async () => {
  using time = new InstantTime();
  const busy = failing(errorWith({ status: 429, retryAfterMs: 1_001 }));
  await assert.rejects(withRetry(busy), { status: 429 });
  assert.equal(busy.calls, 1);
  assert.deepEqual(time.waits, []);
  assert.equal(
    await withRetry(failing(errorWith({ status: 429, retryAfterMs: 1_001 })), {
      maxDelayMs: 2_000,
    }),
    "done",
  );
});

Deno.test("withRetry round a breaker fails fast once it is open", async () => {
  using time = new InstantTime();
  const breaker = new CircuitBreaker({ failureThreshold: 2 });
  const never = failing(...Array.from({ length: 9 }, refused));
  await assert.rejects(withRetry(() => breaker.call(never), { maxAttempts: 9 }), {
    name: "CircuitBreakerOpenError",
  });
  assert.equal(never.calls, 2);
  assert.equal(time.waits.length, 2);
});

Deno.test("withRetry refuses bad options with a RangeError that names option and value, and calls nothing", async () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ maxAttempts: 0 }, /'maxAttempts': 0 /],
    [{ maxAttempts: -1 }, /'maxAttempts': -1 /],
    [{ maxAttempts: 2.5 }, /'maxAttempts': 2\.5 /],
    [{ maxAttempts: Infinity }, /'maxAttempts': Infinity /],
    [{ maxAttempts: "3" }, /'maxAttempts': '3' /],
    [{ initialDelayMs: -1 }, /'initialDelayMs': -1 /],
    [{ initialDelayMs: NaN }, /'initialDelayMs': NaN /],
    [{ multiplier: 0.9 }, /'multiplier': 0\.9 /],
    [{ maxDelayMs: 0 }, /'maxDelayMs': 0 /],
    [{ maxDelayMs: 2 ** 31 }, /'maxDelayMs': 2147483648 /],
    [{ jitter: -0.1 }, /'jitter': -0\.1 /],
    [{ jitter: 1.1 }, /'jitter': 1\.1 /],
    [{ signal: "now" }, /'signal': 'now' /],
    [{ retries: 3 }, /retries/],
  ];
  for (const [options, message] of wrong) {
    const never = failing();
    await assert.rejects(withRetry(never, options as WithRetryOptions), {
      name: "RangeError",
      message,
    });
    assert.equal(never.calls, 0);
  }
});

// classify

const PERMANENT: Failure = { kind: "permanent" };
const TRANSIENT: Failure = { kind: "transient" };
const SHUTDOWN: Failure = { kind: "shutdown" };

function classifies(failure: Failure, errors: readonly unknown[]): void {
  for (const error of errors) {
    assert.deepEqual(classify(error), failure, inspect(error));
  }
}

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

// Real errors of the clients we use, so that a new version with other texts is noticed.

/** A server on 127.0.0.1 that does to each connection what it is told to. */
async function serving(
  onConnection: (socket: Socket) => void,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, "close");
    },
  };
}

/** A port nobody listens on. */
async function deadPort(): Promise<number> {
  await using server = await serving(() => {});
  return server.port;
}

/** The error of a promise. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: `expected an error, got ${result}` });
}

/** The error of node-postgres' client or pool for a server. */
async function pgError(port: number, options: { host?: string; wait?: number } = {}): Promise<
  { client: unknown; pool: unknown }
> {
  const config = { host: "127.0.0.1", port, user: "u", password: "p", database: "d" };
  const settings = {
    ...config,
    ...(options.host && { host: options.host }),
    ...(options.wait && { connectionTimeoutMillis: options.wait }),
  };
  const client = new pg.Client(settings);
  client.on("error", () => {});
  const pool = new pg.Pool(settings);
  try {
    return { client: await errorOf(client.connect()), pool: await errorOf(pool.query("select 1")) };
  } finally {
    await pool.end();
    await client.end();
  }
}

Deno.test("classify takes what node-postgres says of a server that is not there for transient", async () => {
  const port = await deadPort();
  for (const host of ["127.0.0.1", "localhost"]) {
    const { client, pool } = await pgError(port, { host });
    classifies(TRANSIENT, [client, pool]);
  }
});

Deno.test("classify takes what node-postgres says of a server that hangs up for transient", async () => {
  await using server = await serving((socket) => socket.destroy());
  const { client, pool } = await pgError(server.port);
  classifies(TRANSIENT, [client, pool]);
});

Deno.test("classify takes what node-postgres says of a server that never answers for transient", async () => {
  await using server = await serving(() => {});
  const { client, pool } = await pgError(server.port, { wait: 1 });
  classifies(TRANSIENT, [client, pool]);
});

Deno.test("classify takes what fetch says of a server that is not there, hangs up or stops midway for transient", async () => {
  const port = await deadPort();
  assert.deepEqual(classify(await errorOf(fetch(`http://127.0.0.1:${port}/`))), TRANSIENT);

  await using gone = await serving((socket) => socket.destroy());
  assert.deepEqual(classify(await errorOf(fetch(`http://127.0.0.1:${gone.port}/`))), TRANSIENT);

  await using midway = await serving((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
  });
  const response = await fetch(`http://127.0.0.1:${midway.port}/`);
  assert.deepEqual(classify(await errorOf(response.text())), TRANSIENT);
});

Deno.test("classify takes a fetch that we abort for a shutdown and one that runs out of time for transient", async () => {
  await using silent = await serving(() => {});
  const url = `http://127.0.0.1:${silent.port}/`;
  const controller = new AbortController();
  const aborted = errorOf(fetch(url, { signal: controller.signal }));
  controller.abort();
  assert.deepEqual(classify(await aborted), SHUTDOWN);
  assert.deepEqual(
    classify(await errorOf(fetch(url, { signal: AbortSignal.timeout(1) }))),
    TRANSIENT,
  );
});

Deno.test("classify takes what fetch says of a wrong request for permanent", async () => {
  assert.deepEqual(classify(await errorOf(fetch("http://"))), PERMANENT);
  assert.deepEqual(
    classify(
      await errorOf(Promise.try(() => fetch("http://127.0.0.1/", { headers: { "a b": "" } }))),
    ),
    PERMANENT,
  );
});
