import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { seeded, traceBodies } from "../bench/telemetry.ts";
import { WIRE } from "../src/protobuf_wire.ts";
import { WireWriter } from "../src/protobuf_writer.ts";
import { statsOf } from "./collector_ledger.ts";
import { type RunningCollector, startCollector } from "./collector_process.ts";

const MiB = 1024 * 1024;
/** What the collector may grow by, whatever is sent to it: its budgets and garbage not yet collected. */
const MAY_GROW_BY = 384 * MiB;

/** What a collector may take whose destinations are all down, with a Postgres as its database. */
const MAY_TAKE = 300_000_000;
/** Bytes of its journal: `FULL_JOURNAL_MIB=1024` fills one of the default size. */
const JOURNAL_BYTES = Number(Deno.env.get("FULL_JOURNAL_MIB") ?? 192) * MiB;

/** The most memory a process ever had, in bytes. */
async function peakOf({ pid }: RunningCollector): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024;
}

/** A valid request of about `size` bytes that stores nothing: they are a field nobody knows. */
function ballast(size: number): Uint8Array {
  const writer = new WireWriter();
  writer.tag(100, WIRE.bytes);
  writer.bytes(new Uint8Array(size));
  return writer.finish();
}

/** Sends a body piece by piece, and returns the status of the answer. */
async function sendSlowly(url: string, body: Uint8Array, headers: string): Promise<number> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  let answer = "";
  socket.setEncoding("latin1");
  socket.on("data", (text) => answer += text);
  const closed = once(socket, "close");
  socket.write(
    "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n" +
      `content-type: application/x-protobuf\r\n${headers}\r\n`,
  );
  const chunked = headers.startsWith("transfer-encoding");
  for (let at = 0; at < body.length; at += 65_536) {
    const piece = body.subarray(at, at + 65_536);
    if (chunked) socket.write(`${piece.length.toString(16)}\r\n`);
    if (!socket.write(piece)) await once(socket, "drain");
    if (chunked) socket.write("\r\n");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (chunked) socket.write("0\r\n\r\n");
  await closed;
  return Number(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1]);
}

async function growth(attack: (url: string) => Promise<void>): Promise<number> {
  const dataDir = await Deno.makeTempDir({ prefix: "otel-storage-" });
  try {
    await using collector = await startCollector({ dataDir });
    const before = await peakOf(collector);
    await attack(collector.url);
    const after = await peakOf(collector);
    const response = await fetch(`${collector.url}/readyz`);
    assert.deepEqual([response.status, await response.json()], [200, { status: "ready" }]);
    return after - before;
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

// Only Linux tells the most memory that another process had.
if (Deno.build.os === "linux") {
  for (
    const [what, header] of [
      ["declare their length", (length: number) => `content-length: ${length}\r\n`],
      ["do not declare their length", () => "transfer-encoding: chunked\r\n"],
    ] as const
  ) {
    Deno.test(`200 senders of 4 MiB at once that ${what} fit into the memory they may have`, async () => {
      const body = ballast(4 * MiB);
      const grown = await growth(async (url) => {
        const statuses = await Promise.all(
          Array.from({ length: 200 }, () => sendSlowly(url, body, header(body.length))),
        );
        assert.deepEqual(statuses, Array(200).fill(200));
      });
      assert.ok(grown < MAY_GROW_BY, `grew by ${Math.round(grown / MiB)} MiB`);
    });
  }

  Deno.test("40 gzip bombs at once fit into the memory they may have", async () => {
    const bomb = gzipSync(new Uint8Array(512 * MiB), { level: 9 });
    const grown = await growth(async (url) => {
      const header = `content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n`;
      const statuses = await Promise.all(
        Array.from({ length: 40 }, () => sendSlowly(url, bomb, header)),
      );
      assert.deepEqual(statuses, Array(40).fill(413));
    });
    assert.ok(grown < MAY_GROW_BY, `grew by ${Math.round(grown / MiB)} MiB`);
  });

  Deno.test("a collector whose destinations are all down fits into its memory until its journal is full, and then", async () => {
    const dataDir = await Deno.makeTempDir({ prefix: "otel-storage-" });
    try {
      await using collector = await startCollector({
        dataDir,
        args: ["--database", "postgres://nobody@127.0.0.1:1/nowhere"]
          .concat("--forward", "vendor=http://127.0.0.1:1")
          .concat("--journal-max-bytes", String(JOURNAL_BYTES)),
      });
      const slow = Array.from({ length: 200 }, () => {
        const body = ballast(4 * MiB);
        return sendSlowly(collector.url, body, `content-length: ${body.length}\r\n`);
      });
      let isFilling = true;
      const ledger = (async () => {
        // Its equations are looked at each time.
        for (; isFilling; await new Promise((resolve) => setTimeout(resolve, 100))) {
          await statsOf(collector);
        }
      })();
      const statuses = await fillUntilRefused(collector.url).finally(() => isFilling = false);
      await ledger;
      assert.deepEqual([...statuses].sort(), [200, 503]);
      assert.ok((await Promise.all(slow)).every((status) => [200, 503].includes(status)));
      const peak = await peakOf(collector);
      console.log(`it took ${Math.round(peak / 1e6)} MB at most`);
      assert.ok(peak < MAY_TAKE, `it took ${Math.round(peak / 1e6)} MB`);
    } finally {
      await Deno.remove(dataDir, { recursive: true });
    }
  });
}

/** Sends spans over some connections until each was refused; returns the statuses there were. */
async function fillUntilRefused(url: string): Promise<Set<number>> {
  const statuses = new Set<number>();
  let round = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let status = 200; status === 200;) {
      // Of each round its own time: no two bodies are the same.
      const [body] = traceBodies(1, 512, BigInt(Date.now()) * 1_000_000n, seeded(++round));
      const response = await fetch(`${url}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/x-protobuf" },
        body: body as Uint8Array<ArrayBuffer>,
      });
      await response.body?.cancel();
      statuses.add(status = response.status);
    }
  }));
  return statuses;
}
