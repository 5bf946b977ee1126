/** A forward: what each answer of a destination, or none, means for what was sent. */

import assert from "node:assert/strict";
import { classify } from "@oneiric/otel-storage/retry";
import { ForwardError, ForwardSink } from "../src/forward.ts";
import { encodeResponse } from "../src/otlp.ts";
import { noCounts } from "../src/sink.ts";
import { type Behaviour, misbehavingServer, type ReceivedRequest } from "./misbehaving_server.ts";
import { FINE, forwarding, namesIn, never, received, records } from "./forwarding.ts";

Deno.test("forward follows no redirect, so that no token goes elsewhere", async () => {
  await using elsewhere = await misbehavingServer();
  for (const status of [301, 302, 303, 307, 308]) {
    const headers = { location: `${elsewhere.url}/v1/traces` };
    await forwarding({ status, headers }, async ({ deliver }) => {
      await assert.rejects(
        deliver(records("t1")),
        /redirects are not followed, give the final URL/,
      );
    }, { headers: { authorization: "Bearer of-bad-news" } });
  }
  assert.deepEqual(elsewhere.requests, []);
});

Deno.test("forward comes back later when there was no answer", async () => {
  for (const behaviour of ["hangs", "closes", "is no HTTP"] as const) {
    await forwarding(behaviour, async ({ sink, server, deliver }) => {
      const error: unknown = await deliver(records("t1")).catch((error) => error);
      assert(error instanceof ForwardError, behaviour);
      assert.equal(error.status, undefined);
      assert.match(error.message, new RegExp(`^Cannot forward to ${server.url}: .`));
      if (behaviour === "hangs") assert.match(error.message, /no answer within 50 ms/);
      assert.deepEqual(classify(error), { kind: "transient" }, behaviour);
      assert.equal(sink.stats.requests, 0);
    }, { timeoutMs: behaviour === "hangs" ? 50 : 10_000 });
  }
});

Deno.test("forward to a port for gRPC says what may be wrong", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answered = listener.accept().then(async (connection) => {
    const settings = Uint8Array.fromHex("000006040000000000" + "000500004000");
    await connection.write(settings);
    return connection;
  });
  const sink = new ForwardSink({ url: `http://127.0.0.1:${listener.addr.port}` });
  await assert.rejects(
    sink.deliver(records("t1"), never),
    /: .*\(what answers does not speak HTTP\/1\.1; if that is the port for gRPC, give the one for/,
  );
  (await answered).close();
});

Deno.test("forward comes back later when nobody listens or the name is unknown", async () => {
  const server = await misbehavingServer();
  const { url } = server;
  await server[Symbol.asyncDispose]();
  for (const down of [`${url}?k=v1`, "http://name.invalid?k=v1"]) {
    const sink = new ForwardSink({ url: down });
    const error: unknown = await sink.deliver(records("t1"), never).catch((error) => error);
    assert(error instanceof ForwardError);
    assert.deepEqual(classify(error), { kind: "transient" }, error.message);
    assert(!Deno.inspect(error).includes("k=v1"), error.message);
  }
});

Deno.test("forward counts as delivered what was answered 200, whatever the answer's body does", async () => {
  const protobuf = { "content-type": "application/x-protobuf" };
  const cases: readonly [Behaviour, RegExp | undefined][] = [
    ["is slow", undefined],
    ["closes in its answer", /^its answer could not be read: /],
    ["hangs in its answer", /^its answer could not be read: /],
    ["answers without end", /^its answer could not be read: it has more than 65536 bytes/],
    [
      { status: 200, headers: { "content-type": "text/html" }, body: "<h1>Welcome" },
      /^its answer is no OTLP/,
    ],
    [{ status: 200, headers: { "content-type": "text/html" }, body: "" }, undefined],
    [
      { status: 200, headers: protobuf, body: Uint8Array.of(255, 255, 255) },
      /^its answer is no OTLP/,
    ],
    [
      { status: 200, headers: { "content-type": "application/json" }, body: "{" },
      /^its answer is no OTLP/,
    ],
    [{ status: 200, headers: { "content-type": "application/json" }, body: "{}" }, undefined],
    [{ status: 200, body: "no type, no OTLP" }, /^its answer is no OTLP/],
    [
      { status: 202, headers: { "content-type": "text/plain" }, body: "queued" },
      /^its answer is no OTLP/,
    ],
    [{ status: 204, headers: {}, body: "" }, undefined],
    [{
      status: 200,
      headers: protobuf,
      body: encodeResponse("traces", { rejected: 0, message: "old\nSDK" }, "protobuf"),
    }, /^old SDK$/],
  ];
  for (const [behaviour, note] of cases) {
    await forwarding(behaviour, async ({ sink, events, deliver }) => {
      const { next, delivered, failure } = await deliver(records("t1", "t2"));
      const what = JSON.stringify(behaviour);
      assert.deepEqual([next, delivered.traces, failure], [120n, 2, undefined], what);
      assert.deepEqual(events.map(({ kind }) => kind), note ? ["note"] : [], what);
      if (note) assert.match(events[0]!.message, note);
      assert.deepEqual([sink.stats.notes, sink.stats.requests], [note ? 1 : 0, 1]);
    }, { timeoutMs: behaviour === "hangs in its answer" ? 100 : 10_000 });
  }
});

