/**
 * What the paths of the API answer with, as schemas: JSON in which 64-bit numbers and times are
 * decimal strings, bytes are base64, and `NaN` and the infinities are strings, as OTLP has it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { z } from "zod";

/** An answer as its schema describes it. */
export function textOf(answer: unknown): string {
  return JSON.stringify(answer, (_, value) => {
    if (typeof value === "bigint") return String(value);
    if (typeof value === "number" && !Number.isFinite(value)) return String(value);
    return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  });
}

const NANOS = z.string().regex(/^-?\d+$/).describe("Nanoseconds, decimal");
const COUNT = z.int().min(0);
const NUMBER = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]);
const TRACE_ID = z.string().regex(/^([0-9a-f]{32})?$/);
const SPAN_ID = z.string().regex(/^([0-9a-f]{16})?$/);
const CURSOR = z.string().optional().describe("For the next page; absent on the last one");
const RANGE = z.strictObject({ since: NANOS, until: NANOS }).describe("What was read");

const ANY_VALUE = z.strictObject({
  stringValue: z.string(),
  boolValue: z.boolean(),
  intValue: z.string(),
  doubleValue: NUMBER,
  bytesValue: z.string(),
  arrayValue: z.unknown(),
  kvlistValue: z.unknown(),
}).partial();
const ATTRIBUTES = z.array(z.strictObject({ key: z.string(), value: ANY_VALUE.optional() }));
const RESOURCE = z.strictObject({
  attributes: ATTRIBUTES,
  droppedAttributesCount: COUNT,
  entityRefs: z.array(z.unknown()),
});
const SCOPE = z.strictObject({
  name: z.string(),
  version: z.string(),
  attributes: ATTRIBUTES,
  droppedAttributesCount: COUNT,
});
const STORED = {
  resource: RESOURCE,
  resourceSchemaUrl: z.string(),
  scope: SCOPE,
  scopeSchemaUrl: z.string(),
};

const SPAN = z.strictObject({
  traceId: TRACE_ID,
  spanId: SPAN_ID,
  traceState: z.string(),
  parentSpanId: SPAN_ID,
  flags: COUNT,
  name: z.string(),
  kind: z.int(),
  startTimeUnixNano: NANOS,
  endTimeUnixNano: NANOS,
  attributes: ATTRIBUTES,
  droppedAttributesCount: COUNT,
  events: z.array(z.strictObject({
    timeUnixNano: NANOS,
    name: z.string(),
    attributes: ATTRIBUTES,
    droppedAttributesCount: COUNT,
  })),
  droppedEventsCount: COUNT,
  links: z.array(z.strictObject({
    traceId: z.string(),
    spanId: z.string(),
    traceState: z.string(),
    attributes: ATTRIBUTES,
    droppedAttributesCount: COUNT,
    flags: COUNT,
  })),
  droppedLinksCount: COUNT,
  status: z.strictObject({ message: z.string(), code: z.int() }).optional(),
});
const LOG_RECORD = z.strictObject({
  timeUnixNano: NANOS,
  observedTimeUnixNano: NANOS,
  severityNumber: z.int(),
  severityText: z.string(),
  body: ANY_VALUE.optional(),
  attributes: ATTRIBUTES,
  droppedAttributesCount: COUNT,
  flags: COUNT,
  traceId: TRACE_ID,
  spanId: SPAN_ID,
  eventName: z.string(),
});
const STORED_LOG = z.strictObject({ record: LOG_RECORD, ...STORED });
const STORED_METRIC = z.strictObject({
  record: z.looseObject({ name: z.string() }).describe("An OTLP metric with one point"),
  ...STORED,
});

const TRACE_SUMMARY = z.strictObject({
  traceId: TRACE_ID,
  rootService: z.string(),
  rootOperation: z.string(),
  startUnixNano: NANOS,
  durationNs: NANOS,
  spanCount: COUNT,
  errorCount: COUNT,
  services: z.array(
    z.strictObject({ service: z.string(), spanCount: COUNT, errorCount: COUNT }),
  ),
});

