-- The tables, indexes, views and roles of @oneiric/otel-storage.
--
-- Numbered blocks, each run once, in order, each in its own transaction; append-only from the first
-- release on. `migrate` runs the blocks a database lacks; `psql -f` on an empty database gives the
-- same. Two layers: `otel_data` holds tables shaped for speed and may change, `otel` holds views
-- shaped for people and only ever gains columns.
--
-- Conventions of `otel_data`:
--   * ids of dimensions (services, resources, …) are the first 8 bytes of a SHA-256 of their content,
--     computed by the writer, so that ingest never reads back;
--   * unsigned 64- and 32-bit values sit in int8 and int4 in two's complement;
--   * `time` is a record's time, else its observed time, else its arrival, to the microsecond;
--     `time_frac` adds 0 to 999 nanoseconds, and -1 says that the record came without a time;
--   * `otlp` is the OTLP message a dimension was made from; `exact` holds, as fields of the record's
--     own OTLP message, whatever the columns cannot say exactly (bytes, NaN or -0 in jsonb, …) and is
--     null for ordinary rows.

--! block 1: telemetry in time partitions
begin;

create schema otel_data;
create schema otel;
comment on schema otel_data is 'OpenTelemetry storage: private tables, shaped for speed; read the views in schema otel';
comment on schema otel is 'OpenTelemetry storage: traces, logs and metrics as views';

create table otel_data.migrations (
  version int primary key,
  applied_at timestamptz not null default now()
);
insert into otel_data.migrations (version) values (1);

create table otel_data.services (
  id bigint primary key,
  name text not null,
  namespace text,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  last_used date not null
);
-- A hash index, because a btree entry over text from outside has a size limit.
create index services_name on otel_data.services using hash (name);

create table otel_data.resources (
  id bigint primary key,
  service_id bigint,
  attributes jsonb,
  schema_url text,
  otlp bytea not null,
  last_used date not null
);

create table otel_data.scopes (
  id bigint primary key,
  name text,
  version text,
  attributes jsonb,
  schema_url text,
  otlp bytea not null,
  last_used date not null
);

create table otel_data.names (
  id bigint primary key,
  name text not null,
  last_used date not null
);

-- What records have in common in their attributes. A record adds its own values, one for each of
-- `own_keys`, in that order.
create table otel_data.attribute_sets (
  id bigint primary key,
  attributes jsonb not null,
  own_keys text[] not null,
  own_types text,
  own_json text,
  last_used date not null
);
comment on column otel_data.attribute_sets.own_types is 'how to read the values of own_keys, a letter each: s a text, j JSON; null when all are texts';
comment on column otel_data.attribute_sets.own_json is 'what makes a JSON object of those that are JSON, for format(); null when all are texts';

create table otel_data.metrics (
  id bigint primary key,
  name text not null,
  type smallint not null,
  unit text,
  description text,
  temporality smallint,
  is_monotonic boolean,
  otlp bytea not null,
  last_used date not null
);
create index metrics_name on otel_data.metrics using hash (name);
comment on column otel_data.metrics.type is 'the field of the OTLP Metric message: 5 gauge, 7 sum, 9 histogram, 10 exponential histogram, 11 summary';
comment on column otel_data.metrics.otlp is 'the Metric message without its points';

create table otel_data.series (
  id bigint primary key,
  metric_id bigint not null,
  resource_id bigint,
  scope_id bigint,
  service_id bigint,
  attributes jsonb,
  otlp bytea not null,
  last_used date not null
);
create index series_metric on otel_data.series (metric_id);
comment on column otel_data.series.otlp is 'the attributes of its points, as field 1 of an otherwise empty ExponentialHistogramDataPoint';

-- Fixed-width columns first, so that no byte is lost to alignment; of those what is looked for first, and
-- what may be null last, because whoever reads a column walks over those before it.
create table otel_data.spans (
  trace_id uuid not null,
  time timestamptz not null,
  granule int not null default 0,
  flags int not null,
  span_id bigint not null,
  duration_ns bigint not null,
  resource_id bigint not null,
  scope_id bigint not null,
  name_id bigint not null,
  service_id bigint,
  attribute_set_id bigint,
  parent_span_id bigint,
  end_unix_nano bigint,
  time_frac smallint not null,
  kind smallint not null,
  status smallint,
  trace_state text,
  status_message text,
  attribute_values text[],
  attributes jsonb,
  events jsonb,
  links jsonb,
  exact bytea
) partition by range (time);
create table otel_data.spans_default partition of otel_data.spans default;
-- An index on (service_id, time) comes when a partition is sealed: kept row by row it takes as long as the
-- rows themselves. Until then `granule` finds what a service has.
create index spans_trace on otel_data.spans (trace_id);
-- One for both columns: new pages are read once to be summarized, and not once for each.
create index spans_time on otel_data.spans using brin (time, granule) with (pages_per_range = 64);
create index spans_loose on otel_data.spans (time) where granule = 0;
comment on column otel_data.spans.duration_ns is 'end minus start as sent, saturating at the ends of int8';
comment on column otel_data.spans.end_unix_nano is 'the end as sent, where duration_ns saturated';
comment on column otel_data.spans.attributes is 'all attributes, of the few spans that have no attribute set';
comment on column otel_data.spans.granule is 'which of `granule_terms` and `signatures` say what it can be found by; 0 when none does';
comment on column otel_data.spans.status is 'null when the span came without a status';

