/**
 * The OpenTelemetry JS SDK as a client: every field that it sends is stored, and SQL finds what the
 * program said.
 */

import assert from "node:assert/strict";
import type { Signal } from "../src/record.ts";
import { canonicalise } from "./canonical.ts";
import { drivers } from "./postgres.ts";
import { type RecordingServer, requestOf, startServer } from "./recording_server.ts";
import { exportersTo, type Sending } from "./sdk_exporters.ts";
import { checkLogs } from "./sdk_logs.ts";
import { checkPoints } from "./sdk_points.ts";
import { runProgram } from "./sdk_program.ts";
import { checkSpans } from "./sdk_spans.ts";

for (const driver of drivers) {
  for (const encoding of ["protobuf", "json"] as const) {
    for (const compression of ["none", "gzip"] as const) {
      const how = compression === "gzip" ? `${encoding} and gzip` : encoding;
      Deno.test(`all that the OpenTelemetry SDK sends by ${how} is in ${driver}`, async () => {
        const sending = { encoding, compression };
        await using server = await startServer(driver);
        const run = await runProgram("shop-api", exportersTo(server.url, sending));
        checkExchanges(server, sending);
        for (const signal of ["traces", "logs", "metrics"] as const) {
          await checkEveryField(signal, server, sending);
        }
        await checkSpans(server, run, sending);
        await checkLogs(server, run, sending);
        await checkPoints(server, sending);
      });
    }
  }
}

/** NaN and the infinities are `null` in this SDK's JSON: two points a collection have no value. */
function rejected(of: number): string {
  return '{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":' +
    `"2 of ${of} data points rejected, the first one because it has no value"}}`;
}

function checkExchanges({ exchanges }: RecordingServer, { encoding, compression }: Sending): void {
  const [type, none] = encoding === "json"
    ? ["application/json", "{}"]
    : ["application/x-protobuf", ""];
  const gzip = compression === "gzip" ? "gzip" : "";
  const some = (of: number) => encoding === "json" ? rejected(of) : none;
  assert.deepEqual(
    exchanges.map(({ signal, contentType, contentEncoding, status, answer }) =>
      [signal, contentType, contentEncoding, status, answer].join(" ")
    ).sort(),
    [
      `traces ${type} ${gzip} 200 ${none}`,
      `logs ${type} ${gzip} 200 ${none}`,
      // Two collections, each with both temporalities.
      `metrics ${type} ${gzip} 200 ${some(16)}`,
      `metrics ${type} ${gzip} 200 ${some(16)}`,
      `metrics ${type} ${gzip} 200 ${some(16)}`,
      `metrics ${type} ${gzip} 200 ${some(12)}`,
    ].sort(),
  );
}

const RECORDS: Readonly<Record<Signal, number>> = { traces: 6, logs: 54, metrics: 60 };

/** What the store gives back equals what the oracle reads in what was sent. */
async function checkEveryField(
  signal: Signal,
  { exchanges, adapter }: RecordingServer,
  { encoding }: Sending,
): Promise<void> {
  const sent = exchanges.filter((exchange) => exchange.signal === signal)
    .flatMap((exchange) => canonicalise(signal, requestOf(signal, exchange))).sort();
  const without = signal === "metrics" && encoding === "json" ? 8 : 0;
  assert.equal(sent.length, RECORDS[signal] - without);
  assert.deepEqual(canonicalise(signal, await adapter.exportStored(signal)), sent);
}
