/** A forward: what it sends, how it joins and narrows, and how it is set up. */

import assert from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { classify } from "@oneiric/otel-storage/retry";
import { isOwnAddress } from "../src/forward_address.ts";
import {
  ForwardError,
  type ForwardEvent,
  type ForwardOptions,
  ForwardSink,
} from "../src/forward.ts";
import { encodeResponse, encodeStatus } from "../src/otlp.ts";
import { type Behaviour, misbehavingServer, type ReceivedRequest } from "./misbehaving_server.ts";
import { body, FINE, forwarding, namesIn, never, received, records } from "./forwarding.ts";

Deno.test("forward sends a body as it is to the path of its signal, with the user's headers", async () => {
  await forwarding(FINE, async ({ server, deliver }) => {
    const given = records("t1");
    assert.deepEqual(await deliver(given), {
      next: 110n,
      delivered: { traces: 1, logs: 0, metrics: 0 },
      dead: [],
    });
    const [request] = server.requests;
    assert.deepEqual(request!.body, given[0]!.body);
    assert.deepEqual([request!.method, request!.path], ["POST", "/v1/traces"]);
    assert.equal(request!.headers["content-type"], "application/x-protobuf");
    assert.equal(request!.headers["content-encoding"], undefined);
    assert.equal(request!.headers["x-team"], "a");
    assert.equal(request!.headers["user-agent"], "otel-storage");
  }, { headers: { "X-Team": "a" } });
});

Deno.test("forward appends to the path of the base URL and keeps its query", async () => {
  await using server = await misbehavingServer();
  for (
    const [base, path] of [["/", "/v1/logs"], ["/otlp", "/otlp/v1/logs"], [
      "/a/?k=v",
      "/a/v1/logs?k=v",
    ]]
  ) {
    const sink = new ForwardSink({ url: `${server.url}${base}` });
    await sink.deliver(records("l1"), never);
    assert.equal(server.requests.at(-1)!.path, path);
  }
});

Deno.test("forward compresses bodies when told to", async () => {
  await forwarding(FINE, async ({ server, deliver }) => {
    await deliver(records("m1", "m2"));
    assert.equal(server.requests[0]!.headers["content-encoding"], "gzip");
    assert.deepEqual(received(server), ["m1 m2"]);
  }, { gzip: true });
});

Deno.test("forward joins the bodies of each signal in their order", async () => {
  await forwarding(FINE, async ({ sink, server, deliver }) => {
    const { next, delivered } = await deliver(records("t1", "l1", "t2", "m1", "l2", "t3"));
    assert.deepEqual(received(server), ["t1 t2 t3", "l1 l2", "m1"]);
    assert.deepEqual([next, delivered], [160n, { traces: 3, logs: 2, metrics: 1 }]);
    assert.equal(sink.stats.requests, 3);
  });
});

Deno.test("forward joins no more than maxJoinedBytes, and sends a larger body alone", async () => {
  const size = body("traces", "t1").length;
  await forwarding(FINE, async ({ server, deliver }) => {
    await deliver(
      records("t1", "t2", "t3", "l1", "t-is-so-long-that-it-is-too-long-by-itself", "t4"),
    );
    assert.deepEqual(received(server), [
      "t1 t2",
      "t3",
      "l1",
      "t-is-so-long-that-it-is-too-long-by-itself",
      "t4",
    ]);
  }, { maxJoinedBytes: 2 * size });
});

Deno.test("forward narrows a refusal until the refused body stands alone, and keeps the order", async () => {
  for (const status of [400, 413, 415, 422, 500]) {
    const behave = ({ signal, body }: ReceivedRequest): Behaviour =>
      namesIn(signal, body).includes("t4") ? { status, body: "t4 is bad" } : FINE;
    await forwarding(behave, async ({ server, deliver }) => {
      const given = records("t1", "t2", "t3", "t4", "l1", "t5", "t6");
      const { next, delivered, dead, failure } = await deliver(given);
      assert.deepEqual([next, failure], [170n, undefined]);
      assert.deepEqual(delivered, { traces: 5, logs: 1, metrics: 0 });
      assert.deepEqual(dead, [{
        position: 130n,
        index: 0,
        signal: "traces",
        count: 1,
        arrivalUnixNano: 5n,
        reason: `${server.url} answered ${status}: t4 is bad`,
        body: given[3]!.body,
      }]);
      const taken = received(server).filter((names) => !names.includes("t4"));
      assert.deepEqual(taken.join(" ").split(" "), ["t1", "t2", "t3", "t5", "t6", "l1"]);
      // Each half once: twice the logarithm, and not each body by itself.
      assert(server.requests.length <= 8);
    });
  }
});