create table otel_data.logs (
  time timestamptz not null,
  granule int not null default 0,
  flags int not null,
  resource_id bigint not null,
  scope_id bigint not null,
  service_id bigint,
  trace_id uuid,
  attribute_set_id bigint,
  span_id bigint,
  observed_unix_nano bigint,
  time_frac smallint not null,
  severity_number smallint not null,
  severity_text text,
  event_name text,
  body jsonb,
  attribute_values text[],
  attributes jsonb,
  exact bytea
) partition by range (time);
create table otel_data.logs_default partition of otel_data.logs default;
comment on column otel_data.logs.granule is 'which of `granule_terms` and `signatures` say what it can be found by; 0 when none does';
comment on column otel_data.logs.attributes is 'all attributes, of the few records that have no attribute set';
create index logs_trace on otel_data.logs (trace_id) where trace_id is not null;
create index logs_time on otel_data.logs using brin (time, granule) with (pages_per_range = 64);
create index logs_loose on otel_data.logs (time) where granule = 0;

create table otel_data.metric_points (
  time timestamptz not null,
  series_id bigint not null,
  start_unix_nano bigint,
  value double precision,
  value_int bigint,
  count bigint,
  sum double precision,
  min double precision,
  max double precision,
  zero_count bigint,
  zero_threshold double precision,
  scale int,
  flags int not null,
  time_frac smallint not null,
  bucket_counts bigint[],
  explicit_bounds double precision[],
  positive jsonb,
  negative jsonb,
  quantiles jsonb,
  exemplars jsonb,
  exact bytea
) partition by range (time);
create table otel_data.metric_points_default partition of otel_data.metric_points default;
create index metric_points_series on otel_data.metric_points (series_id, time);
create index metric_points_time on otel_data.metric_points using brin (time);

-- What rows can be found by. A term is a hash of 32 bits: of an attribute with its value, of a key, of a
-- word, of the id of a dimension. A granule is about a thousand rows that came one after the other. Rows
-- and the terms of their granules come in one transaction, so that nothing is overlooked; the terms of
-- many granules are then made into a signature.
create table otel_data.granule_terms (
  signal text not null,
  granule int not null,
  first timestamptz not null,
  last timestamptz not null,
  stored_on date not null default current_date,
  terms bytea not null,
  longest bytea
);
-- Hashes do not compress.
alter table otel_data.granule_terms alter column terms set storage external;
comment on column otel_data.granule_terms.first is 'the earliest time of its rows in that transaction';
comment on column otel_data.granule_terms.terms is 'four bytes each';
comment on column otel_data.granule_terms.longest is 'of each service of its spans the id and the longest duration_ns (int8 each); the id is 0 for spans without a service, -1 for all services beyond 256; null when nothing is known';

-- A bit for each unit (granules that follow each other) and each of 65536 positions: a term raises those
-- at a few positions that follow from it. The bits of one position lie together, so that a question reads
-- a few dozen bytes.
create table otel_data.signatures (
  id bigint generated always as identity primary key,
  signal text not null,
  first timestamptz not null,
  last timestamptz not null,
  stored_on date not null,
  units bytea not null,
  slice_bytes int not null,
  slices bytea not null,
  services bigint[],
  longest bytea
);
alter table otel_data.signatures
  alter column units set storage external,
  alter column slices set storage external,
  alter column longest set storage external;
comment on column otel_data.signatures.stored_on is 'when the latest of its rows were stored';
comment on column otel_data.signatures.units is 'of each unit its first and last granule (int4) and the earliest and latest time of its rows (int8, microseconds since 1970)';
comment on column otel_data.signatures.slice_bytes is 'bytes of one position: a bit for each unit, the lowest first';
comment on column otel_data.signatures.services is 'which services `longest` tells apart, by id';
comment on column otel_data.signatures.longest is 'rows of a duration_ns (int8) for each unit, the longest of its spans: of all, of services that are not in `services`, of each that is; null when nothing is known';

-- How far each journal has been stored; moved in the transaction that stores, which is what makes
-- storing exactly once. The counts are of records stored by way of that journal.
create table otel_data.journal_position (
  journal_id uuid primary key,
  at bigint not null,
  spans bigint not null default 0,
  logs bigint not null default 0,
  metric_points bigint not null default 0,
  replaced bigint not null default 0,
  updated_at timestamptz not null default now()
);
comment on column otel_data.journal_position.replaced is 'strings in which NUL or invalid UTF-8 became U+FFFD';