Deno.test("forward counts apart what the destination rejected of a request it took", async () => {
  await forwarding({ rejected: 2, message: "too old" }, async ({ sink, events, deliver }) => {
    const { delivered, dead } = await deliver(records("l1", "l2", "l3", "m1"));
    // Delivered and final: sending it again would not help. Of one metric no two can be rejected.
    assert.deepEqual([delivered, dead], [{ traces: 0, logs: 3, metrics: 1 }, []]);
    assert.deepEqual(sink.stats.rejected, { traces: 0, logs: 2, metrics: 1 });
    assert.deepEqual(events, [
      { kind: "rejected", signal: "logs", count: 2, message: "too old" },
      { kind: "rejected", signal: "metrics", count: 1, message: "too old" },
    ]);
  });
});

Deno.test("forward believes no answer that rejects less than nothing", async () => {
  const negative = encodeResponse("traces", { rejected: -5, message: "" }, "protobuf");
  const answer = {
    status: 200,
    headers: { "content-type": "application/x-protobuf" },
    body: negative,
  };
  await forwarding(answer, async ({ sink, deliver }) => {
    assert.equal((await deliver(records("t1"))).delivered.traces, 1);
    assert.deepEqual(sink.stats.rejected, noCounts());
  });
});

Deno.test("forward says what was settled before a failure, and sends nothing of it twice", async () => {
  let logs: Behaviour = { status: 503 };
  const behave = ({ signal, body }: ReceivedRequest): Behaviour => {
    if (signal === "logs") return logs;
    return namesIn(signal, body).includes("t1") ? { status: 400 } : FINE;
  };
  await forwarding(behave, async ({ server, deliver }) => {
    const given = records("t1", "t2", "l1", "t3", "l2", "m1");
    const first = await deliver(given);
    assert.deepEqual([first.next, first.delivered.traces, first.dead.length], [120n, 1, 1]);
    assert((first.failure as ForwardError).status === 503);
    // Nothing more can be said until the logs are taken.
    await assert.rejects(deliver(given.slice(2)), { status: 503 });
    logs = FINE;
    const before = server.requests.length;
    const rest = await deliver(given.slice(2));
    assert.deepEqual([rest.next, rest.failure], [160n, undefined]);
    assert.deepEqual(rest.delivered, { traces: 1, logs: 2, metrics: 1 });
    assert.deepEqual(received(server).slice(before), ["l1 l2", "m1"]);
  });
});

Deno.test("forward sends again what it is given again", async () => {
  await forwarding(FINE, async ({ server, deliver }) => {
    const given = records("t1");
    for (let n = 0; n < 2; n++) assert.equal((await deliver(given)).next, 110n);
    assert.deepEqual(received(server), ["t1", "t1"]);
  });
});

Deno.test("forward ends soon when it is given up, with the signal's reason", async () => {
  await forwarding("hangs", async ({ server, deliver }) => {
    const abort = new AbortController();
    server.behave = () => {
      abort.abort(new DOMException("closing", "AbortError"));
      return "hangs";
    };
    await assert.rejects(deliver(records("t1"), abort.signal), {
      name: "AbortError",
      message: "closing",
    });
    await assert.rejects(deliver(records("t1"), abort.signal), { message: "closing" });
    assert.equal(server.requests.length, 1);
  });
});

Deno.test("forward ends soon when it is given up, with what was settled", async () => {
  const abort = new AbortController();
  const behave = ({ signal }: ReceivedRequest): Behaviour => {
    if (signal === "traces") return FINE;
    abort.abort(new DOMException("closing", "AbortError"));
    return "hangs";
  };
  await forwarding(behave, async ({ deliver }) => {
    const { next, failure } = await deliver(records("t1", "l1"), abort.signal);
    assert.deepEqual([next, (failure as Error).message], [110n, "closing"]);
  });
});
