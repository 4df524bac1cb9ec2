-- Events that are held until their time. They are no events yet: no reader sees them, and no retention counts them.

create table evt.scheduled (
  number         bigint generated always as identity primary key,
  deliver_at     timestamptz not null,
  scheduled_at   timestamptz not null default clock_timestamp(),
  -- Null: the class that its type has when it is due.
  class          text,
  id             text not null,
  type           text not null,
  version        integer not null default 1,
  source         text not null,
  time           timestamptz not null default clock_timestamp(),
  subject        text,
  sequence       bigint,
  tenant         text,
  correlation_id text,
  causation_id   text,
  traceparent    text,
  user_id        text,
  session_id     text,
  priority       text not null default 'normal',
  metadata       json,
  data           json not null,
  checksum       text,
  event_key      bytea
);
create index scheduled_due on evt.scheduled (deliver_at, number);

-- As evt.publish, but held until `deliver_at`.
create function evt.publish_at(
  deliver_at     timestamptz,
  type           text,
  data           json,
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
  class          text default null,
  event_key      bytea default null
) returns text language plpgsql as $$
declare
  size bigint := octet_length(data::text);
begin
  if size > 1048576 then
    raise exception 'cannot publish %: % bytes of data, the limit is 1048576', type, size using errcode = 'EV003';
  end if;
  id := coalesce(id, evt.uuid7()::text);
  insert into evt.scheduled (deliver_at, class, id, type, version, source, time, subject, sequence, tenant, correlation_id,
    causation_id, traceparent, user_id, session_id, priority, metadata, data, checksum, event_key)
  values (deliver_at, class, id, type, version, coalesce(source, nullif(current_setting('application_name'), ''), 'sql'),
    coalesce("time", clock_timestamp()), subject, sequence, tenant, correlation_id,
    causation_id, traceparent, user_id, session_id, priority, metadata, data, evt.checksum_of(data), event_key);
  return id;
end $$;

-- Publishes at most `most` of what is due, in the order of their times: how many, and in how many ms the next is due. Moving is one
-- transaction, so each is published exactly once, whoever dies. One process at a time, so that nothing overtakes; others do nothing.
create function evt.deliver_due(most integer, out delivered integer, out next_ms double precision)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  moment timestamptz := clock_timestamp();
begin
  delivered := 0;
  if not pg_try_advisory_xact_lock(hashtextextended('evt.scheduled', 0)) then
    return;
  end if;
  with due as (
    select number from evt.scheduled where deliver_at <= moment order by deliver_at, number limit most for update
  ), gone as (
    delete from evt.scheduled s using due where s.number = due.number returning s.*
  ), moved as (
    insert into evt.outbox (class, id, type, version, source, time, subject, sequence, tenant, correlation_id,
      causation_id, traceparent, user_id, session_id, priority, metadata, data, checksum, event_key)
    select coalesce(class, evt.class_of(type)), id, type, version, source, time, subject, sequence, tenant, correlation_id,
      causation_id, traceparent, user_id, session_id, priority, metadata, data, checksum, event_key
    from gone order by deliver_at, number
    returning 1
  )
  select count(*) into delivered from moved;
  select extract(epoch from min(deliver_at) - clock_timestamp()) * 1000 into next_ms from evt.scheduled;
end $$;

-- Who may publish may publish for later. Only the line is added, whatever grant_roles does by now.
do $$
begin
  execute replace(pg_get_functiondef('evt.grant_roles'::regproc), 'grant insert on evt.outbox to evt_publisher;',
    'grant insert on evt.outbox, evt.scheduled to evt_publisher;');
end $$;

select evt.grant_roles();
