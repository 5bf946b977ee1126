/** A collector whose journal fills: it holds requests, refuses them, and loses nothing it took. */

import assert from "node:assert/strict";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { type RunningCollector, startCollector } from "./collector_process.ts";
import { misbehavingServer } from "./misbehaving_server.ts";
import { oracleDecode } from "./oracle.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { numbers, spanId, spans } from "./requests.ts";

const MiB = 1024 * 1024;
/** Of each request here, so that a few fill a journal. */
const NAME = "x".repeat(1000);

interface Counts {
  readonly traces: number;
}

interface Stats {
  readonly received: Counts;
  readonly rejected: Counts;
  readonly duplicates: Counts;
  readonly accepted: Counts;
  readonly journal: { readonly refused: number; readonly waiting: number };
  readonly destinations: readonly {
    readonly name: string;
    readonly accepted: Counts;
    readonly delivered: Counts;
    readonly pending: Counts;
    readonly dead: Counts;
    readonly skipped: Counts;
  }[];
}

/** The numbers of a collector, which fit together. */
async function statsOf({ url }: RunningCollector): Promise<Stats> {
  const stats: Stats = await (await fetch(`${url}/api/stats`)).json();
  const { received, rejected, duplicates, accepted } = stats;
  assert.equal(received.traces, rejected.traces + duplicates.traces + accepted.traces);
  for (const { accepted, delivered, pending, dead, skipped } of stats.destinations) {
    const parts = delivered.traces + pending.traces + dead.traces + skipped.traces;
    assert.equal(accepted.traces, parts);
  }
  return stats;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

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
    const response = await post(url, body);
    if (response.status !== 200) return response;
    await response.body?.cancel();
    for (const id of more) ids.add(id);
  }
}

async function post(url: string, body: Uint8Array): Promise<Response> {
  return await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: body as Uint8Array<ArrayBuffer>,
  });
}

/** A folder that goes with the test; on a small disk of its own if a size is given. */
async function folder(diskBytes?: number): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "otel-storage-" });
  if (diskBytes !== undefined) {
    await run("mount", "-t", "tmpfs", "-o", `size=${diskBytes}`, "tmpfs", path);
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      if (diskBytes !== undefined) await run("umount", path);
      await Deno.remove(path, { recursive: true });
    },
  };
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
}

/** Whether small disks can be made here. */
async function canMount(): Promise<boolean> {
  try {
    await using _disk = await folder(MiB);
    return true;
  } catch {
    return false;
  }
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

const mounts = await canMount();
if (!mounts && Deno.env.get("CI")) console.error("No small disk can be made here: not root?");

/** What fills, the folder it needs, and how space comes back. */
interface Filling {
  readonly what: string;
  readonly disk?: number;
  readonly args: readonly string[];
}

const FILLINGS: readonly Filling[] = [
  { what: "its bound", args: ["--journal-max-bytes", String(4 * MiB)] },
  ...mounts ? [{ what: "its disk", disk: 16 * MiB, args: [] }] : [],
];

if (drivers.includes("postgres")) {
  for (const { what, disk, args } of FILLINGS) {
    Deno.test(`a journal that has filled ${what} holds requests, then refuses them, and loses nothing`, async () => {
      await using test = await testDatabase("postgres");
      await using data = await folder(disk);
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
      const full = await statsOf(collector);
      assert.equal(full.accepted.traces, taken.size);
      assert.ok(full.journal.refused > 0);

      // It waits, sends again and waits; meanwhile the vendor comes back.
      const patient = sdkClient(collector.url, 50);
      await until(async () => (await statsOf(collector)).journal.waiting > 0);
      vendor.behave = () => ({ status: 200 });
      await patient;
      await until(async () => {
        const { destinations } = await statsOf(collector);
        return destinations.every(({ pending }) => pending.traces === 0);
      });
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
      await using data = await folder(disk);
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
        const response = await post(collector.url, body);
        await response.body?.cancel();
        assert.equal(response.status, 200);
        for (const id of ids) taken.add(id);
      }
      await until(async () => {
        const { destinations: [database] } = await statsOf(collector);
        return database!.pending.traces === 0;
      });
      const [row] = await test.database.query<{ n: bigint }>(
        "select count(distinct span_id) as n from otel.spans",
      );
      assert.equal(row!.n, BigInt(taken.size));
      const { destinations: [database, forward] } = await statsOf(collector);
      assert.deepEqual([database!.delivered.traces, database!.skipped.traces], [taken.size, 0]);
      assert.ok(forward!.skipped.traces > 0);
      assert.equal(forward!.skipped.traces + forward!.pending.traces, taken.size);
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
  Deno.test({
    name: "a journal that has filled its disk: needs the right to mount a small one",
    ignore: true,
    fn: () => {},
  });
}
