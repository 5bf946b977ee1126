/**
 * A Deno program traced by Deno itself, whose telemetry the collector keeps: the first thing that a
 * user of it does.
 */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { canonicalise } from "./canonical.ts";
import { allDelivered } from "./collector_ledger.ts";
import { runCollector, type RunOptions, startCollector, stop } from "./collector_process.ts";
import { runTracedProgram } from "./deno_program.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { requestOf, startServer } from "./recording_server.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const ASKS = 20;
const onServer = { ignore: !drivers.includes("postgres") };

/** What `deno task start` allows the collector. */
const permissions = config.tasks.start.command.match(/--allow-\S+/g)!
  .map((flag) => flag.replaceAll("'", ""));

Deno.test("a Deno server's telemetry is in the embedded database, over a stop and a start", async () => {
  await using folder = await temporaryFolder();
  const dataDir = folder.path;
  // Asked as the README says, while the collector has the database open.
  await keepsTelemetry({ dataDir, permissions }, "http/protobuf", async (sql) => {
    const { code, stdout, stderr } = await runCollector({
      dataDir,
      permissions,
      args: ["query", "sql", sql],
    });
    assert.equal(code, 0, stderr);
    return stdout;
  });
});

Deno.test("a Deno server's telemetry is in Postgres, where psql finds it", onServer, async () => {
  await using database = await testDatabase("postgres");
  await using folder = await temporaryFolder();
  const env = { DATABASE_URL: database.url };
  await keepsTelemetry({ env, permissions, dataDir: folder.path }, "http/json", async (sql) => {
    const args = ["--no-psqlrc", "--tuples-only", "--no-align", "--command"];
    const psql = new Deno.Command("psql", {
      args: [...args, `select row_to_json(q) from (${sql}) q`, database.url],
    });
    const { code, stdout, stderr } = await psql.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  });
});

/** Runs a collector and a program that sends to it, and asks what is there. */
async function keepsTelemetry(
  options: RunOptions,
  protocol: "http/protobuf" | "http/json",
  query: (sql: string) => Promise<string>,
): Promise<void> {
  const select = async (sql: string) =>
    (await query(sql)).trim().split("\n").map((line) => JSON.parse(line));
  let before: unknown;
  {
    await using collector = await startCollector(options);
    await runTracedProgram({ endpoint: collector.url, service: "greeter", protocol, asks: ASKS });
    await allDelivered(collector);
    await checkTelemetry(select);
    before = await select(COUNTS);
    await stop(collector);
  }
  await using collector = await startCollector(options);
  assert.deepEqual(await select(COUNTS), before);
  await checkTelemetry(select);
  await stop(collector);
}

const COUNTS = `select (select count(*) from otel.spans) as spans,
  (select count(*) from otel.logs) as logs,
  (select count(*) from otel.metric_points) as metric_points`;

/** The program has ended, and Deno ends when all that it sent is answered. */
async function checkTelemetry(select: (sql: string) => Promise<unknown[]>): Promise<void> {
  const paths = Array.from({ length: ASKS }, (_, i) => `/asked/${i + 1}`);
  assert.deepEqual(
    await select(
      `select name, kind, status, service_name, service_namespace, scope_name, parent_span_id,
         resource_attributes->>'process.runtime.name' as runtime,
         attributes->>'http.request.method' as method, attributes->>'url.path' as path,
         attributes->>'http.response.status_code' as code, duration_ms >= 0 as has_duration
       from otel.spans where kind = 'SERVER' order by start_unix_nano`,
    ),
    paths.map((path) => ({
      name: "GET",
      kind: "SERVER",
      status: "UNSET",
      service_name: "greeter",
      service_namespace: "shop",
      scope_name: "deno",
      parent_span_id: null,
      runtime: "deno",
      method: "GET",
      path,
      code: "200",
      has_duration: true,
    })),
  );
  assert.deepEqual(
    await select(
      `select s.attributes->>'url.path' as path, l.message, l.severity, l.severity_number,
         g.name, g.scope_name, g.scope_version, g.span_id = l.span_id as is_logged_within,
         g.parent_span_id = s.span_id as is_child,
         g.events->0->>'name' as event, g.events->0->'attributes'->>'path' as event_path
       from otel.spans s join otel.logs l using (trace_id) join otel.spans g using (trace_id)
       where s.kind = 'SERVER' and g.kind = 'INTERNAL' order by s.start_unix_nano`,
    ),
    paths.map((path) => ({
      path,
      message: `greeting ${path}\n`,
      severity: "INFO",
      severity_number: 9,
      name: "greet",
      scope_name: "shop",
      scope_version: "1.0.0",
      is_logged_within: true,
      is_child: true,
      event: "greeted",
      event_path: path,
    })),
  );
  assert.deepEqual(
    await select(
      `select metric_name, type, temporality, is_monotonic, unit, scope_name, service_name,
         max(value) as value, max(count) as count
       from otel.metric_points
       where metric_name in ('shop.greetings', 'http.server.request.duration')
       group by 1, 2, 3, 4, 5, 6, 7 order by 1`,
    ),
    [{
      metric_name: "http.server.request.duration",
      type: "histogram",
      temporality: "CUMULATIVE",
      is_monotonic: null,
      unit: "s",
      scope_name: "deno",
      service_name: "greeter",
      value: null,
      count: ASKS,
    }, {
      metric_name: "shop.greetings",
      type: "sum",
      temporality: "CUMULATIVE",
      is_monotonic: true,
      unit: "{greeting}",
      scope_name: "shop",
      service_name: "greeter",
      value: ASKS,
      count: null,
    }],
  );
}

for (const protocol of ["http/protobuf", "http/json"] as const) {
  for (const driver of drivers) {
    Deno.test(`all that Deno itself sends by ${protocol} is in ${driver}`, async () => {
      await using server = await startServer(driver);
      await runTracedProgram({ endpoint: server.url, service: "greeter", protocol, asks: 3 });
      for (const { status, answer } of server.exchanges) {
        assert.deepEqual([status, answer], [200, protocol === "http/json" ? "{}" : ""]);
      }
      for (const signal of ["traces", "logs", "metrics"] as const) {
        const sent = server.exchanges.filter((exchange) => exchange.signal === signal)
          .flatMap((exchange) => canonicalise(signal, requestOf(signal, exchange))).sort();
        assert.ok(sent.length >= 3, `${signal}: ${sent.length}`);
        assert.deepEqual(canonicalise(signal, await server.adapter.exportStored(signal)), sent);
      }
    });
  }
}