-- Partitions that `seal` has finished, with their ranges, so that who looks for one need not ask the
-- catalogue.
create table otel_data.sealed (
  partition text primary key,
  range_start timestamptz not null,
  range_end timestamptz not null,
  sealed_at timestamptz not null default now()
);

-- Bodies are bound when they are created (`return …`): a reader of the views needs no right on this
-- schema, and no search_path of a session changes what they call.
create function otel_data.uint64(value bigint) returns numeric
language sql immutable strict parallel safe
return case when value < 0 then value::numeric + 18446744073709551616 else value::numeric end;

create function otel_data.unix_nano(at timestamptz, frac smallint) returns numeric
language sql immutable strict parallel safe
return case when frac < 0 then 0::numeric
  else trunc(extract(epoch from at) * 1000000) * 1000 + frac end;

-- Times beyond the year 2262 are negative in int8: uint64 first, then whole microseconds.
create function otel_data.to_timestamptz(unix_nano bigint) returns timestamptz
language sql immutable strict parallel safe
return timestamptz '1970-01-01 00:00:00+00'
  + div(otel_data.uint64(unix_nano), 1000000000)::double precision * interval '1 second'
  + div(mod(otel_data.uint64(unix_nano), 1000000000), 1000)::double precision * interval '1 microsecond';

create function otel_data.span_id(value bigint) returns text
language sql immutable strict parallel safe
return lpad(to_hex(value), 16, '0');

-- The attributes of a record: `given` are those in its row, `shared`, `keys` and `others` are of its set,
-- `vals` its own values. All of `vals` become texts first, then those that are JSON take the place of
-- theirs. This and the next are expressions of built-in functions, so that they are inlined where they
-- are called: that is several times as fast as a call for each row.
create function otel_data.attributes(
  given jsonb, shared jsonb, keys text[], others text, vals text[]
) returns jsonb
language sql stable parallel safe
return coalesce(
  given,
  case
    when vals is null then shared
    when others is null then shared || jsonb_object(keys, vals)
    else shared || jsonb_object(keys, vals) || format(others, variadic vals)::jsonb
  end,
  '{}'
);

-- One of them; null when it has no such key.
create function otel_data.attribute(
  given jsonb, shared jsonb, keys text[], types text, vals text[], name text
) returns jsonb
language sql stable parallel safe
return coalesce(
  given -> name,
  shared -> name,
  case substr(types, array_position(keys, name), 1)
    when 'j' then vals[array_position(keys, name)]::jsonb
    else to_jsonb(vals[array_position(keys, name)])
  end
);

-- The time range of a partition, null for a default partition. The catalogue has it as SQL text in
-- the style and time zone of whoever asks, so those are fixed here.
create function otel_data.partition_range(partition oid) returns tstzrange
language plpgsql stable strict
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
as $$
declare
  bound text[] := (
    select regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''(.*)''\) TO \(''(.*)''\)')
    from pg_class c where c.oid = partition
  );
begin
  return case when bound is not null then tstzrange(bound[1]::timestamptz, bound[2]::timestamptz) end;
end $$;

create view otel.spans as
select
  s.trace_id,
  otel_data.span_id(s.span_id) as span_id,
  otel_data.span_id(s.parent_span_id) as parent_span_id,
  s.trace_state,
  s.flags::bigint & 4294967295 as flags,
  n.name,
  coalesce((array['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'])[s.kind + 1], 'UNSPECIFIED') as kind,
  s.time as start_time,
  case
    when s.end_unix_nano is not null then otel_data.to_timestamptz(s.end_unix_nano)
    when s.time_frac < 0 then otel_data.to_timestamptz(s.duration_ns)
    else s.time + floor((s.duration_ns::numeric + s.time_frac) * 0.001)::double precision * interval '1 microsecond'
  end as end_time,
  otel_data.unix_nano(s.time, s.time_frac) as start_unix_nano,
  s.duration_ns,
  s.duration_ns / 1e6::double precision as duration_ms,
  coalesce((array['UNSET', 'OK', 'ERROR'])[s.status + 1], 'UNSET') as status,
  s.status_message,
  v.name as service_name,
  v.namespace as service_namespace,
  c.name as scope_name,
  c.version as scope_version,
  otel_data.attributes(s.attributes, a.attributes, a.own_keys, a.own_json, s.attribute_values) as attributes,
  coalesce(r.attributes, '{}') as resource_attributes,
  coalesce(s.events, '[]') as events,
  coalesce(s.links, '[]') as links
from otel_data.spans s
left join otel_data.names n on n.id = s.name_id
left join otel_data.services v on v.id = s.service_id
left join otel_data.scopes c on c.id = s.scope_id
left join otel_data.resources r on r.id = s.resource_id
left join otel_data.attribute_sets a on a.id = s.attribute_set_id;

