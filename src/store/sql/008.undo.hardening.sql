create or replace function evt.ensure_group(group_name text, lane_count integer, start_after bigint) returns integer language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  insert into evt.groups (name, lanes, start) values (group_name, lane_count, start_after) on conflict do nothing;
  if found then
    insert into evt.lanes (group_name, lane, position) select group_name, n, start_after from generate_series(0, lane_count - 1) n;
    insert into evt.lane_starts (group_name, lane, started_to) select group_name, n, start_after from generate_series(0, lane_count - 1) n;
  end if;
  return (select lanes from evt.groups where name = group_name);
end $$;
drop function evt.salvage, evt.place_stored, evt.lane_of;
do $$
declare
  step text := pg_get_functiondef('evt.tick'::regproc);
begin
  execute replace(step, 'if sequenced > 0 and pg_notification_queue_usage() < 0.5 then', 'if sequenced > 0 then');
end $$;
drop function evt.publish_many(text), evt.publish_many(jsonb),
  evt.publish(text, text, text, integer, text, text, timestamptz, bigint, text, text, text, text, text, text, text, json, text, bytea),
  evt.publish(text, jsonb, text, integer, text, text, timestamptz, bigint, text, text, text, text, text, text, text, jsonb, text, bytea);
