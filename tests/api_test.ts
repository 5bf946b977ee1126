/** The HTTP API over the shop's telemetry: what it answers, and to whom. */

import assert from "node:assert/strict";
import { jsonToProtobuf, parseRequestJson, requestToJson } from "../src/otlp.ts";
import type { Database } from "../src/postgres/database.ts";
import {
  ajv,
  answerTo,
  apiOf,
  ASKED,
  documentOf,
  HERE,
  QUESTIONS,
  RANGE,
  traceId,
  valid,
} from "./asked_api.ts";
import { canonicalise } from "./canonical.ts";
import { startCollector, stop } from "./collector_process.ts";
import { attribute, resource, traces } from "./one_record.ts";
import { oracleDecode } from "./oracle.ts";
import { oracleParse } from "./oracle_json.ts";
import { drivers } from "./postgres.ts";
import { FIRST, LOGS, shopDatabase, SPANS } from "./shop_world.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const stores = new Map<string, Database>();
for (const driver of drivers) stores.set(driver, await shopDatabase(driver));

for (const [driver, database] of stores) {
  const get = apiOf(() => Promise.resolve(database));

  Deno.test(`every answer of the API is as the OpenAPI document says: ${driver}`, async () => {
    const document = await documentOf(get);
    assert.deepEqual(
      Object.keys(document.paths).toSorted(),
      Object.keys(ASKED).toSorted(),
    );
    for (const [path, urls] of Object.entries(QUESTIONS)) {
      const { responses, parameters } = document.paths[path]!.get;
      const validate = ajv.compile(responses[200]!.content["application/json"]!.schema);
      for (const url of urls) {
        const names = [...new URL(url, "http://localhost").searchParams.keys()];
        assert.ok(names.every((name) => parameters.some((one) => one.name === name)), url);
        const response = await get(url);
        const answer = await response.json();
        assert.equal(response.status, 200, `${url}: ${JSON.stringify(answer)}`);
        valid(validate, answer, url);
        const list = Object.values(answer).find(Array.isArray) as unknown[];
        assert.ok(list.length > 0, `${url} answers with nothing`);
      }
    }
  });

  Deno.test(`a trace comes as OTLP, all that was sent of it: ${driver}`, async () => {
    const sent = canonicalise("traces", {
      resourceSpans: SPANS.filter(({ record }) => record.traceId === traceId).flatMap((
        { service, record },
      ) =>
        traces([record], {
          resource: resource(service === "" ? [] : [attribute("service.name", service)]),
        }).resourceSpans
      ),
    });
    assert.ok(sent.length > 0);
    const text = await (await get(`/api/traces/${traceId}?format=otlp`)).text();
    assert.deepEqual(canonicalise("traces", parseRequestJson("traces", text)), sent);
    assert.deepEqual(canonicalise("traces", oracleParse("traces", text)), sent);
    const official = oracleDecode("traces", jsonToProtobuf("traces", text));
    assert.deepEqual(canonicalise("traces", official), sent);
  });

  Deno.test(`a trace that is longer than was asked for is no OTLP: ${driver}`, async () => {
    const long = SPANS.find(({ record }) =>
      SPANS.filter((one) =>
        one.record.traceId === record.traceId
      ).length > 1
    )!.record.traceId;
    const response = await get(`/api/traces/${long}?format=otlp&maxSpans=1`);
    assert.equal(response.status, 400);
    assert.equal((await response.json()).parameter, "maxSpans");
    const tree = await (await get(`/api/traces/${long}?maxSpans=1`)).json();
    assert.equal(tree.hasMoreSpans, true);
  });

  Deno.test(`pages follow each other by cursor, of one range though time goes on: ${driver}`, async () => {
    const traceCount = new Set(SPANS.map(({ record }) => record.traceId)).size;
    for (
      const [path, list, count, limit] of [
        ["logs", "logs", LOGS.length, 37],
        ["traces", "traces", traceCount, 17],
      ] as const
    ) {
      for (const range of ["since=9000d", "since=0&until=2100-01-01T00:00:00Z", "lastMs=9e11"]) {
        const url = `/api/${path}?${range}&limit=${limit}`;
        let page = await (await get(url)).json();
        const found = [...page[list]];
        const first = page.range;
        for (; page.cursor !== undefined; found.push(...page[list])) {
          // "9000 days ago" is another moment by now; and the range can be left out.
          await new Promise((resolve) => setTimeout(resolve, 2));
          const left = `/api/${path}?limit=${limit}`;
          const next = `${found.length > 2 * limit ? left : url}&cursor=${page.cursor}`;
          const response = await get(next);
          page = await response.json();
          assert.equal(response.status, 200, `${next}: ${JSON.stringify(page)}`);
          assert.deepEqual(page.range, first);
        }
        assert.equal(new Set(found.map((one) => JSON.stringify(one))).size, count, url);
        assert.equal(found.length, count, url);
      }
    }
  });

  Deno.test(`a cursor of another query or another range is refused: ${driver}`, async () => {
    const { cursor } = await (await get("/api/logs?since=9000d&limit=1")).json();
    for (
      const other of [
        "/api/traces?since=9000d",
        "/api/logs?since=9000d&service=shop",
        `/api/logs?since=${FIRST}`,
        "/api/logs?since=9000d&until=2100-01-01T00:00:00Z",
        "/api/logs?lastMs=1000",
      ]
    ) {
      const response = await get(`${other}&cursor=${cursor}`);
      assert.equal(response.status, 400, other);
      assert.equal((await response.json()).parameter, "cursor");
    }
    const response = await get(`/api/logs?since=9000d&since=1d&cursor=${cursor}`);
    assert.equal((await response.json()).parameter, "since");
    const wrong = await get(`/api/logs?since=long%20ago&cursor=${cursor}`);
    assert.equal((await wrong.json()).parameter, "since");
  });

  Deno.test(`nonsense gets a problem that names the parameter: ${driver}`, async () => {
    const validate = ajv.compile((await documentOf(get)).components.schemas.Problem);
    const first = await (await get(`/api/traces?${RANGE}&limit=1`)).json();
    assert.ok(first.cursor.length > 0);
    for (
      const [url, status, parameter] of [
        ["/api/traces?limit=1000000", 400, "limit"],
        ["/api/traces?limit=1&limit=2", 400, "limit"],
        ["/api/traces?limit=", 400, "limit"],
        ["/api/traces?since=yesterday", 400, "since"],
        ["/api/traces?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 400, "since"],
        ["/api/traces?nobody=1", 400, "nobody"],
        ["/api/traces?__proto__=1", 400, "__proto__"],
        ["/api/traces?kind=HOUSE", 400, "kind"],
        ["/api/traces?filter=a%20%3D", 400, "filter"],
        [`/api/traces?${RANGE}&filter=http.route%20~%20%22(%22`, 400, "filter"],
        ["/api/traces?cursor=abc", 400, "cursor"],
        ["/api/traces/5b8e", 400, "traceId"],
        ["/api/traces/%ff", 400, "traceId"],
        [`/api/traces/${traceId}?format=xml`, 400, "format"],
        [`/api/traces/${traceId}?traceId=${traceId}`, 400, "traceId"],
        [`/api/traces/${"f".repeat(32)}`, 404, undefined],
        ["/api/operations", 400, "service"],
        ["/api/attributes?signal=metrics", 400, "signal"],
        ["/api/metrics/latency?function=magic", 400, "function"],
        [`/api/log-counts?${RANGE}&stepMs=1`, 400, "stepMs"],
        [`/api/metrics/latency?${RANGE}&stepMs=1`, 400, "stepMs"],
        [`/api/traces?${RANGE}&cursor=${first.cursor}&limit=1&service=shop`, 400, "cursor"],
      ] as const
    ) {
      const response = await get(url);
      const answer = await response.json();
      assert.equal(response.status, status, `${url}: ${JSON.stringify(answer)}`);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      valid(validate, answer, url);
      if (parameter !== undefined) assert.equal(answer.parameter, parameter, url);
    }
    for (const [path, { get: { parameters } }] of Object.entries((await documentOf(get)).paths)) {
      for (const { name, in: place } of parameters) {
        if (place === "header") continue;
        const { pathname, searchParams } = new URL(ASKED[path]![0]!, "http://localhost");
        if (place === "query") searchParams.set(name, "shop\0a = 1");
        const url = place === "query"
          ? `${pathname}?${searchParams}`
          : path.replace(/\{.*\}/, "shop%00");
        const response = await get(url);
        const answer = await response.json();
        assert.equal(response.status, 400, `${url}: ${JSON.stringify(answer)}`);
        assert.equal(answer.parameter, name, url);
      }
    }
    const nobody = await get(
      `/api/traces?${RANGE}&service=${encodeURIComponent("'; drop table x; --")}`,
    );
    assert.deepEqual((await nobody.json()).traces, []);
  });
}

Deno.test("the API is for this machine, or for who has the token", async () => {
  const open = () => Promise.reject(new Error("must not be asked"));
  const foreign = await apiOf(open)("/api/services", {
    headers: { origin: "https://example.org" },
  });
  assert.equal(foreign.status, 403);
  assert.equal(foreign.headers.get("content-type"), "application/problem+json");
  await foreign.body?.cancel();
  const get = apiOf(open, { token: "secret" });
  const without = await get("/api/services");
  assert.equal(without.status, 401);
  await without.body?.cancel();
  const [database] = stores.values();
  const own = apiOf(() => Promise.resolve(database!), { token: "secret" });
  const known = await own("/api/services", { headers: { authorization: "Bearer secret" } });
  assert.equal(known.status, 200);
  await known.body?.cancel();
  const rebound = await answerTo(open)(new Request("http://evil.example/api/services"), HERE);
  assert.equal(rebound.status, 403);
  assert.equal(rebound.headers.get("content-type"), "application/problem+json");
  await rebound.body?.cancel();
  const post = await apiOf(open)("/api/services", { method: "POST" });
  assert.equal(post.status, 405);
  await post.body?.cancel();
});

Deno.test("what cannot be read, or is not there, is a problem and speaks of reading", async () => {
  const broken = Object.assign(new Error("no such column"), { code: "42703" });
  const get = apiOf(() => Promise.reject(broken));
  for (const [path, status] of [["/api/services", 500], ["/api/nothing", 404]] as const) {
    const response = await get(path);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    const { detail } = await response.json();
    assert.ok(!/store the request/.test(detail), detail);
  }
  const document = await documentOf(get);
  const { responses } = document.paths["/api/services"]!.get;
  for (const status of [405, 499, 500]) assert.ok(status in responses, String(status));
});

Deno.test("a database that is away or slow is told apart from a wrong question", async () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const away = await apiOf(() => Promise.reject(refused))("/api/services");
  assert.equal(away.status, 503);
  assert.ok(Number(away.headers.get("retry-after")) > 0);
  assert.equal((await away.json()).title, "Service Unavailable");

  const [database] = stores.values();
  const slow: Database = {
    ...bound(database!),
    transaction: (run, options) =>
      database!.transaction(async (transaction) => {
        await run(transaction);
        await transaction.query("select pg_sleep(30)");
        throw new Error("must have been ended");
      }, options),
  };
  const late = await apiOf(() => Promise.resolve(slow), { queryTimeoutMs: 200 })("/api/services");
  assert.equal(late.status, 504, JSON.stringify(await late.clone().json()));
  await late.body?.cancel();
});