comment on view otel.spans is 'Spans. A span that came without a start time shows its arrival as start_time and 0 as start_unix_nano';
comment on column otel.spans.trace_id is 'trace id; takes and compares with the 32 hex digits as they are';
comment on column otel.spans.span_id is 'span id, 16 hex digits';
comment on column otel.spans.parent_span_id is 'span id of the parent, null for a root';
comment on column otel.spans.trace_state is 'W3C tracestate';
comment on column otel.spans.flags is 'W3C trace flags and the remote-parent bits, unsigned 32 bits';
comment on column otel.spans.name is 'operation name';
comment on column otel.spans.kind is 'UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER';
comment on column otel.spans.start_time is 'start, to the microsecond';
comment on column otel.spans.end_time is 'end, to the microsecond';
comment on column otel.spans.start_unix_nano is 'start in nanoseconds since 1970, exact';
comment on column otel.spans.duration_ns is 'duration in nanoseconds';
comment on column otel.spans.duration_ms is 'duration in milliseconds';
comment on column otel.spans.status is 'UNSET, OK or ERROR';
comment on column otel.spans.status_message is 'description that came with the status';
comment on column otel.spans.service_name is 'resource attribute service.name';
comment on column otel.spans.service_namespace is 'resource attribute service.namespace';
comment on column otel.spans.scope_name is 'name of the instrumentation scope';
comment on column otel.spans.scope_version is 'version of the instrumentation scope';
comment on column otel.spans.attributes is 'attributes of the span: integers without, doubles with a fraction; bytes as base64; non-finite doubles as text';
comment on column otel.spans.resource_attributes is 'attributes of the resource';
comment on column otel.spans.events is 'array of {timeUnixNano, name, attributes, droppedAttributesCount}; 64-bit numbers as strings';
comment on column otel.spans.links is 'array of {traceId, spanId, traceState, attributes, droppedAttributesCount, flags}';

create view otel.logs as
select
  l.time,
  otel_data.unix_nano(l.time, l.time_frac) as time_unix_nano,
  otel_data.to_timestamptz(l.observed_unix_nano) as observed_time,
  coalesce(otel_data.uint64(l.observed_unix_nano), 0) as observed_unix_nano,
  l.severity_number::int as severity_number,
  l.severity_text,
  case
    when l.severity_number between 1 and 24
    then (array['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'])[(l.severity_number + 3) / 4]
    else 'UNSPECIFIED'
  end as severity,
  l.body,
  l.body #>> '{}' as message,
  l.event_name,
  l.trace_id,
  otel_data.span_id(l.span_id) as span_id,
  l.flags::bigint & 4294967295 as flags,
  v.name as service_name,
  c.name as scope_name,
  otel_data.attributes(l.attributes, a.attributes, a.own_keys, a.own_json, l.attribute_values) as attributes,
  coalesce(r.attributes, '{}') as resource_attributes
from otel_data.logs l
left join otel_data.services v on v.id = l.service_id
left join otel_data.scopes c on c.id = l.scope_id
left join otel_data.resources r on r.id = l.resource_id
left join otel_data.attribute_sets a on a.id = l.attribute_set_id;

comment on view otel.logs is 'Log records';
comment on column otel.logs.time is 'when it happened, else when it was observed, else when it arrived';
comment on column otel.logs.time_unix_nano is 'time as sent in nanoseconds since 1970, exact; 0 when it came without';
comment on column otel.logs.observed_time is 'when it was observed, null when not sent';
comment on column otel.logs.observed_unix_nano is 'observed time as sent in nanoseconds since 1970, exact; 0 when it came without';
comment on column otel.logs.severity_number is '1 to 24, 0 when unspecified';
comment on column otel.logs.severity_text is 'severity as the source named it';
comment on column otel.logs.severity is 'TRACE, DEBUG, INFO, WARN, ERROR, FATAL or UNSPECIFIED, from severity_number';
comment on column otel.logs.body is 'the body: text, or structured as sent';
comment on column otel.logs.message is 'the body as text';
comment on column otel.logs.event_name is 'name of the event this record is, if it is one';
comment on column otel.logs.trace_id is 'trace it belongs to, null when to none';
comment on column otel.logs.span_id is 'span it belongs to, 16 hex digits';
comment on column otel.logs.flags is 'W3C trace flags, unsigned 32 bits';
comment on column otel.logs.service_name is 'resource attribute service.name';
comment on column otel.logs.scope_name is 'name of the instrumentation scope (logger)';
comment on column otel.logs.attributes is 'attributes of the record';
comment on column otel.logs.resource_attributes is 'attributes of the resource';

