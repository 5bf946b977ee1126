-- The baseline: telemetry in the schema that comes to mind first, as somebody who knows Postgres would
-- write it in an afternoon.
--
-- FROZEN: not to be tuned. Ratios of one day are compared with those of another, so nothing here
-- changes when our own tables do.
--
--   * ids of resources, scopes, names and services instead of their texts, in small tables of their own;
--   * trace ids as uuid, span ids as bigint, fixed-width columns first;
--   * all attributes of a record in one jsonb, events and links inline;
--   * a metric point: its value, its labels in one jsonb, and the metric by id; no table of series;
--   * partitions by day in UTC, one btree on the trace, one on who and when, a BRIN on time, no GIN.
--
-- `plain.fill_…` takes over what the public views of schema `otel` show, so that both layouts hold the
-- same records.

create schema plain;

create table plain.services (id int primary key, name text not null);
create table plain.resources (id bigint primary key, attributes jsonb not null);
create table plain.scopes (id bigint primary key, name text, version text);
create table plain.names (id bigint primary key, name text not null);
create table plain.metrics (
  id bigint primary key,
  name text not null,
  type text not null,
  unit text,
  description text,
  temporality text,
  is_monotonic boolean
);

create table plain.spans (
  trace_id uuid not null,
  span_id bigint not null,
  parent_span_id bigint,
  time timestamptz not null,
  duration_ns bigint not null,
  resource_id bigint not null,
  scope_id bigint not null,
  name_id bigint not null,
  service_id int,
  flags int not null,
  time_frac smallint not null,
  kind smallint not null,
  status smallint not null,
  trace_state text,
  status_message text,
  attributes jsonb not null,
  events jsonb,
  links jsonb
) partition by range (time);
create index on plain.spans (trace_id);
create index on plain.spans (service_id, time);
create index on plain.spans using brin (time);

create table plain.logs (
  time timestamptz not null,
  observed_time timestamptz,
  resource_id bigint not null,
  scope_id bigint not null,
  trace_id uuid,
  span_id bigint,
  service_id int,
  flags int not null,
  time_frac smallint not null,
  severity_number smallint not null,
  severity_text text,
  event_name text,
  body text,
  attributes jsonb not null
) partition by range (time);
create index on plain.logs (trace_id) where trace_id is not null;
create index on plain.logs (service_id, time);
create index on plain.logs using brin (time);

create table plain.metric_points (
  time timestamptz not null,
  start_time timestamptz,
  metric_id bigint not null,
  resource_id bigint not null,
  scope_id bigint not null,
  value double precision,
  count bigint,
  sum double precision,
  min double precision,
  max double precision,
  service_id int,
  flags int not null,
  labels jsonb not null,
  bucket_counts bigint[],
  explicit_bounds double precision[],
  -- What exponential histograms and summaries have besides.
  buckets jsonb,
  exemplars jsonb
) partition by range (time);
create index on plain.metric_points (metric_id, time);
create index on plain.metric_points using brin (time);

-- Makes the partitions of the days from `since` until `until`, with both.
create procedure plain.make_days(since timestamptz, until timestamptz)
language plpgsql
set timezone = 'UTC'
as $$
declare
  day timestamptz;
  signal_table text;
begin
  for day in select generate_series(date_trunc('day', since), date_trunc('day', until), '1 day') loop
    foreach signal_table in array array['spans', 'logs', 'metric_points'] loop
      execute format(
        'create table if not exists plain.%I partition of plain.%I for values from (%L) to (%L)',
        signal_table || to_char(day, '_YYYYMMDD'), signal_table, day, day + interval '1 day'
      );
    end loop;
  end loop;
end $$;

create procedure plain.fill_spans()
language sql
begin atomic
  insert into plain.services
  select distinct hashtext(service_name), service_name from otel.spans where service_name is not null
  on conflict do nothing;
  insert into plain.resources
  select distinct hashtextextended(resource_attributes::text, 0), resource_attributes from otel.spans
  on conflict do nothing;
  insert into plain.scopes
  select distinct hashtextextended(concat_ws('@', scope_name, scope_version), 0), scope_name, scope_version
  from otel.spans
  on conflict do nothing;
  insert into plain.names select distinct hashtextextended(name, 0), name from otel.spans
  on conflict do nothing;
  insert into plain.spans
  select
    trace_id, ('x' || span_id)::bit(64)::bigint, ('x' || parent_span_id)::bit(64)::bigint,
    start_time, duration_ns,
    hashtextextended(resource_attributes::text, 0),
    hashtextextended(concat_ws('@', scope_name, scope_version), 0),
    hashtextextended(name, 0), hashtext(service_name),
    flags::int, (start_unix_nano % 1000)::smallint,
    array_position(array['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'], kind) - 1,
    array_position(array['UNSET', 'OK', 'ERROR'], status) - 1,
    nullif(trace_state, ''), nullif(status_message, ''),
    attributes, nullif(events, '[]'), nullif(links, '[]')
  from otel.spans;
end;

create procedure plain.fill_logs()
language sql
begin atomic
  insert into plain.services
  select distinct hashtext(service_name), service_name from otel.logs where service_name is not null
  on conflict do nothing;
  insert into plain.resources
  select distinct hashtextextended(resource_attributes::text, 0), resource_attributes from otel.logs
  on conflict do nothing;
  insert into plain.scopes (id, name)
  select distinct hashtextextended(coalesce(scope_name, ''), 0), scope_name from otel.logs
  on conflict do nothing;
  insert into plain.logs
  select
    time, observed_time,
    hashtextextended(resource_attributes::text, 0), hashtextextended(coalesce(scope_name, ''), 0),
    trace_id, ('x' || span_id)::bit(64)::bigint, hashtext(service_name),
    flags::int, (time_unix_nano % 1000)::smallint, severity_number,
    nullif(severity_text, ''), nullif(event_name, ''), message, attributes
  from otel.logs;
end;

create procedure plain.fill_metric_points()
language sql
begin atomic
  insert into plain.services
  select distinct hashtext(service_name), service_name from otel.metric_points
  where service_name is not null
  on conflict do nothing;
  insert into plain.resources
  select distinct hashtextextended(resource_attributes::text, 0), resource_attributes
  from otel.metric_points
  on conflict do nothing;
  insert into plain.scopes (id, name)
  select distinct hashtextextended(coalesce(scope_name, ''), 0), scope_name from otel.metric_points
  on conflict do nothing;
  insert into plain.metrics
  select distinct
    hashtextextended(concat_ws('@', metric_name, type, unit), 0),
    metric_name, type, unit, description, temporality, is_monotonic
  from otel.metric_points
  on conflict do nothing;
  insert into plain.metric_points
  select
    time, start_time,
    hashtextextended(concat_ws('@', metric_name, type, unit), 0),
    hashtextextended(resource_attributes::text, 0), hashtextextended(coalesce(scope_name, ''), 0),
    value, count::bigint, sum, min, max, hashtext(service_name), flags::int, attributes,
    bucket_counts::bigint[], explicit_bounds,
    case
      when type = 'exponential_histogram' then jsonb_build_object(
        'scale', scale, 'zeroCount', zero_count, 'positive', positive, 'negative', negative
      )
      when type = 'summary' then quantiles
    end,
    nullif(exemplars, '[]')
  from otel.metric_points;
end;
