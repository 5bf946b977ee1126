/**
 * What SQL has to find of the log records of `sdk_program.ts`.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { RecordingServer } from "./recording_server.ts";
import type { Sending } from "./sdk_exporters.ts";
import { CALLER, everyTypeAsJson, type Run } from "./sdk_program.ts";

/** Checks `otel.logs`. */
export async function checkLogs(
  server: RecordingServer,
  run: Run,
  sending: Sending,
): Promise<void> {
  await checkSeverities(server, run);
  await checkBodies(server, sending);
  await checkException(server);
}

const SEVERITIES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** Every severity, and the span that each record belongs to. */
async function checkSeverities(server: RecordingServer, { second, spans }: Run): Promise<void> {
  assert.deepEqual(
    await server.select(
      `select l.message, l.severity_number, l.severity_text, l.severity,
         l.time_unix_nano::text as time, l.observed_unix_nano::text as observed,
         extract(epoch from l.time)::text as seconds,
         extract(epoch from l.observed_time)::text as observed_seconds, l.event_name, l.flags,
         l.span_id, s.name as span, l.service_name, l.scope_name,
         l.resource_attributes = s.resource_attributes as is_same_resource
       from otel.logs l join otel.spans s using (trace_id, span_id)
       where l.scope_name = 'shop.log' order by l.severity_number`,
    ),
    Array.from({ length: 24 }, (_, i) => ({
      message: `severity ${i + 1}`,
      severity_number: i + 1,
      severity_text: `level ${i + 1}`,
      severity: SEVERITIES[Math.floor(i / 4)],
      time: `${second}${String(i + 1).padStart(9, "0")}`,
      observed: `${second + 1}999999999`,
      seconds: `${second}.000000`,
      observed_seconds: `${second + 1}.999999`,
      event_name: null,
      flags: 1,
      span_id: spans.get("GET /cart")!.spanId,
      span: "GET /cart",
      service_name: "shop-api",
      scope_name: "shop.log",
      is_same_resource: true,
    })),
  );
  const errors = await server.select(
    `select count(*) from otel.logs where severity_number >= 17 and trace_id = '${CALLER.traceId}'`,
  );
  assert.deepEqual(errors, [{ count: 8 + 1 }]);
}

/** Bodies of every type, without a span. */
async function checkBodies(server: RecordingServer, sending: Sending): Promise<void> {
  const expected = everyTypeAsJson(sending);
  const rows = await server.select(
    `select substring(event_name from 6) as name, body, severity_number, severity, severity_text,
       trace_id, span_id
     from otel.logs where event_name like 'body.%' order by event_name collate "C"`,
  );
  assert.deepEqual(
    rows,
    Object.keys(expected).sort().map((name) => ({
      name,
      body: expected[name],
      severity_number: 0,
      severity: "UNSPECIFIED",
      severity_text: null,
      trace_id: null,
      span_id: null,
    })),
  );
  const texts = await server.select(
    `select event_name as name, jsonb_typeof(body) as type, message from otel.logs
     where event_name in ('body.text', 'body.int', 'body.map', 'body.texts', 'body.nothing',
       'without.body')
     order by event_name collate "C"`,
  );
  assert.deepEqual(
    texts,
    [
      ["body.int", "number", "42"],
      ["body.map", "object", '{"a": 1, "b": {"c": ["d"]}}'],
      ["body.nothing", "null", null],
      ["body.text", "string", "Grüße, 世界 👋"],
      ["body.texts", "array", '["a", "", "c"]'],
      // This SDK's JSON has an empty body where there is none.
      ["without.body", sending.encoding === "json" ? "null" : null, null],
    ].map(([name, type, message]) => ({ name, type, message })),
  );
}

async function checkException(server: RecordingServer): Promise<void> {
  assert.deepEqual(
    await server.select(
      `select severity, message, attributes, scope_name,
         replace(trace_id::text, '-', '') as trace_id
       from otel.logs where attributes ? 'exception.type'`,
    ),
    [{
      severity: "ERROR",
      message: "exception",
      attributes: {
        "exception.type": "TypeError",
        "exception.message": "no cart",
        "exception.stacktrace": "TypeError: no cart\n at y",
      },
      scope_name: "plain",
      trace_id: CALLER.traceId,
    }],
  );
}
