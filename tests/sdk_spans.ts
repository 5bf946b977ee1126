/**
 * What SQL has to find of the spans of `sdk_program.ts`.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { RecordingServer } from "./recording_server.ts";
import type { Sending } from "./sdk_exporters.ts";
import { CALLER, everyTypeAsJson, type Run } from "./sdk_program.ts";

/** Checks `otel.spans`. */
export async function checkSpans(
  server: RecordingServer,
  run: Run,
  sending: Sending,
): Promise<void> {
  await checkColumns(server, run);
  await checkAttributes(server, sending);
  await checkEventsAndLinks(server, run);
  await checkDropped(server, run);
}

async function checkColumns(server: RecordingServer, { second, spans }: Run): Promise<void> {
  const rows = await server.select(
    `select name, kind, status, status_message, start_unix_nano::text as start, duration_ns,
       duration_ms, replace(trace_id::text, '-', '') as trace_id, span_id, parent_span_id, flags,
       trace_state, scope_name, scope_version, service_name, service_namespace,
       extract(epoch from start_time)::text as start_time,
       extract(epoch from end_time)::text as end_time, resource_attributes
     from otel.spans order by start_unix_nano`,
  );
  const root = spans.get("GET /cart")!;
  assert.equal(root.traceId, CALLER.traceId);
  const span = (
    name: string,
    [kind, status, status_message]: [string, string, string | null],
    [offset, startNanos, durationNanos]: [seconds: number, startNanos: number, length: number],
    [scope_name, scope_version]: [string, string | null],
    parent_span_id: string | null,
  ) => {
    const nanos = (BigInt(second + offset) * 1_000_000_000n) + BigInt(startNanos);
    // Times are to the microsecond, cut off.
    const seconds = (nanos: bigint) =>
      `${nanos / 1_000_000_000n}.${String(nanos / 1000n % 1_000_000n).padStart(6, "0")}`;
    const isOfCaller = name !== "consume" && name !== "";
    return {
      name,
      kind,
      status,
      status_message,
      start: String(nanos),
      duration_ns: durationNanos,
      duration_ms: durationNanos / 1e6,
      trace_id: isOfCaller ? CALLER.traceId : spans.get(name)!.traceId,
      span_id: spans.get(name)!.spanId,
      parent_span_id,
      // Sampled; whether the parent is remote is known; it is.
      flags: name === "GET /cart" ? 0x301 : 0x101,
      trace_state: isOfCaller ? CALLER.traceState!.serialize() : null,
      scope_name,
      scope_version,
      service_name: "shop-api",
      service_namespace: "shop",
      start_time: seconds(nanos),
      end_time: seconds(nanos + BigInt(durationNanos)),
      resource_attributes: {
        "service.name": "shop-api",
        "service.namespace": "shop",
        "host.cpus": 8,
        "host.load": 0.25,
        "host.virtual": true,
        "host.ip": ["10.0.0.1", "fe80::1"],
      },
    };
  };
  const http: [string, string] = ["shop.http", "1.4.2"];
  const queue: [string, null] = ["shop.queue", null];
  assert.deepEqual(rows, [
    span("GET /cart", ["SERVER", "OK", null], [0, 123_456_789, 1_864_197_532], http, CALLER.spanId),
    span("price", ["INTERNAL", "UNSET", null], [0, 200_000_000, 1], http, root.spanId),
    span(
      "SELECT carts",
      ["CLIENT", "ERROR", "deadlock detected"],
      [0, 300_000_000, 1_000_000],
      http,
      root.spanId,
    ),
    span("publish", ["PRODUCER", "ERROR", null], [0, 400_000_000, 0], queue, root.spanId),
    span("consume", ["CONSUMER", "UNSET", null], [2, 0, 1_000], queue, null),
    span("", ["INTERNAL", "UNSET", null], [3, 0, 1_000_000_000], http, null),
  ]);
}

