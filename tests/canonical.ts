/**
 * The canonical form of a request, by which "OTLP in = OTLP out" is judged: the multiset of
 * (resource, scope, schema urls, record) as sorted strings, one a record.
 *
 * It shares no code with `src/`, so that it can judge it. What it evens out, and nothing else:
 *
 * - attributes, also those of nested maps, are sorted by key, and of a doubled key the last counts;
 * - a key without a value equals one with an empty value;
 * - NUL and invalid UTF-8 are U+FFFD; NaNs are equal (-0 and 0, int 1 and double 1 are not);
 * - an optional id (parent span, link, exemplar, the ids of a log) of the wrong length or all zero is absent;
 * - an absent resource or scope equals an empty one, and containers without records vanish;
 * - records that cannot be kept vanish: a span without a valid trace id and span id, a number point
 *   with neither a value nor the flag that says so, values nested deeper than 128 levels.
 */

import type {
  AnyValue,
  ExportRequests,
  InstrumentationScope,
  KeyValue,
  Metric,
  Resource,
  Signal,
} from "../src/record.ts";

/**
 * The canonical form of `request`, comparable with `deepEqual`.
 *
 * @example Two forms of one request
 * ```ts ignore
 * assert.deepEqual(canonicalise("traces", readBack), canonicalise("traces", sent));
 * ```
 */
export function canonicalise<S extends Signal>(signal: S, request: ExportRequests[S]): string[] {
  const lines: string[] = [];
  for (const { container, part } of records[signal](request as never)) {
    try {
      lines.push(JSON.stringify({ ...plain(container), ...plain(part) }));
    } catch (error) {
      if (error !== TOO_DEEP) throw error;
    }
  }
  return lines.sort();
}

const MAX_LEVELS = 128;
const TOO_DEEP = new Error("a value is nested deeper than 128 levels");

interface Part {
  readonly container: object;
  readonly part: object;
}

const records = {
  *traces(request: ExportRequests["traces"]): Generator<Part> {
    for (const { resource, schemaUrl, scopeSpans } of request.resourceSpans) {
      for (const { scope, schemaUrl: scopeSchemaUrl, spans } of scopeSpans) {
        const container = { ...origin(resource, schemaUrl, scope, scopeSchemaUrl) };
        for (const span of spans) {
          if (isId(span.traceId, 32) && isId(span.spanId, 16)) yield { container, part: { span } };
        }
      }
    }
  },
  *logs(request: ExportRequests["logs"]): Generator<Part> {
    for (const { resource, schemaUrl, scopeLogs } of request.resourceLogs) {
      for (const { scope, schemaUrl: scopeSchemaUrl, logRecords } of scopeLogs) {
        const container = { ...origin(resource, schemaUrl, scope, scopeSchemaUrl) };
        for (const log of logRecords) yield { container, part: { log } };
      }
    }
  },
  *metrics(request: ExportRequests["metrics"]): Generator<Part> {
    for (const { resource, schemaUrl, scopeMetrics } of request.resourceMetrics) {
      for (const { scope, schemaUrl: scopeSchemaUrl, metrics } of scopeMetrics) {
        const container = { ...origin(resource, schemaUrl, scope, scopeSchemaUrl) };
        for (const metric of metrics) {
          for (const part of points(metric)) yield { container, part };
        }
      }
    }
  },
};

/** One part a point: the metric without its points, and the point. */
function* points(metric: Metric): Generator<object> {
  const { gauge, sum, histogram, exponentialHistogram, summary, ...description } = metric;
  for (
    const [type, data] of Object.entries({
      gauge,
      sum,
      histogram,
      exponentialHistogram,
      summary,
    })
  ) {
    if (data === undefined) continue;
    const { dataPoints, ...rest } = data;
    for (const point of dataPoints) {
      const isNumber = type === "gauge" || type === "sum";
      const hasValue = "asInt" in point && point.asInt !== undefined ||
        "asDouble" in point && point.asDouble !== undefined;
      if (isNumber && !hasValue && (point.flags & 1) === 0) continue;
      yield { metric: { ...description, type, ...rest }, point };
    }
  }
}

function origin(
  resource: Resource = { attributes: [], droppedAttributesCount: 0, entityRefs: [] },
  resourceSchemaUrl: string,
  scope: InstrumentationScope = {
    name: "",
    version: "",
    attributes: [],
    droppedAttributesCount: 0,
  },
  scopeSchemaUrl: string,
): object {
  return { resource, resourceSchemaUrl, scope, scopeSchemaUrl };
}

/** A message as something `JSON.stringify` writes the same way whenever it means the same. */
function plain(message: object): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message).sort(byKey)) {
    if (value === undefined) continue;
    result[name] = field(name, value);
  }
  return result;
}

function field(name: string, value: unknown): unknown {
  switch (name) {
    case "attributes":
    case "filteredAttributes":
    case "metadata":
      return keyValues(value as KeyValue[], 1);
    case "body":
      return any(value as AnyValue, 1);
    case "traceId":
      return isId(value as string, 32) ? value : "";
    case "spanId":
    case "parentSpanId":
      return isId(value as string, 16) ? value : "";
  }
  if (Array.isArray(value)) return value.map((item) => field("", item));
  return typeof value === "object" ? plain(value as object) : scalar(value);
}

function scalar(value: unknown): unknown {
  if (typeof value === "string") return text(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  return typeof value === "bigint" ? `${value}` : value;
}

function any(value: AnyValue | undefined, level: number): unknown {
  if (value === undefined) return {};
  if (level > MAX_LEVELS) throw TOO_DEEP;
  if (value.arrayValue !== undefined) {
    return { array: value.arrayValue.values.map((item) => any(item, level + 1)) };
  }
  if (value.kvlistValue !== undefined) {
    return { map: keyValues(value.kvlistValue.values, level + 1) };
  }
  if (value.bytesValue !== undefined) return { bytes: value.bytesValue.toHex() };
  if (value.stringValue !== undefined) return { string: text(value.stringValue) };
  if (value.boolValue !== undefined) return { bool: value.boolValue };
  if (value.intValue !== undefined) return { int: scalar(value.intValue) };
  if (value.doubleValue !== undefined) return { double: scalar(value.doubleValue) };
  return {};
}

function keyValues(list: KeyValue[], level: number): unknown[] {
  const last = new Map<string, unknown>();
  for (const { key, value } of list) last.set(text(key), any(value, level));
  return [...last].sort(byKey);
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function text(value: string): string {
  return value.toWellFormed().replaceAll("\0", "\ufffd");
}

function isId(hex: string, digits: number): boolean {
  return hex.length === digits && /^[0-9a-f]+$/.test(hex) && /[^0]/.test(hex);
}
