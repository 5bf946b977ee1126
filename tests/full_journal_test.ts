/** A collector whose journal fills: it holds requests, refuses them, and loses nothing it took. */

import assert from "node:assert/strict";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { nothingPending, sendSpans, spansOf, statsOf, statsUntil } from "./collector_ledger.ts";
import { startCollector } from "./collector_process.ts";
import { misbehavingServer } from "./misbehaving_server.ts";
import { oracleDecode } from "./oracle.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { numbers, spanId, spans } from "./requests.ts";
import { smallDisk } from "./small_disk.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const MiB = 1024 * 1024;
const DISK_MEGABYTES = 16;
/** Of each request here, so that a few fill a journal. */
const NAME = "x".repeat(1000);

/** A request of spans with ids from `first` on, of about 100 kB. */
function request(first: number): { readonly ids: number[]; readonly body: Uint8Array } {
  const ids = numbers(first, 100);
  // Names differ, so that no two are taken for one.
  return { ids, body: spans(ids, { name: NAME + first }) };
}

/** Sends requests until one is refused; returns the ids of those that were acknowledged. */
async function fill(url: string, ids: Set<number>): Promise<Response> {
  for (;;) {
    const { ids: more, body } = request(ids.size + 1);
    const response = await fetch(`${url}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: body as Uint8Array<ArrayBuffer>,
    });
    if (response.status !== 200) return response;
    await response.body?.cancel();
    for (const id of more) ids.add(id);
  }
}

/** What a load balancer is told that asks whether to send requests here. */
async function readiness(url: string): Promise<number> {
  const response = await fetch(`${url}/readyz`);
  await response.body?.cancel();
  return response.status;
}

/** A folder that goes with the test; on a small disk of its own if that is asked for. */
async function folder(onSmallDisk: boolean): Promise<AsyncDisposable & { readonly path: string }> {
  return onSmallDisk ? (await smallDisk(DISK_MEGABYTES))! : await temporaryFolder();
}

/** Sends spans as programs do, and resolves when they have arrived or were given up. */
async function sdkClient(url: string, count: number): Promise<void> {
  const exporter = new OTLPTraceExporter({
    url: `${url}/v1/traces`,
    timeoutMillis: 60_000,
    keepAlive: false,
  });
  const processor = new BatchSpanProcessor({ exporter, exportTimeoutMillis: 60_000 });
  const provider = new TracerProvider({ spanProcessors: [processor] });
  const tracer = provider.getTracer("patient");
  for (const n of numbers(1, count)) tracer.startSpan(`patient ${n}`).end();
  await provider.forceFlush();
  await provider.shutdown();
}

/** Whether small disks can be made here. */
async function canMount(): Promise<boolean> {
  await using disk = await smallDisk(1);
  return disk !== undefined;
}

/** What fills. */
interface Filling {
  readonly what: string;
  readonly onSmallDisk: boolean;
  readonly args: readonly string[];
}

const mounts = await canMount();
const FILLINGS: readonly Filling[] = [
  { what: "its bound", onSmallDisk: false, args: ["--journal-max-bytes", String(4 * MiB)] },
  ...mounts ? [{ what: "its disk", onSmallDisk: true, args: [] }] : [],
];

if (drivers.includes("postgres")) {
  for (const { what, onSmallDisk, args } of FILLINGS) {
    Deno.test(`a journal that has filled ${what} holds requests, then refuses them, and loses nothing`, async () => {
      await using test = await testDatabase("postgres");
      await using data = await folder(onSmallDisk);
      await using vendor = await misbehavingServer(() => ({ status: 503 }));
      await using collector = await startCollector({
        env: { DATABASE_URL: test.url },
        dataDir: data.path,
        args: ["--forward", `vendor=${vendor.url}`, "--breaker-cooldown", "200", ...args],
      });
      const taken = new Set<number>();
      const refused = await fill(collector.url, taken);
      assert.equal(refused.status, 503);
      assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
      await refused.body?.cancel();
      assert.equal(await readiness(collector.url), 503);
      const full = await statsOf(collector);
      assert.equal(full.accepted.traces, taken.size);
      assert.ok(full.journal.refused > 0);

      // It waits, sends again and waits; meanwhile the vendor comes back.
      const patient = sdkClient(collector.url, 50);
      await statsUntil(collector, ({ journal }) => journal.waiting > 0);
      vendor.behave = () => ({ status: 200 });
      await patient;
      for (const name of ["postgres", "vendor"]) await nothingPending(collector, name);
      assert.equal(await readiness(collector.url), 200);
      const stored = await test.database.query<{ span_id: string }>(
        "select span_id from otel.spans where name not like 'patient %'",
      );
      assert.deepEqual(
        stored.map(({ span_id }) => span_id).sort(),
        [...taken].map(spanId).sort(),
      );
      const [patients] = await test.database.query<{ n: bigint }>(
        "select count(*) as n from otel.spans where name like 'patient %'",
      );
      assert.equal(patients!.n, 50n);
      assert.deepEqual(
        new Set(received(vendor.requests)).size,
        taken.size + 50,
      );
    });

    Deno.test(`a journal that has filled ${what} skips what a forward lacks if that may be, and the database has all`, async () => {
      await using test = await testDatabase("postgres");
      await using data = await folder(onSmallDisk);
      await using vendor = await misbehavingServer(() => "hangs");
      await using collector = await startCollector({
        env: { DATABASE_URL: test.url },
        dataDir: data.path,
        args: ["--forward", `vendor=${vendor.url}`, "--forward-overflow", "skip", ...args],
      });
      const taken = new Set<number>();
      // Several times what there is room for.
      for (let round = 0; round < 400; round++) {
        const { ids, body } = request(taken.size + 1);
        await sendSpans(collector.url, body);
        for (const id of ids) taken.add(id);
      }
      const stats = await nothingPending(collector);
      const [row] = await test.database.query<{ n: bigint }>(
        "select count(distinct span_id) as n from otel.spans",
      );
      assert.equal(row!.n, BigInt(taken.size));
      const [database, forward] = [spansOf(stats), spansOf(stats, "vendor")];
      assert.deepEqual([database.delivered, database.skipped], [taken.size, 0]);
      assert.ok(forward.skipped > 0);
      assert.equal(forward.skipped + forward.pending, taken.size);
    });
  }
}

/** The span ids in what a vendor took. */
function received(requests: readonly { readonly body: Uint8Array }[]): string[] {
  return requests.flatMap(({ body }) =>
    oracleDecode("traces", body).resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map(({ spanId }) => String(spanId)))
    )
  );
}

if (!mounts) {
  Deno.test.ignore(
    "a journal that has filled its disk (needs the right to mount a small one)",
    () => {},
  );
}
