-- What the first weeks of use asked for: more ways to publish from SQL, and no step that a full notification queue can fail.

-- `evt.publish` for whoever has jsonb at hand. Its data is stored as PostgreSQL prints it; the text of json stays as written.
create function evt.publish(
  type           text,
  data           jsonb,
  subject        text default null,
  version        integer default 1,
  source         text default null,
  id             text default null,
  "time"         timestamptz default null,
  sequence       bigint default null,
  tenant         text default null,
  correlation_id text default null,
  causation_id   text default null,
  traceparent    text default null,
  user_id        text default null,
  session_id     text default null,
  priority       text default 'normal',
  metadata       jsonb default null,
  class          text default 'default',
  event_key      bytea default null
) returns text language sql as $$
  select evt.publish(type, data::json, subject, version, source, id, "time", sequence, tenant, correlation_id, causation_id,
    traceparent, user_id, session_id, priority, metadata::json, class, event_key)
$$;

-- And for text. With json and jsonb only, a literal or a parameter without a type would be ambiguous: given the choice, PostgreSQL
-- takes those for text.
create function evt.publish(
  type           text,
  data           text,
  subject        text default null,
  version        integer default 1,
  source         text default null,
  id             text default null,
  "time"         timestamptz default null,
  sequence       bigint default null,
  tenant         text default null,
  correlation_id text default null,
  causation_id   text default null,
  traceparent    text default null,
  user_id        text default null,
  session_id     text default null,
  priority       text default 'normal',
  metadata       json default null,
  class          text default 'default',
  event_key      bytea default null
) returns text language sql as $$
  select evt.publish(type, data::json, subject, version, source, id, "time", sequence, tenant, correlation_id, causation_id,
    traceparent, user_id, session_id, priority, metadata, class, event_key)
$$;

create function evt.publish_many(events jsonb) returns setof text language sql as $$ select evt.publish_many(events::json) $$;
create function evt.publish_many(events text) returns setof text language sql as $$ select evt.publish_many(events::json) $$;

-- A full queue (somebody listens and does not read) would fail every step of the sequencer: then its readers look by themselves.
do $$
declare
  step text := pg_get_functiondef('evt.tick'::regproc);
begin
  execute replace(step, 'if sequenced > 0 then', 'if sequenced > 0 and pg_notification_queue_usage() < 0.5 then');
end $$;

-- The lane, among so many, of what was stored for later in a lane of the log. Without a subject it has no order: any lane will do.
create function evt.lane_of(subject text, former text, lanes integer) returns text language sql immutable
as $$ select 'log/' || coalesce(evt.slot_of(subject), substr(former, 5)::integer) % lanes $$;

-- Puts what a group's handler stored for later into the lanes that the group has now: nobody else would find it there.
create function evt.place_stored(group_name text) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  count integer := (select lanes from evt.groups where name = group_name);
begin
  update evt.deliveries d set lane = evt.lane_of(subject, lane, count)
    where handler = group_name and lane ~ '^log/[0-9]+$' and lane <> evt.lane_of(subject, lane, count);
  update evt.parked_subjects p set lane = evt.lane_of(subject, lane, count)
    where handler = group_name and lane ~ '^log/[0-9]+$' and lane <> evt.lane_of(subject, lane, count);
  update evt.dead_letters l set lane = evt.lane_of(subject, lane, count)
    where handler = group_name and lane ~ '^log/[0-9]+$' and lane <> evt.lane_of(subject, lane, count);
end $$;

-- As before (003); a group that is made again, perhaps with another number of lanes, finds what it had stored.
create or replace function evt.ensure_group(group_name text, lane_count integer, start_after bigint) returns integer language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  insert into evt.groups (name, lanes, start) values (group_name, lane_count, start_after) on conflict do nothing;
  if found then
    insert into evt.lanes (group_name, lane, position) select group_name, n, start_after from generate_series(0, lane_count - 1) n;
    insert into evt.lane_starts (group_name, lane, started_to) select group_name, n, start_after from generate_series(0, lane_count - 1) n;
    perform evt.place_stored(group_name);
  end if;
  return (select lanes from evt.groups where name = group_name);
end $$;
select evt.place_stored(name) from evt.groups;

-- What can be read of the first event after a position, column by column, where reading it as a whole fails: a damaged page, a
-- lost piece of a long value. Null when there is none. `damaged` says what could not be read, and why.
create function evt.salvage(p_after bigint) returns json language plpgsql
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set enable_seqscan = off as $$
declare
  most    constant integer := 16 * 1024 * 1024;
  at      bigint := p_after + 1;
  entry   evt.log;
  leaf    regclass;
  field   record;
  value   text;
  found   jsonb := '{}';
  damaged jsonb := '{}';
begin
  begin
    select min(position) into at from evt.log where position > p_after;
    if at is null then return null; end if;
    select * into strict entry from evt.log where position = at;
    leaf := format('evt.outbox_%s_%s', entry.class, to_char(entry.day, 'YYYYMMDD'))::regclass;
  exception when others then
    damaged := damaged || jsonb_build_object('log', sqlerrm);
  end;
  for field in
    select attname as name, format(case when atttypid = 'timestamptz'::regtype
      then 'to_char(%I, ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')' else '%I::text' end, attname) as expression
    from pg_attribute where attrelid = leaf and attnum > 0 and not attisdropped and attname not in ('xid', 'seq', 'day', 'event_key')
  loop
    begin
      execute format('select %s from only %s where xid = $1 and seq = $2', field.expression, leaf) into value using entry.xid, entry.seq;
      if octet_length(value) > most then
        damaged := damaged || jsonb_build_object(field.name, format('%s bytes are more than %s', octet_length(value), most));
      elsif value is not null then
        found := found || jsonb_build_object(field.name, value);
      end if;
    exception when others then
      damaged := damaged || jsonb_build_object(field.name, sqlerrm);
    end;
  end loop;
  return json_build_object('position', coalesce(at, p_after + 1)::text, 'slot', coalesce(entry.slot, 0), 'leaf', leaf::text,
    'sequenced_ms', date_part('epoch', entry.sequenced_at) * 1000, 'columns', found, 'damaged', damaged);
end $$;