Deno.test("forward takes the reason from an OTLP status, in protobuf and JSON, and from text", async () => {
  const status = { code: 3, message: "no such tenant" };
  for (
    const [type, said, reason] of [
      ["application/x-protobuf", encodeStatus(status, "protobuf"), "400: no such tenant"],
      ["application/json; charset=utf-8", encodeStatus(status, "json"), "400: no such tenant"],
      ["application/json", "no\r\n  JSON\u0000", "400: no JSON"],
      ["text/html", "<h1>Bad</h1>", "400: <h1>Bad</h1>"],
      ["text/plain", "long ".repeat(100_000), `400: ${"long ".repeat(60)}…`],
      ["text/plain", "", "400"],
    ] as const
  ) {
    const answer = { status: 400, headers: { "content-type": type }, body: said };
    await forwarding(answer, async ({ server, deliver }) => {
      const { dead } = await deliver(records("t1"));
      assert.equal(dead[0]!.reason, `${server.url} answered ${reason}`);
    });
  }
});

Deno.test("forward hands on when a busy destination wants to be asked again", async () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  const cases: readonly [string | undefined, number | undefined][] = [
    [undefined, undefined],
    ["7", 7_000],
    ["0", 0],
    ["9".repeat(400), Number.MAX_SAFE_INTEGER],
    ["Thu, 01 Jan 2026 00:02:00 GMT", 120_000],
    ["Thursday, 01-Jan-26 00:02:00 GMT", 120_000],
    ["Thu Jan  1 00:02:00 2026 GMT", 120_000],
    ["Wed, 31 Dec 2025 23:00:00 GMT", 0],
    ["soon", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["", undefined],
  ];
  for (const status of [408, 429, 502, 503, 504]) {
    for (const [header, retryAfterMs] of cases) {
      const headers = header === undefined ? {} : { "retry-after": header };
      await forwarding({ status, headers, body: "busy" }, async ({ server, deliver }) => {
        const error: unknown = await deliver(records("t1", "t2")).catch((error) => error);
        assert(error instanceof ForwardError);
        assert.deepEqual([error.status, error.retryAfterMs], [status, retryAfterMs], `${header}`);
        assert.equal(
          error.message,
          `Cannot forward to ${server.url}/v1/traces: it answered ${status}: busy`,
        );
        const failure = { kind: "transient", ...(retryAfterMs !== undefined && { retryAfterMs }) };
        assert.deepEqual(classify(error), failure);
        assert.deepEqual(received(server), ["t1 t2"], "it is asked once");
      }, { now: () => now });
    }
  }
});

Deno.test("forward calls a destination that is not set up no reason to drop anything", async () => {
  for (
    const [status, advice] of [
      [401, /check the headers/],
      [403, /check the headers/],
      [404, /check the URL/],
      [405, /check the URL/],
      [402, /check the URL/],
      [501, /check the URL/],
      [304, /redirects are not followed/],
      [599, /check the URL/],
    ] as const
  ) {
    await forwarding({ status }, async ({ server, deliver }) => {
      const error: unknown = await deliver(records("t1", "t2")).catch((error) => error);
      assert(error instanceof ForwardError);
      assert.equal(error.status, status);
      assert.match(error.message, advice);
      assert.equal(server.requests.length, 1);
    });
  }
});

Deno.test("no message of a forward holds a header, a query or a password", async () => {
  const secret = "s3cr3t-t0k3n";
  const headers = { authorization: `Bearer ${secret}`, "x-key": `${secret}-key` };
  const echo = `you sent Bearer ${secret} and ${secret}-key and ?key=${secret}`;
  const said: string[] = [];
  const partial = encodeResponse("traces", { rejected: 1, message: echo }, "protobuf");
  const behaviours: Behaviour[] = [
    { status: 400, body: echo },
    { status: 401, body: echo },
    { status: 503, body: echo },
    { status: 200, headers: { "content-type": "application/x-protobuf" }, body: partial },
    "closes",
  ];
  for (const behaviour of behaviours) {
    await using server = await misbehavingServer(() => behaviour);
    const onEvent = (event: ForwardEvent) => said.push(event.message);
    const sink = new ForwardSink({ url: `${server.url}/?key=${secret}`, headers, onEvent });
    assert.equal(sink.name, server.url);
    try {
      for (const { reason } of (await sink.deliver(records("t1"), never)).dead) {
        said.push(reason);
      }
    } catch (error) {
      said.push(Deno.inspect(error));
    }
    assert.equal(server.requests[0]!.headers.authorization, `Bearer ${secret}`);
    assert.equal(server.requests[0]!.path, `/v1/traces?key=${secret}`);
  }
  const wrong: ForwardOptions[] = [
    { url: `http://user:${secret}@localhost` },
    { url: `ftp://localhost?key=${secret}` },
    { url: `no url ${secret}` },
    { url: "http://localhost", headers: { "x-key": `${secret}\n${secret}` } },
    { url: "http://localhost", headers: { "x-key": secret as unknown as string, "a b": secret } },
    { url: `http://localhost:4318?key=${secret}`, own: { host: "localhost", port: 4318 } },
  ];
  for (const options of wrong) {
    assert.throws(() => new ForwardSink(options), (error) => {
      said.push(Deno.inspect(error));
      return error instanceof RangeError;
    });
  }
  assert.equal(said.length, behaviours.length + wrong.length);
  for (const text of said) assert(!/s3cr3t|-key/.test(text.replaceAll("x-key", "")), text);
});