create view otel.metric_points as
select
  p.time,
  otel_data.unix_nano(p.time, p.time_frac) as time_unix_nano,
  otel_data.to_timestamptz(p.start_unix_nano) as start_time,
  m.name as metric_name,
  case m.type
    when 5 then 'gauge'
    when 7 then 'sum'
    when 9 then 'histogram'
    when 10 then 'exponential_histogram'
    when 11 then 'summary'
  end as type,
  m.unit,
  m.description,
  (array['UNSPECIFIED', 'DELTA', 'CUMULATIVE'])[m.temporality + 1] as temporality,
  m.is_monotonic,
  coalesce(p.value, p.value_int::double precision) as value,
  p.value_int,
  otel_data.uint64(p.count) as count,
  p.sum,
  p.min,
  p.max,
  (select array_agg(otel_data.uint64(b.count) order by b.at)
     from unnest(p.bucket_counts) with ordinality as b (count, at)) as bucket_counts,
  p.explicit_bounds,
  p.scale,
  otel_data.uint64(p.zero_count) as zero_count,
  p.zero_threshold,
  p.positive,
  p.negative,
  p.quantiles,
  coalesce(p.exemplars, '[]') as exemplars,
  coalesce(e.attributes, '{}') as attributes,
  v.name as service_name,
  c.name as scope_name,
  coalesce(r.attributes, '{}') as resource_attributes,
  p.flags::bigint & 4294967295 as flags,
  p.series_id
from otel_data.metric_points p
left join otel_data.series e on e.id = p.series_id
left join otel_data.metrics m on m.id = e.metric_id
left join otel_data.services v on v.id = e.service_id
left join otel_data.scopes c on c.id = e.scope_id
left join otel_data.resources r on r.id = e.resource_id;

comment on view otel.metric_points is 'Points of metrics of all five types; columns of other types are null';
comment on column otel.metric_points.time is 'when the point was taken, else when it arrived';
comment on column otel.metric_points.time_unix_nano is 'time as sent in nanoseconds since 1970, exact; 0 when it came without';
comment on column otel.metric_points.start_time is 'start of the window of a delta or cumulative point';
comment on column otel.metric_points.metric_name is 'name of the metric';
comment on column otel.metric_points.type is 'gauge, sum, histogram, exponential_histogram or summary';
comment on column otel.metric_points.unit is 'UCUM unit';
comment on column otel.metric_points.description is 'description of the metric';
comment on column otel.metric_points.temporality is 'UNSPECIFIED, DELTA or CUMULATIVE; null for gauges and summaries';
comment on column otel.metric_points.is_monotonic is 'whether a sum only grows';
comment on column otel.metric_points.value is 'value of a gauge or sum';
comment on column otel.metric_points.value_int is 'the same where it was sent as an integer, exact';
comment on column otel.metric_points.count is 'number of measurements in a histogram or summary';
comment on column otel.metric_points.sum is 'sum of the measurements';
comment on column otel.metric_points.min is 'smallest measurement';
comment on column otel.metric_points.max is 'largest measurement';
comment on column otel.metric_points.bucket_counts is 'counts of an explicit-bounds histogram, one more than explicit_bounds';
comment on column otel.metric_points.explicit_bounds is 'inclusive upper bounds of its buckets';
comment on column otel.metric_points.scale is 'scale of an exponential histogram: base = 2^(2^-scale)';
comment on column otel.metric_points.zero_count is 'measurements within zero_threshold of zero';
comment on column otel.metric_points.zero_threshold is 'half width of the zero bucket';
comment on column otel.metric_points.positive is '{offset, bucketCounts} of positive measurements; counts as strings';
comment on column otel.metric_points.negative is '{offset, bucketCounts} of negative measurements; counts as strings';
comment on column otel.metric_points.quantiles is 'array of {quantile, value} of a summary';
comment on column otel.metric_points.exemplars is 'array of {timeUnixNano, asDouble or asInt, traceId, spanId, filteredAttributes}';
comment on column otel.metric_points.attributes is 'attributes of the point';
comment on column otel.metric_points.service_name is 'resource attribute service.name';
comment on column otel.metric_points.scope_name is 'name of the instrumentation scope (meter)';
comment on column otel.metric_points.resource_attributes is 'attributes of the resource';
comment on column otel.metric_points.flags is 'data point flags, unsigned 32 bits; 1 says that no value was recorded';
comment on column otel.metric_points.series_id is 'which series: points of one metric, resource, scope and set of attributes';

create view otel.services as
select
  name as service_name,
  namespace as service_namespace,
  first_seen,
  last_seen
from otel_data.services;

comment on view otel.services is 'Services that have sent something, with when (to the minute)';
comment on column otel.services.service_name is 'resource attribute service.name';
comment on column otel.services.service_namespace is 'resource attribute service.namespace';
comment on column otel.services.first_seen is 'when its first record arrived';
comment on column otel.services.last_seen is 'when its latest record arrived, to the minute';

create view otel.partitions as
select
  t.signal,
  c.relname::text as name,
  lower(r.range) as range_start,
  upper(r.range) as range_end,
  -- A sealed one was counted then; another session's late report of its rows would count them twice.
  coalesce(
    case when not f.sealed then nullif(pg_stat_get_live_tuples(c.oid), 0) end,
    greatest(c.reltuples, 0)::bigint
  ) as rows_estimate,
  pg_total_relation_size(c.oid) as bytes,
  f.sealed
