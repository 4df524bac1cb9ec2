-- What evt does in a handler's transaction, one statement before the handlers and one behind them. Each waits for locks for
-- a second at most: how long the handlers' own statements wait is the server's affair. A transaction of one event has
-- functions of its own: half of what it costs is here.

-- Writes down that p_handler has these events' effects; returns those that were not there yet.
create function evt.enter_inbox(p_handler text, p_ids text[], p_days date[], p_scope text) returns setof text
language plpgsql set lock_timeout = '1s' set plan_cache_mode = force_generic_plan as $$
begin
  return query insert into evt.inbox (handler, event_id, day, scope)
    select p_handler, e.id, e.day, p_scope from unnest(p_ids, p_days) as e(id, day)
    on conflict do nothing returning event_id;
end $$;

create function evt.enter_inbox(p_handler text, p_id text, p_day date, p_scope text) returns setof text
language plpgsql set lock_timeout = '1s' as $$
begin
  insert into evt.inbox (handler, event_id, day, scope) values (p_handler, p_id, p_day, p_scope) on conflict do nothing;
  if found then
    return next p_id;
  end if;
end $$;

-- Moves positions, or keeps them, and holds the lanes until the transaction ends. Raises EV001 when one of them has another
-- owner: so a commit that was sent behind it, without waiting for the answer, commits nothing.
create function evt.settle_lanes(p_groups text[], p_lanes smallint[], p_epochs bigint[], p_positions bigint[]) returns void
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

create function evt.settle_lane(p_group text, p_lane smallint, p_epoch bigint, p_position bigint) returns void
language plpgsql set lock_timeout = '1s' as $$
begin
  update evt.lanes set position = greatest(position, p_position)
  where group_name = p_group and lane = p_lane and epoch = p_epoch;
  if not found then
    raise exception 'cannot settle: lane % of % went to another owner', p_lane, p_group using errcode = 'EV001';
  end if;
end $$;
