-- Upkeep of the time partitions: create-or-replace functions, applied whole at each migrate.
--
--   ensure             makes the partitions of a time range that are missing
--   list               the partitions of a table, newest first
--   seal               finishes a closed partition: dense indexes, more of them (on services, errors, durations), statistics
--   seal_steps         the same as a list of statements, which can then run one by one without locks
--   expire             drops a partition that is wholly older than a cutoff
--   expire_dimensions  deletes what only expired records had named, and what they were found by
--
--   unsigned           when the rows are that no search by terms would find
--   spans_of_trace     the spans of a trace
--   logs_of_trace      its log records
--
-- Nothing here looks at a clock: times are arguments. Nothing here waits more than a second for a
-- lock, because whoever comes after a waiting lock waits too; a call that fails with SQLSTATE 55P03
-- has changed nothing and can be made again. Bounds are in UTC whatever the session's time zone.
--
-- A function whose arguments or result change has to be dropped here before it is created.

begin;

-- The parts of [from_time, to_time), widened to whole slots of that width, that no partition covers.
-- A slot that is partly covered gives what is left of it: so a new width begins where the old
-- partitions end.
create or replace function otel_data.gaps(
  signal_table text, from_time timestamptz, to_time timestamptz, width text
) returns setof tstzrange
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
  with taken as (
    select coalesce(range_agg(otel_data.partition_range(i.inhrelid)), '{}') as ranges
    from pg_inherits i
    where i.inhparent = format('otel_data.%I', signal_table)::regclass
  )
  select gap
  from
    taken,
    generate_series(
      date_trunc(width, from_time), to_time - interval '1 microsecond', ('1 ' || width)::interval
    ) as slot,
    unnest(tstzmultirange(tstzrange(slot, slot + ('1 ' || width)::interval)) - taken.ranges) as gap
  where gap && tstzrange(from_time, to_time)
  order by gap
$$;

-- spans_202611, spans_20261123_week, spans_20261123, spans_2026112305; a range that is no whole slot
-- has both ends: spans_2026112605_2026113000.
create or replace function otel_data.partition_name(signal_table text, range tstzrange) returns text
language sql stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
  select signal_table || '_' || coalesce(
    (
      select to_char(lower(range), w.format)
      from (values
        ('hour', 'YYYYMMDDHH24'), ('day', 'YYYYMMDD'), ('week', 'YYYYMMDD"_week"'), ('month', 'YYYYMM')
      ) w (width, format)
      where range = tstzrange(
        date_trunc(w.width, lower(range)), date_trunc(w.width, lower(range)) + ('1 ' || w.width)::interval
      )
    ),
    to_char(lower(range), 'YYYYMMDDHH24') || to_char(upper(range), '_YYYYMMDDHH24')
  )
$$;

