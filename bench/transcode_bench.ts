/**
 * Transcoding to COPY tuples against only decoding the same bytes with protobufjs, which is where the
 * usual way to a database begins. Goal: at least 4 times as fast.
 */

import assert from "node:assert/strict";
import { Batch } from "../src/postgres/batch.ts";
import { Dimensions } from "../src/postgres/dimensions.ts";
import { Transcoder } from "../src/postgres/transcode.ts";
import { oracleType } from "../tests/oracle.ts";
import { traceBodies } from "./telemetry.ts";

const type = oracleType("ExportTraceServiceRequest");

// What an SDK sends by itself; what is stored at a time when many do; what a collector sends.
for (const [requests, spans] of [[1, 512], [16, 512], [1, 8192]] as const) {
  const bodies = traceBodies(requests, spans, 1_790_000_000_000_000_000n);
  const group = `${requests} request(s) of ${spans} spans`;
  const transcoder = new Transcoder(new Dimensions());
  const batch = new Batch();

  Deno.bench({ name: "transcode to COPY tuples", group, baseline: true }, () => {
    batch.clear();
    for (const body of bodies) transcoder.transcode("traces", body, 0n, batch);
    assert.equal(batch.count, requests * spans);
  });

  Deno.bench({ name: "protobufjs decode only", group }, () => {
    const decoded = bodies.map((body) => type.decode(body));
    assert.equal(decoded.length, requests);
  });
}
