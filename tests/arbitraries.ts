/**
 * Whole valid requests of each signal for property tests, small but hostile: every kind of value,
 * doubled and dangerous keys, the extremes of every integer, NaN, -0 and infinities, NUL and astral
 * text, open enums, invalid optional ids, empty containers.
 */

import fc from "fast-check";
import type {
  AnyValue,
  Buckets,
  Exemplar,
  ExponentialHistogramDataPoint,
  ExportRequests,
  HistogramDataPoint,
  InstrumentationScope,
  KeyValue,
  LogRecord,
  Metric,
  NumberDataPoint,
  Resource,
  Signal,
  Span,
  SpanEvent,
  SpanLink,
  SummaryDataPoint,
} from "../src/record.ts";

/**
 * Requests of `signal` in which every record is valid, so that all of it has to survive.
 *
 * @example A round trip
 * ```ts ignore
 * fc.assert(fc.property(arbitraryRequest("logs"), (request) => {
 *   assert.deepEqual(decodeRequest("logs", encodeRequest("logs", request)), request);
 * }));
 * ```
 */
export function arbitraryRequest<S extends Signal>(signal: S): fc.Arbitrary<ExportRequests[S]> {
  return requests[signal] as unknown as fc.Arbitrary<ExportRequests[S]>;
}

const UINT64_MAX = 2n ** 64n - 1n;

// "binary" is every code point but the surrogates.
const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 8 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "",
      "\0",
      "a\0b",
      "\ufeffbom",
      "\ufffd",
      "\u{1f680}\u{10ffff}",
      '"\\\u2028\n',
      "\ud800 and \udc00".toWellFormed(),
    ),
  },
);

const key: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "service.name",
      "service.namespace",
      "http.method",
      "a",
      "",
      "__proto__",
      "constructor",
      "toString",
      "a\0",
      "a\ufffd",
    ),
  },
  { weight: 1, arbitrary: text },
);

const int64: fc.Arbitrary<bigint> = fc.oneof(
  fc.integer({ min: -100, max: 100 }).map(BigInt),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, -1n, 0n),
);

const uint64: fc.Arbitrary<bigint> = fc.oneof(
  fc.nat({ max: 1000 }).map(BigInt),
  fc.bigInt({ min: 0n, max: UINT64_MAX }),
  fc.constantFrom(0n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, UINT64_MAX),
);

const time: fc.Arbitrary<bigint> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.bigInt({ min: 1_700_000_000_000_000_000n, max: 1_900_000_000_000_000_000n }),
  },
  { weight: 1, arbitrary: uint64 },
);

const uint32: fc.Arbitrary<number> = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(0, 1, 0x301, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
);

const int32: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: -10, max: 20 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1),
);

const double: fc.Arbitrary<number> = fc.oneof(
  fc.double(),
  fc.integer().map((value) => value / 4),
  fc.constantFrom(0, -0, 1, 100, NaN, Infinity, -Infinity, 5e-324, 1.7976931348623157e308, 0.1),
);

/** Mostly the known values of an enum, sometimes one that a later version may define. */
function openEnum(known: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.nat({ max: known }) },
    { weight: 1, arbitrary: fc.constantFrom(known + 1, -1, 70_000, -(2 ** 31), 2 ** 31 - 1) },
  );
}

/** Lower-case hex of `bytes` bytes, not all zero. */
function id(bytes: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: bytes, maxLength: bytes })
    .filter((value) => value.some((byte) => byte !== 0))
    .map((value) => value.toHex());
}

/** An id that may be absent, of the wrong length or all zero. */
function optionalId(bytes: number): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: id(bytes) },
    { weight: 2, arbitrary: fc.constant("") },
    {
      weight: 1,
      arbitrary: fc.constantFrom("00".repeat(bytes), "ab", "ab".repeat(bytes + 1), "cd".repeat(32)),
    },
  );
}

