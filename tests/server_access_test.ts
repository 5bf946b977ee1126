/** The handler of HTTP requests: tokens, hosts, origins, and who may use the admin. */

import assert from "node:assert/strict";
import { handler } from "../src/server.ts";
import { ask, fakeStore, ONE_LOG, sent, statusOf } from "./asked_handler.ts";

const peer = (hostname: string) => ({ remoteAddr: { transport: "tcp", hostname } });

Deno.test("a token is asked for, compared whole, and not asked for by health checks", async () => {
  const options = { token: "s3cret" };
  for (
    const [authorization, message] of [
      [undefined, /it has no token; send it as Authorization: Bearer TOKEN$/],
      ["Basic s3cret", /it has no token/],
      ["Bearer", /it has no token/],
      ["Bearer s3cre", /its token is not the right one$/],
      ["Bearer s3crets", /its token is not the right one$/],
      ["Bearer S3CRET", /its token is not the right one$/],
    ] as const
  ) {
    const response = await ask({ headers: authorization ? { authorization } : {} }, options);
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    const [status, code, text] = await statusOf(response);
    assert.deepEqual([status, code], [401, 16]);
    assert.match(text, message);
  }
  for (const authorization of ["Bearer s3cret", "bearer  s3cret"]) {
    assert.equal((await ask({ headers: { authorization } }, options)).status, 200);
  }
  assert.equal((await ask({ path: "/healthz", method: "GET" }, options)).status, 200);
  assert.equal((await ask({ path: "/readyz", method: "GET" }, options)).status, 200);
});

Deno.test("a Host that is no name of the loopback is refused, unless configured or with a token", async () => {
  const good = [
    "localhost",
    "LOCALHOST:80",
    "app.localhost",
    "127.0.0.1:4318",
    "127.1.2.3",
    "[::1]:1",
  ];
  for (const host of good) assert.equal((await ask({ headers: { host } })).status, 200, host);
  const bad = [
    "example.org",
    "localhost.example.org",
    "10.0.0.1",
    "127.0.0.1.example.org",
    "a b",
    "",
  ];
  for (const host of bad) {
    assert.deepEqual(await statusOf(await ask({ headers: { host } })), [
      403,
      7,
      "Cannot accept the request: its Host is neither a name of the loopback nor the configured " +
      "host; set a token to be reached under any name",
    ], host);
  }
  const host = "Collector.example.org:4318";
  assert.equal((await ask({ headers: { host } }, { host: "collector.example.org" })).status, 200);
  const authorization = "Bearer s3cret";
  assert.equal((await ask({ headers: { host, authorization } }, { token: "s3cret" })).status, 200);
});

Deno.test("a page of another origin is refused, one of this origin is not", async () => {
  for (const origin of ["https://example.org", "null", "http://localhost:8080"]) {
    assert.deepEqual(await statusOf(await ask({ headers: { origin } })), [
      403,
      7,
      "Cannot accept the request: it comes from a page of another origin; allow that origin to " +
      "let it send",
    ], origin);
  }
  const same = { origin: "http://localhost:4318" };
  assert.equal((await ask({ headers: same })).status, 200);
});

Deno.test("pages of the allowed origin may send and read the answer, also when it is an error", async () => {
  const options = { corsOrigin: "https://example.org" };
  const headers = { origin: "https://example.org" };
  for (const [body, status] of [[ONE_LOG, 200], ["{", 400]] as const) {
    const response = await ask({ headers, body }, options);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("access-control-allow-origin"), "https://example.org");
    assert.equal(response.headers.get("access-control-expose-headers"), "retry-after");
    assert.equal(response.headers.get("vary"), "origin");
  }
  const other = await ask({ headers: { origin: "https://example.com" } }, options);
  assert.equal(other.status, 403);
  assert.equal(other.headers.get("access-control-allow-origin"), null);
  assert.equal(other.headers.get("vary"), "origin");
  const any = await ask({ headers }, { corsOrigin: "*" });
  assert.equal(any.headers.get("access-control-allow-origin"), "https://example.org");
  assert.equal((await ask({}, options)).headers.get("access-control-allow-origin"), null);
});

Deno.test("a preflight of the allowed origin is answered without the token, of others it is not", async () => {
  const options = { corsOrigin: "https://example.org", token: "s3cret" };
  const preflight = (origin: string) =>
    ask({
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-custom",
      },
    }, options);
  const response = await preflight("https://example.org");
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-allow-origin"), "https://example.org");
  assert.equal(response.headers.get("access-control-allow-methods"), "POST");
  assert.equal(
    response.headers.get("access-control-allow-headers"),
    "authorization,content-type,x-custom",
  );
  const refused = await preflight("https://example.com");
  assert.equal(refused.status, 405);
  assert.equal(refused.headers.get("access-control-allow-origin"), null);
});

Deno.test("the admin's query answers with one JSON object a line and says when there are more", async () => {
  const asked: string[] = [];
  const admin = {
    query: (sql: string) => {
      asked.push(sql);
      return Promise.resolve({ lines: ['{"a":1}', '{"a":2}'], truncated: true });
    },
    maintain: () => Promise.resolve({ created: 0 }),
  };
  const answer = handler({ store: fakeStore(), admin });
  const response = await answer(
    sent({ path: "/api/query", body: '{"sql":"select 1"}' }),
    peer("127.0.0.1"),
  );
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  assert.equal(response.headers.get("otel-storage-truncated"), "true");
  assert.equal(await response.text(), '{"a":1}\n{"a":2}\n');
  assert.deepEqual(asked, ["select 1"]);
  for (const body of ["select 1", "{}", '{"sql":""}', '{"sql":1}', ""]) {
    const response = await answer(sent({ path: "/api/query", body }), peer("::1"));
    assert.deepEqual(await statusOf(response), [
      400,
      3,
      'Cannot read the query: send {"sql": "select …"}',
    ]);
  }
});

Deno.test("the admin is for this machine or for who has the token, never for a page", async () => {
  let maintained = 0;
  const admin = {
    query: () => Promise.resolve({ lines: [], truncated: false }),
    maintain: () => Promise.resolve({ created: maintained++ }),
  };
  const request = (headers: Record<string, string> = {}) =>
    sent({ path: "/api/maintain", headers, body: null });
  const open = handler({ store: fakeStore(), admin, corsOrigin: "https://example.org" });
  for (const address of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) {
    assert.equal((await open(request(), peer(address))).status, 200, address);
  }
  assert.equal((await open(request(), { remoteAddr: { transport: "unix" } })).status, 200);
  assert.equal(maintained, 5);
  for (const info of [peer("192.168.0.2"), peer("::2"), peer("localhost"), undefined]) {
    assert.deepEqual(await statusOf(await open(request(), info)), [
      403,
      7,
      "Cannot accept the request: without a token, only this machine may ask for this",
    ]);
  }
  for (const origin of ["https://example.org", "http://localhost:8080"]) {
    assert.equal((await open(request({ origin }), peer("127.0.0.1"))).status, 403);
  }
  assert.equal((await open(request({ host: "example.org" }), peer("127.0.0.1"))).status, 403);
  const closed = handler({ store: fakeStore(), admin, token: "s3cret" });
  assert.equal((await closed(request(), peer("127.0.0.1"))).status, 401);
  const authorization = "Bearer s3cret";
  assert.equal((await closed(request({ authorization }), peer("192.168.0.2"))).status, 200);
  assert.equal(maintained, 6);
});
