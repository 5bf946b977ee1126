/**
 * What an exported span costs the program it comes from, in CPU: by our exporter, all the way until
 * Postgres has it, against the official OTLP exporter with a sink on this machine. The servers are
 * processes of their own, and not counted. The goal: at most as much.
 *
 *     deno task bench:exporter [rounds]
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ownPostgresServer } from "../tools/postgres_server.ts";
import { type Kind, KINDS } from "./exporter_program.ts";
import { spreadOf } from "./table.ts";

const [rounds = 5] = Deno.args.map(Number);
const program = fileURLToPath(new URL("exporter_program.ts", import.meta.url));
const kinds = Object.keys(KINDS) as Kind[];

const started = await ownPostgresServer();
if (started === undefined) throw new Error("Cannot measure: there are no binaries of Postgres");
await using server = started;
const sink = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (request) => {
    await request.arrayBuffer();
    return new Response("{}", { headers: { "content-type": "application/json" } });
  },
);

async function microsOf(kind: Kind): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "otel-storage-bench-" });
  // Where nothing listens a journal is as far as it goes.
  const url = kind === "otlp" || kind === "protobuf"
    ? `http://127.0.0.1:${sink.addr.port}`
    : kind === "journal"
    ? "postgres://127.0.0.1:1/nowhere"
    : server.url;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", "--v8-flags=--expose-gc", program, kind, url, folder],
    stdin: "null",
  }).output();
  await Deno.remove(folder, { recursive: true });
  if (!success) throw new Error(`Cannot measure ${kind}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout)).micros;
}

const measured: Record<Kind, number[]> = {
  otlp: [],
  protobuf: [],
  disk: [],
  memory: [],
  journal: [],
};
for (let round = 0; round < rounds; round++) {
  // Each in turn is the first.
  for (let n = 0; n < kinds.length; n++) {
    const kind = kinds[(round + n) % kinds.length]!;
    measured[kind].push(await microsOf(kind));
  }
  console.log(
    `round ${round + 1}: ${kinds.map((kind) => `${kind} ${measured[kind][round]!.toFixed(1)}`)}`,
  );
}
await sink.shutdown();

for (const kind of kinds) {
  const { median } = spreadOf(measured[kind]);
  const ratio = spreadOf(measured[kind].map((micros, n) => micros / measured.otlp[n]!));
  const range = `${ratio.median.toFixed(2)} [${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}]`;
  console.log(`${KINDS[kind].padEnd(58)} ${median.toFixed(1).padStart(5)} us a span  ${range}`);
}
