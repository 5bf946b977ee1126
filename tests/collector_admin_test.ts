import assert from "node:assert/strict";
import { decodeRequest } from "../src/otlp.ts";
import type { Signal } from "../src/record.ts";
import { runCollector, type RunOptions, startCollector } from "./collector_process.ts";

/** A folder that goes with the test. */
async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "otel-storage-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

interface Vendor extends AsyncDisposable {
  readonly url: string;
  /** What it answers from now on. */
  status: number;
  /** Names of the spans that it took. */
  readonly names: string[];
  /** What it got with them. */
  readonly keys: (string | null)[];
}

/** A destination that answers what the test says. */
function startVendor(): Vendor {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const body = await request.bytes();
      if (vendor.status !== 200) return new Response("no such tenant", { status: vendor.status });
      const signal = new URL(request.url).pathname.slice("/v1/".length) as Signal;
      assert.equal(signal, "traces");
      const { resourceSpans } = decodeRequest("traces", body);
      const spans = resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) => spans)
      );
      vendor.names.push(...spans.map(({ name }) => name));
      vendor.keys.push(request.headers.get("api-key"));
      return new Response();
    },
  );
  const vendor: Vendor = {
    url: `http://127.0.0.1:${server.addr.port}`,
    status: 200,
    names: [],
    keys: [],
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return vendor;
}

async function sendSpan(url: string, name: string): Promise<void> {
  const span = {
    traceId: "5b8efff798038103d269b633813fc60c",
    spanId: "eee19b7ec3c1b174",
    name,
    startTimeUnixNano: "1544712660000000000",
    endTimeUnixNano: "1544712661000000000",
  };
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
  });
  assert.equal(response.status, 200);
  await response.body?.cancel();
}

/** Lines of JSON that a command prints. */
async function ask(options: RunOptions): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await runCollector(options);
  assert.equal(code, 0, stderr);
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

interface Numbers {
  readonly accepted: Record<Signal, number>;
  readonly destinations: readonly (
    & { readonly name: string; readonly state: string }
    & {
      readonly [Term in "accepted" | "delivered" | "pending" | "dead" | "skipped"]: Record<
        Signal,
        number
      >;
    }
  )[];
}

/** The ledger of spans by destination, once nothing is pending; its equation holds each time. */
async function ledger(options: RunOptions): Promise<Record<string, Record<string, number>>> {
  while (true) {
    const [stats] = await ask({ ...options, args: ["stats"] }) as unknown as [Numbers];
    const terms = stats.destinations.map(
      ({ name, accepted, delivered, pending, dead, skipped }) => {
        assert.equal(
          accepted.traces,
          delivered.traces + pending.traces + dead.traces + skipped.traces,
        );
        return [name, {
          pending: pending.traces,
          delivered: delivered.traces,
          dead: dead.traces,
        }] as const;
      },
    );
    if (terms.every(([, { pending }]) => pending === 0)) return Object.fromEntries(terms);
  }
}

