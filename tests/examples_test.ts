/** The examples, each started by the command at its top: what it promises is then in both places. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Signal } from "../src/record.ts";
import { canonicalise } from "./canonical.ts";
import { OTelStorageAdapter } from "../src/adapter.ts";
import { drivers, testDatabase } from "./postgres.ts";
import { type RecordingServer, requestOf, startServer } from "./recording_server.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const ROOT = new URL("../", import.meta.url);
const SIGNALS = ["traces", "logs", "metrics"] as const;
const ignore = !drivers.includes("postgres");

/** The arguments of `deno` in the command at the top of an example. */
async function commandOf(example: string, folder: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(`examples/${example}`, ROOT));
  const [, command] = /^ \* {5}deno (run .+)$/m.exec(text)!;
  return command!.split(" ").map((word) =>
    word === `examples/${example}`
      ? fileURLToPath(new URL(word, ROOT))
      : word.replace(/=data$/, `=${folder}`)
  );
}

/** Starts an example in an environment that has nothing else. */
async function start(example: string, url: string, endpoint: string, folder: string) {
  const inherited = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"]
    .map((name) => [name, Deno.env.get(name)] as const)
    .filter((entry): entry is [string, string] => entry[1] !== undefined);
  const [run, ...rest] = await commandOf(example, folder);
  return new Deno.Command(Deno.execPath(), {
    args: [run!, "--quiet", "--no-prompt", ...rest],
    clearEnv: true,
    env: {
      ...Object.fromEntries(inherited),
      DATABASE_URL: url,
      DATA_DIR: folder,
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      PORT: "0",
      NO_COLOR: "1",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function sentTo(other: RecordingServer, signal: Signal): string[] {
  return other.exchanges.filter((exchange) => exchange.signal === signal)
    .flatMap((exchange) => canonicalise(signal, requestOf(signal, exchange))).sort();
}

/** What both places have, which has to be the same, as many records as are expected of each signal. */
async function bothHave(
  url: string,
  other: RecordingServer,
  counts: Partial<Record<Signal, number>>,
): Promise<OTelStorageAdapter> {
  const adapter = new OTelStorageAdapter({ connectionString: url });
  await adapter.init();
  for (const signal of SIGNALS) {
    const stored = canonicalise(signal, await adapter.exportStored(signal));
    // Each reader of metrics has collected at its own moment.
    if (signal === "metrics") assert.equal(stored.length, counts[signal] ?? 0);
    else assert.deepEqual(stored, sentTo(other, signal));
    assert.equal(sentTo(other, signal).length, counts[signal] ?? 0, signal);
  }
  return adapter;
}

Deno.test({
  name: "examples/app.ts has its telemetry in Postgres and at the other destination",
  ignore,
  async fn() {
    await using test = await testDatabase("postgres");
    await using other = await startServer("pglite");
    await using data = await temporaryFolder();
    const child = await start("app.ts", test.url!, other.url, data.path);
    const listening = Promise.withResolvers<string>();
    const output = (async () => {
      let text = "";
      for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += piece;
        const [, at] = /(http:\/\/127\.0\.0\.1:\d+)/.exec(text) ?? [];
        if (at !== undefined) listening.resolve(at);
      }
    })();
    const errors = new Response(child.stderr).text();
    errors.then((text) => listening.reject(new Error(text)));
    const app = await listening.promise;
    for (const path of ["/orders/7", "/orders/8", "/nothing"]) {
      await (await fetch(app + path)).body?.cancel();
    }
    child.kill("SIGTERM");
    const { code } = await child.status;
    await output;
    assert.equal(code, 143, await errors);
    // Two attributes of one counter are two points.
    await using _stored = await bothHave(test.url!, other, { traces: 3, logs: 3, metrics: 2 });
    assert.deepEqual(
      await test.database.query(
        `select s.attributes ->> 'order.id' as id, s.status, l.message from otel.spans s
         join otel.logs l using (trace_id) where s.service_name = 'orders' order by 1`,
      ),
      [
        { id: "7", status: "UNSET", message: "order 7 was read" },
        { id: "8", status: "UNSET", message: "order 8 was read" },
        { id: null, status: "ERROR", message: "nothing is at /nothing" },
      ],
    );
  },
});

Deno.test({
  name: "examples/job.ts ends right after its last span, and all of it is in both places",
  ignore,
  async fn() {
    await using test = await testDatabase("postgres");
    await using other = await startServer("pglite");
    const child = await start("job.ts", test.url!, other.url, "nowhere");
    const { code, stderr } = await child.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stderr), "");
    await using _stored = await bothHave(test.url!, other, { traces: 4, metrics: 2 });
    assert.deepEqual(
      await test.database.query(
        "select name, status, jsonb_array_length(events) as events from otel.spans order by name",
      ),
      [
        { name: "clean inbox", status: "UNSET", events: 0 },
        { name: "clean missing", status: "ERROR", events: 1 },
        { name: "clean outbox", status: "UNSET", events: 0 },
        { name: "clean up", status: "UNSET", events: 0 },
      ],
    );
  },
});

Deno.test({
  name: "examples/migrated.ts exports to Postgres as well",
  ignore,
  async fn() {
    await using test = await testDatabase("postgres");
    await using other = await startServer("pglite");
    const child = await start("migrated.ts", test.url!, other.url, "nowhere");
    const { code, stderr } = await child.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    await using _stored = await bothHave(test.url!, other, { traces: 1 });
  },
});
