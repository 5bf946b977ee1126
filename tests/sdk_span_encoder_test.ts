/**
 * Our encoder of spans against the official one, both read by protobufjs.
 */

import assert from "node:assert/strict";
import { TraceState } from "@opentelemetry/core";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import fc from "fast-check";
import { SpanEncoder } from "../src/sdk_span_encoder.ts";
import { oracleDecode } from "./oracle.ts";

/** All kinds of text: long ones, lone surrogates, what takes two, three and four bytes. */
const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 150 }),
  fc.array(fc.nat({ max: 0xffff }), { maxLength: 6 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    "",
    "\0",
    "\ud800",
    "é",
    "€",
    "🐈",
    "a".repeat(127),
    "a".repeat(128),
    "é".repeat(64),
  ),
  fc.integer({ min: 100, max: 20_000 }).map((length) => "x".repeat(length)),
);

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    -0,
    NaN,
    Infinity,
    -Infinity,
    2 ** 31,
    2 ** 32,
    2 ** 32 - 1,
    -(2 ** 32),
    -(2 ** 31),
  ),
  fc.constantFrom(2 ** 53, 2 ** 63, -(2 ** 63), 2 ** 63 - 1024, -(2 ** 63) - 2048, 2 ** 64, 1e300),
);

const bytes = fc.uint8Array({ maxLength: 200 });

/** Whatever a program hands over as the value of an attribute, whether the API allows it or not. */
const value: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    text,
    number,
    fc.boolean(),
    bytes,
    fc.constantFrom(
      null,
      undefined,
      Symbol("none"),
      5n,
      () => 5,
      new Date(0),
      Object.create({ a: 1 }),
    ),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4 }),
    // deno-lint-ignore no-sparse-arrays
    fc.constant([1, , 2]),
  ),
})).value;

const attributes = fc.dictionary(text, value, { maxKeys: 5 });
/** Both cases of digits; the extremes of lengths that a generator of ids of one's own may have. */
const hex = (length: number) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.uint8Array({ minLength: length, maxLength: length }) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  ).chain((bytes) => fc.constantFrom(bytes.toHex(), bytes.toHex().toUpperCase()));

const traceState = fc.option(
  fc.constantFrom("", "a=1", "vendor=x,other=y", `long=${"v".repeat(200)}`)
    .map((serialized) => new TraceState(serialized)),
  { nil: undefined },
);
const context = fc.record({
  traceId: hex(16),
  spanId: hex(8),
  traceFlags: fc.oneof(fc.constantFrom(0, 1, 3), fc.nat({ max: 0xffff })),
  traceState,
  isRemote: fc.constantFrom(true, false, undefined),
});

/** Up to the last moment that OTLP can say, in 2554. */
const hrTime: fc.Arbitrary<[number, number]> = fc.tuple(
  fc.oneof(
    fc.integer({ min: 1_600_000_000, max: 2_000_000_000 }),
    fc.integer({ min: 0, max: 18_446_744_072 }),
    fc.constantFrom(0, 1, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 4_611_686_018, 18_446_744_073),
  ),
  fc.oneof(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom(0, 1, 1_000_000_000)),
).map(([seconds, nanos]) => [seconds, seconds === 18_446_744_073 ? nanos % 709_551_616 : nanos]);

const dropped = fc.oneof(fc.constant(0), fc.nat({ max: 2 ** 32 - 1 }));
const event = fc.record({
  time: hrTime,
  name: text,
  attributes: fc.option(attributes, { nil: undefined }),
  droppedAttributesCount: fc.option(dropped, { nil: undefined }),
});
const link = fc.record({
  context,
  attributes: fc.option(attributes, { nil: undefined }),
  droppedAttributesCount: fc.option(dropped, { nil: undefined }),
});
const optionalText = fc.option(text, { nil: undefined });
const status = fc.record({ code: fc.constantFrom(0, 1, 2), message: optionalText });