from (values
  ('traces', 'otel_data.spans'::regclass),
  ('logs', 'otel_data.logs'::regclass),
  ('metrics', 'otel_data.metric_points'::regclass)
) t (signal, parent)
join pg_inherits i on i.inhparent = t.parent
join pg_class c on c.oid = i.inhrelid
cross join lateral (select otel_data.partition_range(c.oid) as range) r
cross join lateral (
  select exists (select from otel_data.sealed s where s.partition = c.relname) as sealed
) f;

comment on view otel.partitions is 'Partitions of the telemetry by time; the default one of each signal takes what fits in no other';
comment on column otel.partitions.signal is 'traces, logs or metrics';
comment on column otel.partitions.name is 'name of the table in schema otel_data';
comment on column otel.partitions.range_start is 'earliest time it takes; null for the default partition';
comment on column otel.partitions.range_end is 'end of its range, which itself belongs to the next; null for the default partition';
comment on column otel.partitions.rows_estimate is 'about how many rows it holds';
comment on column otel.partitions.bytes is 'size on disk with indexes';
comment on column otel.partitions.sealed is 'whether it is closed and finished: indexes rebuilt densely, statistics taken';

create view otel.stats as
select s.name, s.value
from (
  select sum(j.spans), sum(j.logs), sum(j.metric_points), sum(j.replaced)
  from otel_data.journal_position j
) j (spans, logs, metric_points, replaced)
cross join lateral (values
  ('schema_version', (select max(m.version) from otel_data.migrations m)::bigint),
  ('spans', coalesce(j.spans, 0)::bigint),
  ('logs', coalesce(j.logs, 0)::bigint),
  ('metric_points', coalesce(j.metric_points, 0)::bigint),
  ('string_replacements', coalesce(j.replaced, 0)::bigint),
  ('services', (select count(*) from otel_data.services)),
  ('partitions', (
    select count(*) from pg_inherits i
    where i.inhparent in ('otel_data.spans'::regclass, 'otel_data.logs'::regclass, 'otel_data.metric_points'::regclass)
  )),
  ('database_bytes', pg_database_size(current_database()))
) s (name, value);

comment on view otel.stats is 'Numbers about the store. schema_version: blocks of schema.sql that have run; spans, logs, metric_points: records stored so far, expired ones included; string_replacements: texts in which NUL or invalid UTF-8 became U+FFFD; services: services known; partitions: partitions of all signals, default ones included; database_bytes: size of the database on disk';
comment on column otel.stats.name is 'what is counted';
comment on column otel.stats.value is 'how much';

-- Functions for those who write SQL. All they need of otel_data is bound when they are created, so
-- otel_reader may call them.

create function otel.trace(id uuid) returns table (
  depth int,
  path int[],
  span_id text,
  parent_span_id text,
  service_name text,
  name text,
  kind text,
  start_time timestamptz,
  end_time timestamptz,
  duration_ms double precision,
  status text,
  status_message text,
  attributes jsonb,
  resource_attributes jsonb,
  events jsonb,
  links jsonb
)
language sql stable parallel safe
-- Nobody can tell how far a recursion goes: what is guessed makes compiling look cheap, which it is not.
set jit = off
begin atomic
  with recursive spans as materialized (
    select s.*, row_number() over (order by s.start_unix_nano, s.span_id)::int as n
    from otel.spans s
    where s.trace_id = id
  ),
  -- A parent that is missing is none; of several spans with one id the first is the parent.
  children as materialized (
    select s.n, p.n as parent
    from spans s
    left join (select f.span_id, min(f.n) as n from spans f group by f.span_id) p on p.span_id = s.parent_span_id
  ),
  rooted (n, path) as (
    select c.n, array[c.n] from children c where c.parent is null
    union all
    select c.n, r.path || c.n from rooted r join children c on c.parent = r.n
  ),
  -- What no root leads to goes round in a circle, which is cut before a span that is not later than
  -- its parent: each circle has one.
  circular as materialized (
    select c.n, c.parent, c.n <= c.parent as is_cut
    from children c
    where not exists (select from rooted r where r.n = c.n)
  ),
  cut (n, path) as (
    select c.n, array[c.n] from circular c where c.is_cut
    union all
    select c.n, r.path || c.n from cut r join circular c on c.parent = r.n and not c.is_cut
  )
  select
    cardinality(t.path) - 1, t.path,
    s.span_id, s.parent_span_id, s.service_name, s.name, s.kind, s.start_time, s.end_time,
    s.duration_ms, s.status, s.status_message, s.attributes, s.resource_attributes, s.events, s.links
  from (select * from rooted union all select * from cut) t
  join spans s on s.n = t.n
  order by t.path;
end;
comment on function otel.trace is 'The spans of a trace as a tree: each comes behind its parent, siblings by start; depth is 0 for a root, path holds the numbers of the spans from the root on. Parents that are missing make roots, circles are cut.
  select repeat(''  '', depth) || name as span, service_name, duration_ms from otel.trace(''5b8efff798038103d269b633813fc60c'') order by path';

