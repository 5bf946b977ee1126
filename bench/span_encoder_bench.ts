/**
 * Spans of the SDK encoded by us, against the serializers of the official exporters. Goal: at least
 * twice as fast as the one to protobuf.
 */

import assert from "node:assert/strict";
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { SpanEncoder } from "../src/sdk_span_encoder.ts";
import { spansOf } from "./exporter_program.ts";

const spans = spansOf(512);
const encoder = new SpanEncoder();
const group = `a batch of ${spans.length} spans`;

Deno.bench({ name: "our encoder", group, baseline: true }, () => {
  assert.ok(encoder.serializeRequest(spans).length > 0);
});

Deno.bench({ name: "the official serializer to protobuf", group }, () => {
  assert.ok(ProtobufTraceSerializer.serializeRequest(spans)!.length > 0);
});

Deno.bench({ name: "the official serializer to JSON", group }, () => {
  assert.ok(JsonTraceSerializer.serializeRequest(spans)!.length > 0);
});