/** Of {@linkcode searchTraces}. */
export const TRACE_PAGE = z.strictObject({
  range: RANGE,
  traces: z.array(TRACE_SUMMARY),
  cursor: CURSOR,
});

/** Of {@linkcode getTraceTree}. */
export const TRACE_TREE = z.strictObject({
  traceId: TRACE_ID,
  startUnixNano: NANOS,
  durationNs: NANOS,
  spans: z.array(z.strictObject({
    record: SPAN,
    ...STORED,
    service: z.string(),
    depth: COUNT,
    parent: COUNT.optional(),
    isOrphan: z.boolean(),
  })),
  hasMoreSpans: z.boolean(),
  cursor: z.string().optional().describe("For the spans that follow; absent when there are none"),
  lateSpans: COUNT.describe(
    "Spans that have come since the answer the cursor is from, and start before those it asks for",
  ),
  logs: z.array(STORED_LOG),
  hasMoreLogs: z.boolean(),
  points: z.array(STORED_METRIC),
});

/** Of {@linkcode findSimilarTraces}. */
export const SIMILAR_TRACES = z.strictObject({ range: RANGE, traces: z.array(TRACE_SUMMARY) });

/** Of {@linkcode readTrace}: the tree, or an ExportTraceServiceRequest. */
export const TRACE_OR_OTLP = z.union([
  TRACE_TREE,
  z.looseObject({ resourceSpans: z.array(z.unknown()) }).describe("OTLP JSON"),
]);

const SIDE = z.strictObject({ spanId: SPAN_ID, durationNs: NANOS, isError: z.boolean() });

/** Of {@linkcode compareTraces}. */
export const TRACE_COMPARISON = z.strictObject({
  durationDifferenceNs: NANOS,
  spans: z.array(z.strictObject({
    service: z.string(),
    operation: z.string(),
    depth: COUNT,
    before: SIDE.optional(),
    after: SIDE.optional(),
  })),
});

/** Of {@linkcode searchLogs}. */
export const LOG_PAGE = z.strictObject({
  range: RANGE,
  logs: z.array(STORED_LOG),
  cursor: CURSOR,
});

/** Of the events of `/api/logs/tail`, by what they are called: what their data is. */
export const TAIL_EVENTS = {
  message: STORED_LOG,
  dropped: z.strictObject({
    count: COUNT.nullable().describe(
      "How many records are missing before the next one; null when that was not counted",
    ),
  }),
};

/** Of {@linkcode countLogs}. */
export const LOG_COUNTS = z.strictObject({
  range: RANGE,
  stepMs: COUNT,
  steps: z.array(z.strictObject({ since: NANOS, counts: z.record(z.string(), COUNT) })),
});

/** Of {@linkcode listServices}. */
export const SERVICE_LIST = z.strictObject({
  range: RANGE,
  services: z.array(z.strictObject({
    service: z.string(),
    namespace: z.string(),
    firstSeen: NANOS,
    lastSeen: NANOS,
  })),
});

/** Of {@linkcode listOperations}. */
export const OPERATION_LIST = z.strictObject({
  range: RANGE,
  operations: z.array(
    z.strictObject({ operation: z.string(), kind: z.string(), spanCount: COUNT }),
  ),
});

/** Of {@linkcode listAttributes}. */
export const ATTRIBUTE_LIST = z.strictObject({
  range: RANGE,
  attributes: z.array(z.strictObject({ of: z.enum(["record", "resource"]), key: z.string() })),
});

const REQUEST_NUMBERS = {
  requests: COUNT,
  errors: COUNT,
  p50Ns: NANOS,
  p95Ns: NANOS,
  p99Ns: NANOS,
};

/** Of {@linkcode countRequests}. */
export const REQUEST_COUNTS = z.strictObject({
  range: RANGE,
  stepMs: COUNT.optional(),
  groups: z.array(z.strictObject({
    service: z.string(),
    operation: z.string().optional(),
    ...REQUEST_NUMBERS,
    rate: NUMBER,
    totalNs: NANOS,
    steps: z.array(z.strictObject({ since: NANOS, ...REQUEST_NUMBERS })).optional(),
  })),
});