const resource = fc.record({
  attributes,
  schemaUrl: optionalText,
});
const scope = fc.record({
  name: text,
  version: optionalText,
  schemaUrl: optionalText,
  attributes: fc.option(attributes, { nil: undefined }),
  droppedAttributesCount: fc.option(dropped, { nil: undefined }),
});

/** Spans of a few resources and scopes, which they share by identity. */
const spans: fc.Arbitrary<ReadableSpan[]> = fc.tuple(
  fc.array(resource, { minLength: 1, maxLength: 2 }),
  fc.array(scope, { minLength: 1, maxLength: 3 }),
).chain(([resources, scopes]) =>
  fc.array(
    fc.record({
      context,
      parentSpanContext: fc.option(context, { nil: undefined }),
      name: text,
      kind: fc.constantFrom(0, 1, 2, 3, 4, undefined, null),
      startTime: hrTime,
      endTime: hrTime,
      attributes,
      droppedAttributesCount: dropped,
      events: fc.array(event, { maxLength: 3 }),
      droppedEventsCount: dropped,
      links: fc.array(link, { maxLength: 3 }),
      droppedLinksCount: dropped,
      status,
      resource: fc.constantFrom(...resources),
      instrumentationScope: fc.constantFrom(...scopes),
    }).map(({ context, ...span }) => ({ ...span, spanContext: () => context })),
    { maxLength: 4 },
  )
) as unknown as fc.Arbitrary<ReadableSpan[]>;

const official = (spans: ReadableSpan[]) => ProtobufTraceSerializer.serializeRequest(spans)!;

function agree(encoder: SpanEncoder, spans: ReadableSpan[]): void {
  const ours = oracleDecode("traces", encoder.serializeRequest(spans));
  assert.deepEqual(ours, oracleDecode("traces", official(spans)));
}

Deno.test("what is written of any spans is what the official serializer writes", () => {
  const encoder = new SpanEncoder();
  fc.assert(fc.property(spans, (spans) => agree(encoder, spans)), { seed: 1, numRuns: 400 });
});

/** A span in which nothing is unusual. */
function plainSpan(overrides: Partial<ReadableSpan> = {}): ReadableSpan {
  return {
    name: "GET /",
    kind: 1,
    spanContext: () => ({
      traceId: "5b8efff798038103d269b633813fc60c",
      spanId: "eee19b7ec3c1b174",
      traceFlags: 1,
    }),
    startTime: [1_700_000_000, 123_456_789],
    endTime: [1_700_000_001, 0],
    status: { code: 0 },
    attributes: {},
    links: [],
    events: [],
    duration: [0, 876_543_211],
    ended: true,
    resource: resourceFromAttributes({ "service.name": "shop" }),
    instrumentationScope: { name: "http" },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    ...overrides,
  };
}

Deno.test("times that are no times become the same as with the official serializer, and fail nothing", () => {
  const encoder = new SpanEncoder();
  for (const time of [[NaN, NaN], [Infinity, NaN], [1.5, 3.7], [1_700_000_000, 1_999_999_999]]) {
    agree(encoder, [plainSpan({ startTime: time as [number, number] })]);
  }
});

Deno.test("a request is untouched by the next one, also after one that could not be written", () => {
  const encoder = new SpanEncoder();
  const spans = [plainSpan({ name: "first" })];
  const first = encoder.serializeRequest(spans);
  const circular: Record<string, unknown> = {};
  circular.itself = circular;
  assert.throws(
    () => encoder.serializeRequest([plainSpan({ attributes: { circular } as never })]),
    RangeError,
  );
  agree(encoder, [plainSpan({ name: "second, and longer" })]);
  assert.deepEqual(first, new SpanEncoder().serializeRequest(spans));
});

Deno.test("a request that is larger than all memory that is kept is whole, and so is the next", () => {
  const encoder = new SpanEncoder();
  const attributes = { text: "é".repeat(3 << 20) };
  agree(encoder, [plainSpan({ attributes }), plainSpan()]);
  agree(encoder, [plainSpan()]);
});