-- The value that a fraction of a range lies below; written so that it does not overflow or underflow.
create function otel_data.between(lower double precision, upper double precision, fraction double precision)
returns double precision
language sql immutable parallel safe
return case
  when upper = 'Infinity' or fraction = 0 then lower
  when lower = '-Infinity' or fraction = 1 then upper
  else case when abs(lower) < 1e-250 then 0 else lower * (1 - fraction) end
    + case when abs(upper) < 1e-250 then 0 else upper * fraction end
end;

create function otel.histogram_quantile(
  q double precision, bucket_counts numeric[], explicit_bounds double precision[]
) returns double precision
language sql immutable strict parallel safe
return case
  when q = 'NaN' then 'NaN'
  when q < 0 then '-Infinity'
  when q > 1 then 'Infinity'
  when cardinality(bucket_counts) <> cardinality(explicit_bounds) + 1
    or explicit_bounds[cardinality(explicit_bounds)] = 'NaN'
    or explicit_bounds <> (select array_agg(distinct u.bound order by u.bound) from unnest(explicit_bounds) u (bound))
  then 'NaN'
  else coalesce((
    select case
      when b.at > cardinality(explicit_bounds) then explicit_bounds[b.at - 1]
      when b.at = 1 and explicit_bounds[1] <= 0 then explicit_bounds[1]
      else otel_data.between(
        case when b.at = 1 then 0 else explicit_bounds[b.at - 1] end,
        explicit_bounds[b.at],
        (q * b.total - b.below) / b.count
      )
    end
    from (
      select u.at::int as at, u.count::double precision as count,
        coalesce(sum(u.count::double precision) over (order by u.at rows between unbounded preceding and 1 preceding), 0) as below,
        sum(u.count::double precision) over () as total
      from unnest(bucket_counts) with ordinality u (count, at)
      where u.count > 0
    ) b
    where b.below + b.count >= q * b.total
    order by b.at
    limit 1
  ), 'NaN')
end;
comment on function otel.histogram_quantile is 'A quantile (0 to 1) of a histogram with explicit bounds, as Prometheus estimates it: measurements lie evenly in their bucket; the lowest begins at 0, and the highest bound stands for what is above it. NaN when nothing was measured. A cumulative point tells it of the time since its start.
  select time, otel.histogram_quantile(0.95, bucket_counts, explicit_bounds) as p95 from otel.metric_points where metric_name = ''http.server.request.duration'' and type = ''histogram'' order by time';

-- The end of bucket `index` - 1 of an exponential histogram; within what a double can hold.
create function otel_data.exponential_bound(index double precision, scale int) returns double precision
language sql immutable parallel safe
return power(
  2::double precision,
  greatest(-1074, least(index * power(2::double precision, -greatest(-900, least(scale, 900))), 1024 - power(2::double precision, -43)))
);

create function otel.exponential_histogram_quantile(
  q double precision,
  scale int,
  zero_count numeric,
  zero_threshold double precision,
  positive jsonb,
  negative jsonb
) returns double precision
language sql immutable parallel safe
return case
  when q is null or scale is null then null
  when q = 'NaN' then 'NaN'
  when q < 0 then '-Infinity'
  when q > 1 then 'Infinity'
  else (
    with buckets as materialized (
      select s.sign, (s.buckets ->> 'offset')::double precision + u.at - 1 as index, u.count::double precision as count
      from (values (1, positive), (-1, negative)) s (sign, buckets)
      cross join lateral jsonb_array_elements_text(s.buckets -> 'bucketCounts') with ordinality u (count, at)
      where u.count <> '0'
    ),
    -- Buckets that begin below the threshold belong to the zero bucket, which they may widen.
    inner_buckets as materialized (
      select
        coalesce(sum(b.count), 0) + coalesce(zero_count, 0)::double precision as count,
        greatest(
          max(otel_data.exponential_bound(b.index + 1, scale)) filter (where b.count > 0),
          least(z.threshold, 1.7976931348623157e308)
        ) as threshold,
        z.first
      from (
        select t.threshold, case
          when t.threshold > 0 then ceil(l.at - 1e-12 * abs(l.at))
          else '-Infinity'
        end as first
        from (select case when zero_threshold > 0 and zero_threshold <> 'NaN' then zero_threshold else 0 end) t (threshold)
        cross join lateral (
          select ln(case when t.threshold > 0 then t.threshold else 1 end) / ln(2::double precision)
            * power(2::double precision, greatest(-900, least(scale, 900)))
        ) l (at)
      ) z
      left join buckets b on b.index < z.first
      group by z.threshold, z.first
    ),
    parts as (
      select b.sign, b.index, b.count from buckets b, inner_buckets z where b.index >= z.first
      union all
      select 0, 0, z.count from inner_buckets z where z.count > 0
    )
    select coalesce((
      select case p.sign
        when 1 then otel_data.exponential_bound(p.index + p.fraction, scale)
        when -1 then -otel_data.exponential_bound(p.index + (1 - p.fraction), scale)
        else otel_data.between(
          case when p.has_positive and not p.has_negative then 0 else -z.threshold end,
          case when p.has_negative and not p.has_positive then 0 else z.threshold end,
          p.fraction
        )
      end
      from (
        select w.*, (q * w.total - w.below) / w.count as fraction
        from (
          select v.*,
            coalesce(sum(v.count) over (order by v.sign, v.sign * v.index rows between unbounded preceding and 1 preceding), 0) as below,
            sum(v.count) over () as total,
            bool_or(v.sign = 1) over () as has_positive,
            bool_or(v.sign = -1) over () as has_negative
          from parts v
        ) w
      ) p
      cross join inner_buckets z
      where p.below + p.count >= q * p.total
      order by p.sign, p.sign * p.index
      limit 1
    ), 'NaN')
  )
