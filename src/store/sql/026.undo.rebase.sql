drop function evt.rebase, evt.ahead, evt.bodiless, evt.unplaced;

create or replace function evt.check_identity() returns void language plpgsql as $$
declare
  was  evt.relay;
  here bigint := (select system_identifier from pg_control_system());
begin
  select * into strict was from evt.relay;
  if was.system_identifier <> here or was.timeline <> evt.timeline() then
    raise exception 'the cursor belongs to cluster % timeline %, this is cluster % timeline %',
      was.system_identifier, was.timeline, here, evt.timeline() using errcode = 'EV007', hint = 'nothing was skipped and nothing is sequenced here; point evt at the cluster that it used, or restore that one';
  end if;
end $$;

create or replace function evt.lead(me text, lease_ms integer) returns bigint language plpgsql as $$
declare
  won  bigint;
begin
  update evt.relay set leader = me, epoch = epoch + 1, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
  where leader is null or coalesce(lease_until < clock_timestamp(), true)
  returning epoch into won;
  if won is null then
    return null;
  end if;
  perform evt.check_identity();
  loop
    begin
      insert into evt.ticks
      select tick + 1, won, clock_timestamp(), head, snapshot, next_snapshot, after_seq, near_day, near_leaves, far_snapshot,
        far_at, duplicates, refused, far_leaves
      from evt.ticks order by tick desc limit 1;
      return won;
    exception when unique_violation then
      -- The former leader finished one more step while we waited for it: after that one, then.
    end;
  end loop;
end $$;

create or replace function evt.settle_lanes(p_groups text[], p_lanes smallint[], p_epochs bigint[], p_positions bigint[]) returns void
language plpgsql set lock_timeout = '1s' set plan_cache_mode = force_generic_plan as $$
declare
  kept integer;
begin
  update evt.lanes l set position = greatest(l.position, v.position)
  from unnest(p_groups, p_lanes, p_epochs, p_positions) v (group_name, lane, epoch, position)
  where l.group_name = v.group_name and l.lane = v.lane and l.epoch = v.epoch;
  get diagnostics kept = row_count;
  if kept <> cardinality(p_lanes) then
    raise exception 'cannot settle: % of % lanes of this process went to another owner', cardinality(p_lanes) - kept, cardinality(p_lanes)
      using errcode = 'EV001';
  end if;
end $$;

create or replace function evt.settle_lanes(p_groups text[], p_lanes smallint[], p_epochs bigint[], p_positions bigint[]) returns void
language plpgsql set lock_timeout = '1s' set plan_cache_mode = force_generic_plan as $$
declare
  kept integer;
begin
  update evt.lanes l set position = greatest(l.position, v.position)
  from unnest(p_groups, p_lanes, p_epochs, p_positions) v (group_name, lane, epoch, position)
  where l.group_name = v.group_name and l.lane = v.lane and l.epoch = v.epoch;
  get diagnostics kept = row_count;
  if kept <> cardinality(p_lanes) then
    raise exception 'cannot settle: % of % lanes of this process went to another owner', cardinality(p_lanes) - kept, cardinality(p_lanes)
      using errcode = 'EV001';
  end if;
end $$;