Deno.test("a running collector gives back what was sent to it", async () => {
  await using data = await temporaryFolder();
  await using collector = await startCollector({ dataDir: data.path });
  const { url } = collector;
  const sent = SPANS.filter(({ record }) => record.traceId === traceId).map(({ record }) => record);
  const stored = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: requestToJson("traces", traces(sent)),
  });
  assert.equal(stored.status, 200);
  await stored.body?.cancel();
  let response = await fetch(`${url}/api/traces/${traceId}?format=otlp`);
  // It is in the journal; the database gets it a moment later.
  while (response.status === 404) {
    await response.body?.cancel();
    response = await fetch(`${url}/api/traces/${traceId}?format=otlp`);
  }
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.deepEqual(
    canonicalise("traces", oracleParse("traces", text)),
    canonicalise("traces", traces(sent)),
  );
  const wrong = await fetch(`${url}/api/traces?limit=0`);
  assert.equal(wrong.status, 400);
  assert.equal((await wrong.json()).parameter, "limit");
  const foreign = await fetch(`${url}/api/traces`, { headers: { origin: "https://example.org" } });
  assert.equal(foreign.status, 403);
  await foreign.body?.cancel();
  const document = await (await fetch(`${url}/api/openapi.json`)).json();
  assert.equal(document.openapi, "3.1.0");
  await stop(collector);
});

function bound(database: Database): Database {
  return {
    driver: database.driver,
    query: (sql, parameters, options) => database.query(sql, parameters, options),
    execute: (script) => database.execute(script),
    transaction: (run, options) => database.transaction(run, options),
    secure: () => database.secure(),
    close: () => database.close(),
    [Symbol.asyncDispose]: () => database.close(),
  };
}