end;
comment on function otel.exponential_histogram_quantile is 'A quantile (0 to 1) of an exponential histogram, as Prometheus estimates it: measurements lie evenly in their bucket on a logarithmic scale, and evenly in the zero bucket. NaN when nothing was measured. A cumulative point tells it of the time since its start.
  select time, otel.exponential_histogram_quantile(0.95, scale, zero_count, zero_threshold, positive, negative) as p95 from otel.metric_points where metric_name = ''http.server.request.duration'' and type = ''exponential_histogram'' order by time';

-- The state of `increase` and `rate`: growth so far, null before the second point; what the last point
-- said; when the first one was.
create type otel_data.growth as (
  grown double precision,
  value double precision,
  start_time timestamptz,
  at timestamptz,
  since timestamptz
);

-- In plpgsql, because that takes a fifth of the time for each point. It names nothing of otel_data, of
-- which a reader knows nothing.
create function otel_data.grow(
  state otel_data.growth, value double precision, start_time timestamptz, at timestamptz
) returns otel_data.growth
language plpgsql immutable parallel safe
as $$
begin
  if value is null or value = 'NaN' then
    return state;
  elsif state.value is null then
    state.since := at;
  else
    state.grown := coalesce(state.grown, 0) + case
      when value < state.value or start_time > coalesce(state.start_time, state.at)
      then case when start_time >= at then 0 else value end
      else value - state.value
    end;
  end if;
  state.value := value;
  state.start_time := start_time;
  state.at := at;
  return state;
end $$;

create function otel_data.grown(state otel_data.growth) returns double precision
language sql immutable parallel safe
return state.grown;

create function otel_data.grown_a_second(state otel_data.growth) returns double precision
language sql immutable parallel safe
return case when state.at > state.since then state.grown / extract(epoch from state.at - state.since)::double precision end;

create aggregate otel.increase(value double precision, start_time timestamptz, at timestamptz) (
  sfunc = otel_data.grow, stype = otel_data.growth, finalfunc = otel_data.grown, parallel = safe
);
comment on aggregate otel.increase(double precision, timestamptz, timestamptz) is 'How much a cumulative counter has grown from the first to the last of its points, in the order given, across resets: a later start time, or a smaller value. Null for a single point. Of one series at a time; with ''rows 1 preceding'' as a window function, what each point adds:
  select date_bin(''1 minute'', time, ''epoch'') as minute, sum(grown) from (select time, otel.increase(value, start_time, time) over (partition by series_id order by time rows 1 preceding) as grown from otel.metric_points where metric_name = ''http.requests'' and temporality = ''CUMULATIVE'' and time > now() - interval ''1 hour'') p group by 1 order by 1';

create aggregate otel.rate(value double precision, start_time timestamptz, at timestamptz) (
  sfunc = otel_data.grow, stype = otel_data.growth, finalfunc = otel_data.grown_a_second, parallel = safe
);
comment on aggregate otel.rate(double precision, timestamptz, timestamptz) is 'How much a cumulative counter has grown a second, as otel.increase does, between its first and last point:
  select attributes, otel.rate(value, start_time, time order by time) from otel.metric_points where metric_name = ''http.requests'' and temporality = ''CUMULATIVE'' and time > now() - interval ''5 minutes'' group by series_id, attributes';

-- Reading is granted to a role of its own, on the views alone. Where this user may not create roles
-- nothing is lost: the owner reads, and can grant the same later to whom they like. Roles belong to
-- the whole cluster: another database may be creating it at this moment.
do $$
begin
  if not exists (select from pg_roles where rolname = 'otel_reader') then
    create role otel_reader nologin;
  end if;
exception
  when insufficient_privilege or duplicate_object or unique_violation then null;
end $$;
do $$
begin
  grant usage on schema otel to otel_reader;
  grant select on all tables in schema otel to otel_reader;
exception
  when undefined_object or insufficient_privilege then null;
end $$;

commit;
