/**
 * The columns that COPY fills, in the order of its tuples. `sql/schema.sql` says what each one holds.
 *
 * @module
 */

import type { CopyColumn, CopyTable } from "./database.ts";

function columns(text: string): CopyColumn[] {
  return text.trim().split(/\s*,\s*/).map((column) => {
    const [name, type] = column.split(/\s+/) as [string, CopyColumn["type"]];
    return { name, type };
  });
}

/** One row a span. */
export const SPANS: CopyTable = {
  name: "otel_data.spans",
  columns: columns(`
    trace_id uuid, span_id int8, parent_span_id int8, time timestamptz, duration_ns int8,
    resource_id int8, scope_id int8, name_id int8, service_id int8, end_unix_nano int8, flags int4,
    granule int4, time_frac int2, kind int2, status int2, trace_state text, status_message text,
    attribute_set_id int8, attribute_values text[], attributes jsonb, events jsonb, links jsonb, exact bytea`),
};

/** One row a log record. */
export const LOGS: CopyTable = {
  name: "otel_data.logs",
  columns: columns(`
    time timestamptz, observed_unix_nano int8, resource_id int8, scope_id int8, service_id int8,
    trace_id uuid, span_id int8, flags int4, granule int4, time_frac int2, severity_number int2,
    severity_text text, event_name text, body jsonb, attribute_set_id int8, attribute_values text[],
    attributes jsonb, exact bytea`),
};

/** One row a point of a metric. */
export const METRIC_POINTS: CopyTable = {
  name: "otel_data.metric_points",
  columns: columns(`
    time timestamptz, series_id int8, start_unix_nano int8, value float8, value_int int8,
    count int8, sum float8, min float8, max float8, zero_count int8, zero_threshold float8,
    scale int4, flags int4, time_frac int2, bucket_counts int8[], explicit_bounds float8[],
    positive jsonb, negative jsonb, quantiles jsonb, exemplars jsonb, exact bytea`),
};