/** Of {@linkcode getServiceGraph}. */
export const SERVICE_GRAPH = z.strictObject({
  range: RANGE,
  edges: z.array(z.strictObject({
    from: z.string(),
    to: z.string(),
    kind: z.enum(["call", "link"]).describe(
      "`call`: spans whose parent is a span of the other service. `link`: links to its spans",
    ),
    calls: COUNT,
    errors: COUNT,
    p50Ns: NANOS,
    p99Ns: NANOS,
  })),
});

/** Of {@linkcode groupErrors}. */
export const ERROR_GROUPS = z.strictObject({
  range: RANGE,
  groups: z.array(z.strictObject({
    service: z.string(),
    type: z.string(),
    message: z.string(),
    count: COUNT,
    firstSeen: NANOS,
    lastSeen: NANOS,
    traceIds: z.array(TRACE_ID),
  })),
});

const METRIC_DESCRIPTOR = {
  name: z.string(),
  type: z.enum(["gauge", "sum", "histogram", "exponential_histogram", "summary"]),
  unit: z.string(),
  description: z.string(),
  temporality: z.enum(["UNSPECIFIED", "DELTA", "CUMULATIVE"]).optional(),
  isMonotonic: z.boolean().optional(),
};

/** Of {@linkcode listMetrics}. */
export const METRIC_PAGE = z.strictObject({
  range: RANGE,
  metrics: z.array(z.strictObject({
    ...METRIC_DESCRIPTOR,
    services: z.array(z.string()),
    series: COUNT,
    lastSeen: NANOS,
  })),
  cursor: CURSOR,
});

/** Of {@linkcode queryMetric}. */
export const METRIC_ANSWER = z.strictObject({
  range: RANGE,
  stepMs: COUNT,
  metrics: z.array(z.strictObject({
    metric: z.strictObject(METRIC_DESCRIPTOR),
    function: z.string(),
    across: z.string(),
    series: z.array(z.strictObject({
      attributes: ATTRIBUTES,
      quantile: z.number().optional(),
      points: z.array(z.strictObject({ time: NANOS, value: NUMBER })),
    })),
  })),
});

/** Of {@linkcode countBuckets}. */
export const BUCKET_COUNTS = z.strictObject({
  range: RANGE,
  stepMs: COUNT,
  metrics: z.array(z.strictObject({
    metric: z.strictObject(METRIC_DESCRIPTOR),
    buckets: z.array(z.strictObject({ above: NUMBER, upTo: NUMBER })).describe(
      "The same in all windows, ascending",
    ),
    steps: z.array(z.strictObject({ since: NANOS, counts: z.array(NUMBER) })).describe(
      "Windows of which something is known; counts are by bucket",
    ),
  })),
});

/** Of {@linkcode findExemplars}. */
export const FOUND_EXEMPLARS = z.strictObject({
  range: RANGE,
  exemplars: z.array(z.strictObject({
    time: NANOS,
    value: z.union([NUMBER, z.string()]).optional(),
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    filteredAttributes: ATTRIBUTES,
    attributes: ATTRIBUTES,
    resource: RESOURCE,
    unit: z.string(),
  })),
});

/** Of {@linkcode listPartitions}. */
export const PARTITION_LIST = z.strictObject({
  partitions: z.array(z.strictObject({
    signal: z.enum(["traces", "logs", "metrics"]),
    name: z.string(),
    since: NANOS.optional(),
    until: NANOS.optional(),
    rowsEstimate: COUNT,
    bytes: COUNT,
    sealed: z.boolean(),
  })),
  hasMorePartitions: z.boolean(),
});

/** Of what could not be answered: RFC 9457. */
export const PROBLEM = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  parameter: z.string().optional().describe("Which parameter is wrong"),
});