Deno.test("what a destination refuses is counted, listed, shown, replayed and dropped, beside the collector and without", async () => {
  await using data = await folder();
  await using vendor = startVendor();
  vendor.status = 400;
  const env = {
    OTEL_STORAGE_FORWARD: `vendor=${vendor.url}`,
    OTEL_STORAGE_FORWARD_HEADERS: "vendor:api-key=k",
  };
  const run = { dataDir: data.path, env };
  const stored = { pending: 0, delivered: 3, dead: 0 };
  const letters = async () => await ask({ ...run, args: ["dead-letters", "list"] });
  {
    await using collector = await startCollector(run);
    for (const name of ["one", "two", "three"]) {
      await sendSpan(collector.url, name);
      await collector.logged("refused for good");
    }
    assert.deepEqual(await ledger(run), {
      postgres: stored,
      vendor: { pending: 0, delivered: 0, dead: 3 },
    });
    const metrics = await (await fetch(`${collector.url}/metrics`)).text();
    assert.match(
      metrics,
      /^otel_storage_destination_dead_records_total\{destination="vendor",signal="traces"\} 3$/m,
    );
    const [first, second, third] = await letters() as [
      Record<string, string>,
      Record<string, string>,
      Record<string, string>,
    ];
    assert.match(first.reason!, /400.*no such tenant/);
    const [shown] = await ask({ ...run, args: ["dead-letters", "show", first.name!] });
    assert.match(JSON.stringify(shown), /"name":"one"/);

    const refused = await runCollector({
      ...run,
      args: ["dead-letters", "replay", second.name!],
    });
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /"outcome":"refused"/);
    assert.match(refused.stderr, /Cannot replay 1 of 1 letter\n$/);

    vendor.status = 200;
    assert.deepEqual(await ask({ ...run, args: ["dead-letters", "replay", first.name!] }), [
      { name: first.name, outcome: "replayed", reason: "" },
    ]);
    assert.deepEqual((await letters()).map(({ name }) => name), [second.name, third.name]);
    collector.signal("SIGTERM");
    assert.equal((await collector.ended).code, 0);
  }
  // The same without a collector; the settings of its destinations are not known to all of them.
  const alone = await runCollector({ dataDir: data.path, args: ["stats"] });
  assert.deepEqual(
    JSON.parse(alone.stdout).destinations.map(({ name }: { name: string }) => name),
    [
      "postgres",
    ],
  );
  assert.doesNotMatch(alone.stderr, /unused cursor/);
  assert.deepEqual((await ledger(run)).vendor, { pending: 0, delivered: 0, dead: 3 });
  const [second, third] = await letters();
  await ask({ ...run, args: ["dead-letters", "replay", "--reason", "tenant", "--limit", "1"] });
  assert.deepEqual([vendor.names, vendor.keys], [["one", "two"], ["k", "k"]]);
  assert.deepEqual((await letters()).map(({ name }) => name), [third!.name]);
  assert.deepEqual(await ask({ ...run, args: ["dead-letters", "drop", "--all"] }), [
    { name: third!.name, outcome: "dropped", reason: "" },
  ]);
  assert.deepEqual(await letters(), []);
  const gone = await runCollector({
    ...run,
    args: ["dead-letters", "show", second!.name as string],
  });
  assert.match(gone.stderr, /^otel-storage: Cannot read the dead letter \S+: no such\n$/);
});

Deno.test("stored history is replayed to a vendor, through the collector and without", async () => {
  await using data = await folder();
  await using vendor = startVendor();
  const replay = (...flags: string[]) => {
    const args = ["replay", "--to", vendor.url, "--header", "api-key=k", ...flags];
    return runCollector({ dataDir: data.path, args });
  };
  const early = await replay();
  assert.match(early.stderr, /^otel-storage: Cannot open \S+\/pglite: .+; start the collector/);
  {
    await using collector = await startCollector({ dataDir: data.path });
    await sendSpan(collector.url, "one");
    await sendSpan(collector.url, "two");
    const sent = await replay();
    assert.deepEqual([sent.code, sent.stdout], [
      0,
      "traces: 2 records sent in 1 request\n" +
      "logs: 0 records sent in 0 requests\nmetrics: 0 records sent in 0 requests\n",
    ], sent.stderr);
    assert.deepEqual(vendor.names.sort(), ["one", "two"]);
    const own = await runCollector({
      dataDir: data.path,
      args: ["replay", "--to", collector.url],
    });
    assert.match(own.stderr, /where this process listens/);
    assert.equal(own.code, 1);
  }
  vendor.names.length = 0;
  const chosen = [
    "--signal",
    "traces",
    "--filter",
    "operation = two",
    "--since",
    "2018-12-13T00:00:00Z",
  ];
  const one = await replay("--json", ...chosen);
  const lines = one.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => Object.keys(line)[0]), ["progress", "result"]);
  assert.equal(lines[1].result.sent, 1);
  assert.deepEqual([vendor.names, new Set(vendor.keys)], [["two"], new Set(["k"])]);

  const late = await replay(...chosen, "--until", "2018-12-13T00:00:01Z");
  assert.equal(late.stdout, "traces: 0 records sent in 0 requests\n");

  vendor.status = 400;
  const refused = await replay("--signal", "traces");
  assert.equal(refused.code, 1);
  assert.match(
    refused.stdout,
    /^traces: 0 records sent in 1 request, 2 refused\n {2}2: .*400.*\n$/,
  );
  assert.match(
    refused.stderr,
    /Cannot replay everything: 2 records not taken by 127\.0\.0\.1:\d+\n$/,
  );

  vendor.status = 401;
  const unset = await replay("--signal", "traces");
  assert.equal(unset.code, 1);
  assert.match(unset.stderr, /Cannot replay traces: .*401.*None of the traces were sent/);
});