Deno.test("options of a forward are checked by name", () => {
  const url = "http://localhost";
  for (
    const [options, message] of [
      [{ url: "localhost:4318" }, /'url': expected http: or https:, got localhost:/],
      [{ url: "" }, /'url': it is no URL/],
      [{ url, timeoutMs: 0 }, /'timeoutMs'/],
      [{ url, maxJoinedBytes: -1 }, /'maxJoinedBytes': .* got -1/],
      [{ url, headers: { "Content-Type": "text/plain" } }, /'headers.Content-Type'/],
      [{ url, headers: { "a b": "c" } }, /'headers.a b': its name or value is no valid header/],
      [{ url, retries: 3 }, /'options': .*retries/],
    ] as const
  ) {
    assert.throws(() => new ForwardSink(options as unknown as ForwardOptions), {
      name: "RangeError",
      message,
    });
  }
});

Deno.test("forward refuses the address that this process listens on", () => {
  const own = { host: "127.0.0.1", port: 4318 };
  assert.throws(
    () => new ForwardSink({ url: "http://localhost:4318/otlp", own }),
    /'url': 'http:\/\/localhost:4318\/otlp' is where this process listens itself/,
  );
  new ForwardSink({ url: "http://localhost:4319", own });
});

Deno.test("isOwnAddress knows the names of this machine", () => {
  const cases: readonly [string, string, number, boolean][] = [
    ["http://127.0.0.1:4318", "127.0.0.1", 4318, true],
    ["http://127.0.0.1:4319", "127.0.0.1", 4318, false],
    ["http://LocalHost:4318", "127.0.0.1", 4318, true],
    ["http://localhost.:4318", "127.0.0.1", 4318, true],
    ["http://app.localhost:4318", "127.0.0.1", 4318, true],
    ["http://127.1:4318", "localhost", 4318, true],
    ["http://2130706433:4318", "localhost", 4318, true],
    ["http://0x7f.0.0.1:4318", "localhost", 4318, true],
    ["http://[::1]:4318", "127.0.0.1", 4318, true],
    ["http://[::ffff:127.0.0.1]:4318", "127.0.0.1", 4318, true],
    ["http://[::]:4318", "::", 4318, true],
    ["http://0.0.0.0:4318", "127.0.0.1", 4318, true],
    ["http://localhost:4318", "0.0.0.0", 4318, true],
    ["http://localhost:4318", "::", 4318, true],
    ["http://localhost", "0.0.0.0", 80, true],
    ["https://localhost", "0.0.0.0", 443, true],
    ["https://localhost", "0.0.0.0", 80, false],
    ["http://collector.example.org:4318", "0.0.0.0", 4318, false],
    ["http://collector.example.org:4318", "Collector.Example.org", 4318, true],
    ["http://10.1.2.3:4318", "0.0.0.0", 4318, false],
    ["http://10.1.2.3:4318", "10.1.2.3", 4318, true],
    ["http://localhost:4318", "10.1.2.3", 4318, false],
    ["http://notlocalhost:4318", "0.0.0.0", 4318, false],
  ];
  for (const [url, host, port, own] of cases) {
    assert.equal(isOwnAddress(url, host, port), own, `${url} at ${host}:${port}`);
  }
  assert(isOwnAddress("http://10.1.2.3:4318", "0.0.0.0", 4318, ["10.1.2.3"]));
  assert(isOwnAddress("http://[fe80::1]:4318", "::", 4318, ["fe80::1"]));
  assert(!isOwnAddress("http://10.1.2.3:4318", "127.0.0.1", 4318, ["10.1.2.3"]));
});

Deno.test("forward speaks TLS, and only with those whose certificate it can trust", async () => {
  const fixture = (name: string) => new URL(`fixtures/tls/${name}`, import.meta.url);
  const [cert, key] = await Promise.all([
    Deno.readTextFile(fixture("server.pem")),
    Deno.readTextFile(fixture("server.key")),
  ]);
  const paths: string[] = [];
  const server = createServer({ cert, key }, (request, response) => {
    paths.push(request.url!);
    request.resume().on("end", () => response.writeHead(200).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    const error: unknown = await new ForwardSink({ url }).deliver(records("t1"), never)
      .catch((error) => error);
    assert(error instanceof ForwardError);
    assert.match(error.message, /certificate/i);
    assert.deepEqual(classify(error), { kind: "transient" });
    assert.deepEqual(paths, []);

    const program = `
      import { ForwardSink } from ${JSON.stringify(import.meta.resolve("../src/forward.ts"))};
      const record = { position: 0n, next: 1n, signal: "traces", count: 0, body: new Uint8Array() };
      const sink = new ForwardSink({ url: ${JSON.stringify(url)} });
      await sink.deliver([record], new AbortController().signal);
    `;
    const config = fileURLToPath(new URL("../deno.json", import.meta.url));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", config, "--cert", fileURLToPath(fixture("ca.pem")), program],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assert.deepEqual(paths, ["/v1/traces"]);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