function list<T>(item: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[]> {
  return fc.array(item, { maxLength });
}

/** `shape` with the members of `optional` present or not. */
function record<T extends object, O extends object = object>(
  shape: { [K in keyof T]: fc.Arbitrary<T[K]> },
  optional?: { [K in keyof O]: fc.Arbitrary<O[K]> },
): fc.Arbitrary<T & Partial<O>> {
  const all = { ...shape, ...optional } as unknown as Record<string, fc.Arbitrary<unknown>>;
  return fc.record(all, { requiredKeys: Object.keys(shape), noNullPrototype: true }) as never;
}

const scalarValue: fc.Arbitrary<AnyValue> = fc.oneof(
  text.map((stringValue) => ({ stringValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  int64.map((intValue) => ({ intValue })),
  double.map((doubleValue) => ({ doubleValue })),
  fc.uint8Array({ maxLength: 6 }).map((bytesValue) => ({ bytesValue })),
  fc.constant({}),
);

const { value: nestedValue } = fc.letrec<{ value: AnyValue; pair: KeyValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    { weight: 4, arbitrary: scalarValue },
    { weight: 1, arbitrary: list(tie("value")).map((values) => ({ arrayValue: { values } })) },
    { weight: 1, arbitrary: list(tie("pair")).map((values) => ({ kvlistValue: { values } })) },
  ),
  pair: record({ key }, { value: tie("value") }),
}));

/** One value inside up to 127 lists and maps: 128 levels are kept. */
const deepValue: fc.Arbitrary<AnyValue> = fc.tuple(
  scalarValue,
  fc.array(fc.boolean(), { minLength: 5, maxLength: 127, size: "max" }),
).map(([inner, wraps]) =>
  wraps.reduce<AnyValue>(
    (value, isMap) =>
      isMap
        ? { kvlistValue: { values: [{ key: "k", value }] } }
        : { arrayValue: { values: [value] } },
    inner,
  )
);

const anyValue: fc.Arbitrary<AnyValue> = fc.oneof(
  { weight: 60, arbitrary: nestedValue },
  { weight: 1, arbitrary: deepValue },
);

const attributes: fc.Arbitrary<KeyValue[]> = list(
  record<{ key: string }, { value: AnyValue }>({ key }, { value: anyValue }),
  4,
);

const resource: fc.Arbitrary<Resource> = record<Resource>({
  attributes,
  droppedAttributesCount: uint32,
  entityRefs: list(
    record({ schemaUrl: text, type: text, idKeys: list(key), descriptionKeys: list(key) }),
    1,
  ),
});

const scope: fc.Arbitrary<InstrumentationScope> = record<InstrumentationScope>({
  name: text,
  version: text,
  attributes,
  droppedAttributesCount: uint32,
});

const event: fc.Arbitrary<SpanEvent> = record<SpanEvent>({
  timeUnixNano: time,
  name: text,
  attributes,
  droppedAttributesCount: uint32,
});

const link: fc.Arbitrary<SpanLink> = record<SpanLink>({
  traceId: optionalId(16),
  spanId: optionalId(8),
  traceState: text,
  attributes,
  droppedAttributesCount: uint32,
  flags: uint32,
});

const span: fc.Arbitrary<Span> = record<Omit<Span, "status">, Required<Pick<Span, "status">>>({
  traceId: id(16),
  spanId: id(8),
  traceState: text,
  parentSpanId: optionalId(8),
  flags: uint32,
  name: text,
  kind: openEnum(5),
  startTimeUnixNano: time,
  endTimeUnixNano: time,
  attributes,
  droppedAttributesCount: uint32,
  events: list(event, 2),
  droppedEventsCount: uint32,
  links: list(link, 2),
  droppedLinksCount: uint32,
}, { status: record({ message: text, code: openEnum(2) }) });

const log: fc.Arbitrary<LogRecord> = record<Omit<LogRecord, "body">, { body: AnyValue }>({
  timeUnixNano: time,
  observedTimeUnixNano: time,
  severityNumber: openEnum(24),
  severityText: text,
  attributes,
  droppedAttributesCount: uint32,
  flags: uint32,
  traceId: optionalId(16),
  spanId: optionalId(8),
  eventName: text,
}, { body: anyValue });

const numberValue: fc.Arbitrary<{ asInt: bigint } | { asDouble: number }> = fc.oneof(
  int64.map((asInt) => ({ asInt })),
  double.map((asDouble) => ({ asDouble })),
);

const exemplar: fc.Arbitrary<Exemplar> = fc.tuple(
  record({
    filteredAttributes: attributes,
    timeUnixNano: time,
    spanId: optionalId(8),
    traceId: optionalId(16),
  }),
  fc.oneof({ weight: 5, arbitrary: numberValue }, { weight: 1, arbitrary: fc.constant({}) }),
).map(([rest, value]) => ({ ...rest, ...value }));

const point = { attributes, startTimeUnixNano: time, timeUnixNano: time, flags: uint32 };
const extremes = { sum: double, min: double, max: double };

const numberPoint: fc.Arbitrary<NumberDataPoint> = fc.tuple(
  record({ ...point, exemplars: list(exemplar, 2) }),
  fc.oneof(
    { weight: 5, arbitrary: numberValue as fc.Arbitrary<Partial<NumberDataPoint>> },
    { weight: 1, arbitrary: uint32.map((flags) => ({ flags: (flags | 1) >>> 0 })) },
  ),
).map(([rest, value]) => ({ ...rest, ...value }));

const histogramPoint: fc.Arbitrary<HistogramDataPoint> = record({
  ...point,
  count: uint64,
  bucketCounts: list(uint64, 4),
  explicitBounds: list(double, 3),
  exemplars: list(exemplar, 2),
}, extremes);

const buckets: fc.Arbitrary<Buckets> = record<Buckets>({
  offset: int32,
  bucketCounts: list(uint64, 4),
});

const exponentialPoint: fc.Arbitrary<ExponentialHistogramDataPoint> = record({
  ...point,
  count: uint64,
  scale: int32,
  zeroCount: uint64,
  zeroThreshold: double,
  exemplars: list(exemplar, 2),
}, { ...extremes, positive: buckets, negative: buckets });

const summaryPoint: fc.Arbitrary<SummaryDataPoint> = record<SummaryDataPoint>({
  ...point,
  count: uint64,
  sum: double,
  quantileValues: list(record({ quantile: double, value: double })),
});

const aggregationTemporality = openEnum(2);

const metricData: fc.Arbitrary<Partial<Metric>> = fc.oneof(
  list(numberPoint).map((dataPoints) => ({ gauge: { dataPoints } })),
  record({ dataPoints: list(numberPoint), aggregationTemporality, isMonotonic: fc.boolean() })
    .map((sum) => ({ sum })),
  record({ dataPoints: list(histogramPoint), aggregationTemporality })
    .map((histogram) => ({ histogram })),
  record({ dataPoints: list(exponentialPoint), aggregationTemporality })
    .map((exponentialHistogram) => ({ exponentialHistogram })),
  list(summaryPoint).map((dataPoints) => ({ summary: { dataPoints } })),
);

const metric: fc.Arbitrary<Metric> = fc.tuple(
  record({ name: text, description: text, unit: text, metadata: attributes }),
  fc.oneof({ weight: 12, arbitrary: metricData }, { weight: 1, arbitrary: fc.constant({}) }),
).map(([rest, data]) => ({ ...rest, ...data }));

const requests: { [S in Signal]: fc.Arbitrary<ExportRequests[S]> } = {
  traces: record({
    resourceSpans: list(record({
      schemaUrl: text,
      scopeSpans: list(record({ spans: list(span), schemaUrl: text }, { scope }), 2),
    }, { resource })),
  }),
  logs: record({
    resourceLogs: list(record({
      schemaUrl: text,
      scopeLogs: list(record({ logRecords: list(log), schemaUrl: text }, { scope }), 2),
    }, { resource })),
  }),
  metrics: record({
    resourceMetrics: list(record({
      schemaUrl: text,
      scopeMetrics: list(record({ metrics: list(metric), schemaUrl: text }, { scope }), 2),
    }, { resource })),
  }),
};
