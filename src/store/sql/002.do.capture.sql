-- Change capture of application tables. `evt capture add` generates one specialised trigger function per table and
-- operation (no dynamic SQL, no generic loop in a writer's path); this table remembers what was asked for.

create table evt.captures (
  table_schema text not null,
  table_name   text not null,
  entity       text not null,
  mode         text not null check (mode in ('row', 'statement')),
  columns      text[] not null,   -- what is captured; differs from the table's columns when those were changed since
  options      json not null,     -- as given, to generate the functions again
  created_at   timestamptz not null default clock_timestamp(),
  primary key (table_schema, table_name)
);

-- The event on a plain NOTIFY channel, for those who listen there. Beyond NOTIFY's limit only the reference travels.
-- A queue that is half full (somebody listens and does not read) is left alone: overflowing would fail the writer's commit.
create function evt.capture_notify(
  channel text, id text, type text, data json, "time" timestamptz, correlation_id text
) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  head text := json_build_object('event_type', type, 'event_id', id, 'timestamp', "time", 'correlation_id', correlation_id)::text;
  full_payload text := left(head, -1) || ', ' || substr(btrim(data::text), 2);
begin
  if pg_notification_queue_usage() < 0.5 then
    perform pg_notify(channel, case when octet_length(full_payload) <= 7900 then full_payload else head end);
  end if;
end $$;

-- What the trigger on evt.outbox does for other writers (001). Captures write to their class's partition, which spares
-- them one step of routing and a trigger, and so look at `evt.parked` themselves: after the row is written.
create function evt.capture_wake() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if evt.notifies() and pg_notification_queue_usage() < 0.5 then
    perform pg_notify('evt_wake', '');
  end if;
end $$;
