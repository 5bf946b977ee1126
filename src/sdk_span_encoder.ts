/**
 * Spans of the SDK to OTLP in protobuf, in one pass and into memory that is used again.
 *
 * What the official `ProtobufTraceSerializer` writes says the same, field for field; it measures all
 * before it writes it, and makes an array of bytes for each id.
 *
 * Source: opentelemetry/proto/trace/v1/trace.proto
 *
 * @module
 */

import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { WIRE } from "./protobuf_wire.ts";
import { WireWriter } from "./protobuf_writer.ts";

type Event = ReadableSpan["events"][number];
type Link = ReadableSpan["links"][number];
type Scope = ReadableSpan["instrumentationScope"] & {
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
};
type Attributes = { readonly [key: string]: unknown };
type HrTime = readonly [seconds: number, nanos: number];
type SpansOfResource = Map<ReadableSpan["instrumentationScope"], ReadableSpan[]>;

/** Whether the parent is remote is known; it is. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/** Lengths of spans mostly take two bytes. */
const SPAN_ROOM = 2;
/** Those of what holds many of them. */
const SPANS_ROOM = 3;

/** Writes requests, one after the other. */
export class SpanEncoder {
  readonly #writer = new WireWriter();

  /**
   * An `ExportTraceServiceRequest`. Spans of one resource object come together, and of these those of
   * one scope object.
   *
   * @throws What reading a span throws.
   */
  serializeRequest(spans: readonly ReadableSpan[]): Uint8Array {
    const writer = this.#writer;
    writer.clear();
    for (const [resource, scopes] of grouped(spans)) {
      writer.tag(1, WIRE.bytes);
      const mark = writer.open(SPANS_ROOM);
      writer.tag(1, WIRE.bytes);
      const resourceMark = writer.open();
      attributes(writer, 1, resource.attributes);
      writer.close(resourceMark);
      for (const [scope, ended] of scopes) {
        writer.tag(2, WIRE.bytes);
        const mark = writer.open(SPANS_ROOM);
        writer.tag(1, WIRE.bytes);
        scopeMessage(writer, scope);
        for (const span of ended) {
          writer.tag(2, WIRE.bytes);
          spanMessage(writer, span);
        }
        text(writer, 3, scope.schemaUrl);
        writer.close(mark, SPANS_ROOM);
      }
      text(writer, 3, resource.schemaUrl);
      writer.close(mark, SPANS_ROOM);
    }
    return writer.finish();
  }
}

function grouped(spans: readonly ReadableSpan[]): Map<ReadableSpan["resource"], SpansOfResource> {
  const resources = new Map<ReadableSpan["resource"], SpansOfResource>();
  for (const span of spans) {
    const { resource, instrumentationScope } = span;
    let scopes = resources.get(resource);
    if (scopes === undefined) resources.set(resource, scopes = new Map());
    const ended = scopes.get(instrumentationScope);
    if (ended === undefined) scopes.set(instrumentationScope, [span]);
    else ended.push(span);
  }
  return resources;
}

function scopeMessage(writer: WireWriter, scope: Scope): void {
  const mark = writer.open();
  text(writer, 1, scope.name);
  text(writer, 2, scope.version);
  attributes(writer, 3, scope.attributes);
  count(writer, 4, scope.droppedAttributesCount);
  writer.close(mark);
}

function spanMessage(writer: WireWriter, span: ReadableSpan): void {
  const mark = writer.open(SPAN_ROOM);
  const context = span.spanContext();
  const parent = span.parentSpanContext;
  identity(writer, context);
  if (parent?.spanId) {
    writer.tag(4, WIRE.bytes);
    writer.hex(parent.spanId);
  }
  text(writer, 5, span.name);
  // OTLP has a kind more, for those that say none.
  count(writer, 6, (span.kind ?? -1) + 1);
  time(writer, 7, span.startTime);
  time(writer, 8, span.endTime);
  attributes(writer, 9, span.attributes);
  count(writer, 10, span.droppedAttributesCount);
  for (const event of span.events) {
    writer.tag(11, WIRE.bytes);
    eventMessage(writer, event);
  }
  count(writer, 12, span.droppedEventsCount);
  for (const link of span.links) {
    writer.tag(13, WIRE.bytes);
    linkMessage(writer, link);
  }
  count(writer, 14, span.droppedLinksCount);
  // Its message is there also where it says nothing: that is how unset differs from absent.
  const { status } = span;
  writer.tag(15, WIRE.bytes);
  const statusMark = writer.open();
  text(writer, 2, status.message);
  count(writer, 3, status.code);
  writer.close(statusMark);
  flags(writer, 16, context.traceFlags, parent?.isRemote);
  writer.close(mark, SPAN_ROOM);
}