async function checkAttributes(server: RecordingServer, sending: Sending): Promise<void> {
  const expected = everyTypeAsJson(sending);
  const everywhere = await server.select(
    `select attributes from otel.spans where name = 'price'
     union all select attributes from otel.logs where message = 'attributes'
     union all select attributes from otel.metric_points
       where metric_name = 'orders' and attributes ? 'text'`,
  );
  const points = 3;
  assert.deepEqual(everywhere, Array(2 + points).fill({ attributes: expected }));
  assert.deepEqual(
    await server.select(`select attributes->>'text' as text, attributes->>'int' as int,
         attributes->>'int.large' as large, attributes->>'true' as bool,
         attributes->>'double' as double, attributes->'texts'->>2 as texts,
         attributes->'map'->'b'->'c'->>0 as map, jsonb_typeof(attributes->'nothing') as nothing
       from otel.spans where attributes @> '{"int": 42, "map": {"a": 1}}'`),
    [{
      text: "Grüße, 世界 👋",
      int: "42",
      // JavaScript writes no more digits than it takes to tell doubles apart.
      large: sending.encoding === "json" ? "-4611686018427388000" : "-4611686018427387904",
      bool: "true",
      double: "0.1",
      texts: "c",
      map: "d",
      nothing: "null",
    }],
  );
}

async function checkEventsAndLinks(server: RecordingServer, run: Run): Promise<void> {
  assert.deepEqual(
    await server.select(`select jsonb_array_length(events) as length, events->0->>'name' as name,
         events->0->>'timeUnixNano' as time, events->0->'attributes'->>'attempt' as attempt,
         events->0->'attributes'->'hosts'->>1 as host, events->1->>'name' as empty,
         events->2->>'name' as exception,
         events->2->'attributes'->>'exception.type' as type,
         events->2->'attributes'->>'exception.message' as message,
         events->2->'attributes'->>'exception.stacktrace' as stacktrace
       from otel.spans where name = 'SELECT carts'`),
    [{
      length: 3,
      name: "retry",
      time: `${run.second}300500000`,
      attempt: "2",
      host: "b",
      empty: "",
      exception: "exception",
      type: "RangeError",
      message: "deadlock detected",
      stacktrace: "RangeError: …\n at x",
    }],
  );
  assert.deepEqual(
    await server.select(`select jsonb_array_length(s.links) as length, linked.name,
         s.links->0->>'spanId' = linked.span_id as is_same,
         s.links->0->'attributes'->'messaging.batch' as batch, s.links->0->>'flags' as flags,
         s.links->1->>'traceId' as trace_id, s.links->1->>'spanId' as span_id,
         s.links->1->>'traceState' as trace_state, s.links->1->>'flags' as remote_flags
       from otel.spans s
       join otel.spans linked on linked.trace_id = (s.links->0->>'traceId')::uuid
       where s.name = 'consume' and linked.kind = 'PRODUCER'`),
    [{
      length: 2,
      name: "publish",
      is_same: true,
      batch: 1,
      flags: String(0x101),
      trace_id: CALLER.traceId,
      span_id: CALLER.spanId,
      trace_state: CALLER.traceState!.serialize(),
      remote_flags: String(0x301),
    }],
  );
}

/** What the SDK's limits cut off is counted. */
async function checkDropped(server: RecordingServer, { spans }: Run): Promise<void> {
  const [{ record: span }, ...others] = await server.adapter.getTrace(spans.get("")!.traceId) as [
    Awaited<ReturnType<typeof server.adapter.getTrace>>[number],
  ];
  assert.equal(others.length, 0);
  const { attributes, events, links } = span;
  assert.deepEqual([attributes.length, span.droppedAttributesCount], [30, 7]);
  assert.deepEqual([events.length, span.droppedEventsCount], [3, 2]);
  assert.deepEqual([links.length, span.droppedLinksCount], [3, 2]);
  for (const part of [...events, ...links]) {
    assert.deepEqual([part.attributes.length, part.droppedAttributesCount], [3, 1]);
  }
  const [log] = (await server.adapter.getLogs({})).filter(({ record }) =>
    record.body?.stringValue === "too much"
  );
  assert.deepEqual([log?.record.attributes.length, log?.record.droppedAttributesCount], [30, 7]);
}