create or replace function otel_data.check_signal_table(signal_table text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if signal_table is null or signal_table not in ('spans', 'logs', 'metric_points') then
    raise exception 'signal table is spans, logs or metric_points: %', coalesce(signal_table, 'null')
      using errcode = 'invalid_parameter_value';
  end if;
end $$;

-- Makes the partitions that [from_time, to_time) lacks, in slots of `width` (hour, day, week from
-- Monday, month), and returns their names. Rows of theirs in the default partition move along.
-- Callers at the same time take turns. Readers wait only while a partition is attached, writers not
-- even then, unless rows have to move.
create or replace function otel_data.ensure(
  signal_table text, from_time timestamptz, to_time timestamptz, width text
) returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
set lock_timeout = '1s'
as $$
declare
  default_partition text := signal_table || '_default';
  gaps tstzrange[];
  gap tstzrange;
  name text;
  moved bigint;
  moved_any boolean := false;
begin
  perform otel_data.check_signal_table(signal_table);
  if width is null or width not in ('hour', 'day', 'week', 'month') then
    raise exception 'partition width is hour, day, week or month: %', coalesce(width, 'null')
      using errcode = 'invalid_parameter_value';
  end if;
  if from_time >= to_time then
    return;
  end if;
  if not (isfinite(from_time) and isfinite(to_time))
    or to_time > from_time + 1000 * ('1 ' || width)::interval
  then
    raise exception 'range to make partitions for is at most 1000 of width %: % to %', width, from_time, to_time
      using errcode = 'invalid_parameter_value';
  end if;

  -- Looked up without a lock first: who finds nothing to do waits for nobody.
  if not exists (select from otel_data.gaps(signal_table, from_time, to_time, width)) then
    return;
  end if;
  execute format('lock table only otel_data.%I in share update exclusive mode', signal_table);
  gaps := array(select otel_data.gaps(signal_table, from_time, to_time, width));

  -- Made apart, so that nobody waits for it. The check spares the attaching a look at every row.
  foreach gap in array gaps loop
    name := otel_data.partition_name(signal_table, gap);
    -- Detached by hand, perhaps to keep it. Nothing is lost without: the default partition takes its rows.
    if to_regclass(format('otel_data.%I', name)) is not null then
      raise exception 'otel_data.% is in the way of the partition of that name: rename or drop it', name
        using errcode = 'duplicate_table';
    end if;
    execute format('create table otel_data.%I (like otel_data.%I including all excluding comments)', name, signal_table);
    execute format('alter table otel_data.%I add constraint bounds check (time >= %L and time < %L)', name, lower(gap), upper(gap));
    execute format(
      'with moved as (delete from otel_data.%I where time >= $1 and time < $2 returning *) insert into otel_data.%I select * from moved',
      default_partition, name
    ) using lower(gap), upper(gap);
    get diagnostics moved = row_count;
    moved_any := moved_any or moved > 0;
  end loop;

  -- Where rows came in for these ranges more may be on their way to the default partition. A writer
  -- that is under way would then fail, because its row no longer belongs there: so it goes first.
  if moved_any then
    execute format('lock table only otel_data.%I in exclusive mode', signal_table);
  end if;
  execute format('lock table otel_data.%I in access exclusive mode', default_partition);
  foreach gap in array gaps loop
    name := otel_data.partition_name(signal_table, gap);
    execute format(
      'with moved as (delete from otel_data.%I where time >= $1 and time < $2 returning *) insert into otel_data.%I select * from moved',
      default_partition, name
    ) using lower(gap), upper(gap);
    execute format('alter table otel_data.%I attach partition otel_data.%I for values from (%L) to (%L)', signal_table, name, lower(gap), upper(gap));
    execute format('alter table otel_data.%I drop constraint bounds', name);
    return next name;
  end loop;
end $$;

-- The partitions of a table, newest first, without the default one.
create or replace function otel_data.list(signal_table text)
returns table (name text, range_start timestamptz, range_end timestamptz, sealed boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform otel_data.check_signal_table(signal_table);
  return query
    select
      c.relname::text, lower(r.range), upper(r.range),
      exists (select from otel_data.sealed s where s.partition = c.relname)
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    cross join lateral (select otel_data.partition_range(c.oid) as range) r
    where i.inhparent = format('otel_data.%I', signal_table)::regclass and r.range is not null
    order by lower(r.range) desc;
end $$;

-- The table that a partition belongs to: spans, logs or metric_points. Null for what is none of our
-- partitions, and for the default ones.
create or replace function otel_data.signal_table_of(partition text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select p.relname::text
  from pg_class c
  join pg_inherits i on i.inhrelid = c.oid
  join pg_class p on p.oid = i.inhparent
  where c.relname = partition and c.relnamespace = 'otel_data'::regnamespace
    and p.relnamespace = c.relnamespace and p.relname in ('spans', 'logs', 'metric_points')
    and otel_data.partition_range(c.oid) is not null
$$;

-- What finishes a partition, as statements; none when it is finished. With `online` each has to
-- run outside of a transaction, and neither readers nor writers wait for it.
create or replace function otel_data.seal_steps(partition text, online boolean)
returns setof text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  signal_table text := otel_data.signal_table_of(partition);
  how text := case when online then ' concurrently' else '' end;
  errors text := case signal_table when 'spans' then 'status = 2' when 'logs' then 'severity_number >= 17' end;
begin
  if signal_table is null then
    raise exception 'what is sealed is a partition by time of spans, logs or metric_points: %', partition
      using errcode = 'undefined_table';
  end if;
  if exists (select from otel_data.sealed s where s.partition = partition) then
    return;
  end if;
  -- What an interrupted rebuild left behind.
  return query
    select format('drop index%s if exists otel_data.%I', how, c.relname)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = format('otel_data.%I', partition)::regclass and not i.indisvalid;
  -- Few rows come after the end of its time, so its pages need no room for more.
  return query
    select format('alter index otel_data.%I set (fillfactor = 100)', c.relname)
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam
    where i.indrelid = format('otel_data.%I', partition)::regclass and i.indisvalid and a.amname = 'btree';
  -- One by one, so that others can have the machine in between.
  return query
    select format('reindex index%s otel_data.%I', how, c.relname)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = format('otel_data.%I', partition)::regclass and i.indisvalid;
  if errors is not null then
    return next format(
      'create index%s if not exists %I on otel_data.%I (service_id, time) with (fillfactor = 100)',
      how, partition || '_service', partition
    );
    return next format(
      'create index%s if not exists %I on otel_data.%I (service_id, time) where %s',
      how, partition || '_errors', partition, errors
    );
  end if;
  if signal_table = 'spans' then
    return next format(
      'create index%s if not exists %I on otel_data.%I (service_id, duration_ns)',
      how, partition || '_duration', partition
    );
  end if;
  return next format('analyze otel_data.%I', partition);
  return next format(
    'insert into otel_data.sealed (partition, range_start, range_end) select %L, lower(r), upper(r) from otel_data.partition_range(%L::regclass) r on conflict do nothing',
    partition, format('otel_data.%I', partition)
  );
end $$;

-- Finishes a partition that no longer grows; says whether there was something to do. Its writers wait
-- meanwhile, and its readers while each index is rebuilt: `maintain` runs the steps instead.
create or replace function otel_data.seal(partition text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  step text;
  done boolean := false;
begin
  for step in select otel_data.seal_steps(partition, false) loop
    execute step;
    done := true;
  end loop;
  return done;
end $$;

-- Drops a partition if everything in it is older than the cutoff; says whether it did. Never a
-- default partition. (DETACH … CONCURRENTLY is refused where a default partition exists.)
create or replace function otel_data.expire(partition text, cutoff timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_variable
declare
  signal_table text := otel_data.signal_table_of(partition);
begin
  if signal_table is null then
    return false;
  end if;
  execute format('lock table only otel_data.%I in access exclusive mode', signal_table);
  -- Asked under the lock: another caller may have dropped it, and it may have been made anew.
  if not exists (
    select from otel_data.list(signal_table) l where l.name = partition and l.range_end <= cutoff
  ) then
    return false;
  end if;
  execute format('alter table otel_data.%I detach partition otel_data.%I', signal_table, partition);
  execute format('drop table otel_data.%I', partition);
  delete from otel_data.sealed s where s.partition = partition;
  return true;
end $$;

-- Deletes the services, resources, scopes, names, attribute sets, metrics and series that no record
-- can name any more, and returns how many. Writers renew `last_used` daily, and a record is at most two days and
-- the width of a partition ahead of its arrival. So what was last used that long before the cutoff,
-- and before the oldest partition that is still there, is named by nothing but rows of the default
-- partitions: those are looked through. Rows that a writer is just renewing are left to it.
create or replace function otel_data.expire_dimensions(cutoff timestamptz) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
  horizon date := (
    select
      least(cutoff, min(l.range_start))
      - coalesce(max(l.range_end - l.range_start), interval '0') - interval '2 days'
    from unnest(array['spans', 'logs', 'metric_points']) t (signal_table), otel_data.list(t.signal_table) l
  )::date;
  deleted bigint;
  total bigint := 0;
  step record;
begin
  -- What names others goes first.
  for step in
    select * from (values
      ('series', array['metric_points_default.series_id']),
      ('metrics', array['series.metric_id']),
      ('names', array['spans_default.name_id']),
      ('attribute_sets', array['spans_default.attribute_set_id', 'logs_default.attribute_set_id']),
      ('scopes', array['spans_default.scope_id', 'logs_default.scope_id', 'series.scope_id']),
      ('resources', array['spans_default.resource_id', 'logs_default.resource_id', 'series.resource_id']),
      ('services', array['spans_default.service_id', 'logs_default.service_id', 'series.service_id', 'resources.service_id'])
    ) s (dimension, named_by)
  loop
    execute format(
      'delete from otel_data.%I where id in (select d.id from otel_data.%I d where d.last_used < $1 %s order by d.id for update skip locked)',
      step.dimension, step.dimension,
      (
        select string_agg(
          format(
            ' and not exists (select from otel_data.%I r where r.%I = d.id)',
            split_part(reference, '.', 1), split_part(reference, '.', 2)
          ), ''
        )
        from unnest(step.named_by) reference
      )
    ) using horizon;
    get diagnostics deleted = row_count;
    total := total + deleted;
  end loop;
  -- Terms and signatures have no other rows than those, either. Without them rows are looked at always.
  if exists (select from otel_data.granule_terms where stored_on < horizon)
    or exists (select from otel_data.signatures where stored_on < horizon)
  then
    update otel_data.spans_default set granule = 0 where granule <> 0;
    update otel_data.logs_default set granule = 0 where granule <> 0;
    delete from otel_data.granule_terms where stored_on < horizon;
    delete from otel_data.signatures where stored_on < horizon;
  end if;
  return total;
end $$;

-- Reads of all partitions, in functions because those keep their plans: to plan them takes many times as
-- long as to run them.

-- The earliest and latest time of the rows of a range that are in no granule; null where there are none.
create or replace function otel_data.unsigned(
  signal text, since timestamptz, until timestamptz, out first timestamptz, out last timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
  if signal = 'traces' then
    select min(t.time), max(t.time) into first, last
    from otel_data.spans t where t.granule = 0 and t.time between since and until;
  else
    select min(t.time), max(t.time) into first, last
    from otel_data.logs t where t.granule = 0 and t.time between since and until;
  end if;
end $$;

create or replace function otel_data.spans_of_trace(id uuid) returns setof otel_data.spans
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
  return query select t.* from otel_data.spans t where t.trace_id = id;
end $$;

create or replace function otel_data.logs_of_trace(id uuid) returns setof otel_data.logs
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
  return query select t.* from otel_data.logs t where t.trace_id = id;
end $$;

commit;