function eventMessage(writer: WireWriter, event: Event): void {
  const mark = writer.open();
  time(writer, 1, event.time);
  text(writer, 2, event.name);
  attributes(writer, 3, event.attributes);
  count(writer, 4, event.droppedAttributesCount);
  writer.close(mark);
}

function linkMessage(writer: WireWriter, link: Link): void {
  const mark = writer.open();
  const { traceFlags, isRemote } = link.context;
  identity(writer, link.context);
  attributes(writer, 4, link.attributes);
  count(writer, 5, link.droppedAttributesCount);
  flags(writer, 6, traceFlags, isRemote);
  writer.close(mark);
}

/** What spans and links both begin with. */
function identity(writer: WireWriter, { traceId, spanId, traceState }: Link["context"]): void {
  writer.tag(1, WIRE.bytes);
  writer.hex(traceId);
  writer.tag(2, WIRE.bytes);
  writer.hex(spanId);
  text(writer, 3, traceState?.serialize());
}

function text(writer: WireWriter, field: number, value: string | undefined): void {
  if (!value) return;
  writer.tag(field, WIRE.bytes);
  writer.string(value);
}

function count(writer: WireWriter, field: number, value: number | undefined): void {
  if (!value) return;
  writer.tag(field, WIRE.varint);
  writer.int64OfNumber(value);
}

function flags(writer: WireWriter, field: number, traceFlags: number, isRemote = false): void {
  writer.tag(field, WIRE.fixed32);
  writer.fixed32(traceFlags & 0xff | HAS_IS_REMOTE | (isRemote ? IS_REMOTE : 0));
}

/** Seconds and nanoseconds as nanoseconds: 64 bits, exact, without a bigint. */
function time(writer: WireWriter, field: number, [seconds, nanos]: HrTime): void {
  // A second is 2^9 times 1,953,125 ns; in two parts both products stay below 2^53.
  const whole = Math.trunc(seconds);
  const upper = Math.floor(whole / 0x10000) * 1_953_125;
  const lower = whole % 0x10000 * 1_953_125;
  const lo = upper % 0x80 * 0x2000000 + lower % 0x800000 * 0x200 + nanos;
  const hi = Math.floor(upper / 0x80) + Math.floor(lower / 0x800000);
  writer.tag(field, WIRE.fixed64);
  writer.fixed64OfHalves(lo, hi + Math.floor(lo / 0x100000000));
}

function attributes(writer: WireWriter, field: number, all: Attributes | undefined): void {
  for (const key in all) {
    if (!Object.hasOwn(all, key)) continue;
    writer.tag(field, WIRE.bytes);
    const mark = writer.open();
    writer.tag(1, WIRE.bytes);
    writer.string(key);
    writer.tag(2, WIRE.bytes);
    anyValue(writer, all[key]);
    writer.close(mark);
  }
}

/** An AnyValue; without a member for what OTLP has none for. */
function anyValue(writer: WireWriter, value: unknown): void {
  const mark = writer.open();
  switch (typeof value) {
    case "string":
      writer.tag(1, WIRE.bytes);
      writer.string(value);
      break;
    case "boolean":
      writer.tag(2, WIRE.varint);
      writer.bool(value);
      break;
    case "number":
      if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) {
        writer.tag(3, WIRE.varint);
        writer.int64OfNumber(value);
      } else {
        writer.tag(4, WIRE.fixed64);
        writer.double(value);
      }
      break;
    case "object":
      if (value !== null) composite(writer, value);
  }
  writer.close(mark);
}

function composite(writer: WireWriter, value: object): void {
  if (value instanceof Uint8Array) {
    writer.tag(7, WIRE.bytes);
    writer.bytes(value);
    return;
  }
  const isArray = Array.isArray(value);
  writer.tag(isArray ? 5 : 6, WIRE.bytes);
  const mark = writer.open();
  if (isArray) {
    for (const element of value) {
      writer.tag(1, WIRE.bytes);
      anyValue(writer, element);
    }
  } else {
    attributes(writer, 1, value as Attributes);
  }
  writer.close(mark);
}
