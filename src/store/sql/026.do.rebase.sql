-- Going on after a restore or a fail-over, and what keeps readers from going on beyond the end of the log until then.

-- As before (001), also where transactions keep their first snapshot: there, the former leader's step would never be seen.
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
      if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'cannot lead yet: the former leader made one more step' using errcode = '40001';
      end if;
    end;
  end loop;
end $$;

-- As before (001), with the remedy.
create or replace function evt.check_identity() returns void language plpgsql as $$
declare
  was  evt.relay;
  here bigint := (select system_identifier from pg_control_system());
begin
  select * into strict was from evt.relay;
  if was.system_identifier <> here or was.timeline <> evt.timeline() then
    raise exception 'the cursor belongs to cluster % timeline %, this is cluster % timeline %',
      was.system_identifier, was.timeline, here, evt.timeline() using errcode = 'EV007', hint = 'nothing was skipped and nothing is sequenced here; point evt at the cluster that it used, or go on here: `evt relay rebase --dry-run`';
  end if;
end $$;

-- As before (009). No lane goes beyond the end of the log: its owner has read events that this server never had, and those that
-- get their positions here would be passed over. Where transactions keep their first snapshot, the end that they see may be behind what
-- was read since; there, the owner's beat finds it (transports/postgres/membership.ts).
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
  if current_setting('transaction_isolation') = 'read committed'
    and (select head from evt.ticks order by tick desc limit 1) < any (p_positions) then
    raise exception 'cannot settle: the log of this server ends before what was handled' using errcode = 'EV001';
  end if;
end $$;

create or replace function evt.settle_lane(p_group text, p_lane smallint, p_epoch bigint, p_position bigint) returns void
language plpgsql set lock_timeout = '1s' as $$
begin
  update evt.lanes set position = greatest(position, p_position)
  where group_name = p_group and lane = p_lane and epoch = p_epoch;
  if not found then
    raise exception 'cannot settle: lane % of % went to another owner', p_lane, p_group using errcode = 'EV001';
  end if;
  if current_setting('transaction_isolation') = 'read committed'
    and p_position > (select head from evt.ticks order by tick desc limit 1) then
    raise exception 'cannot settle: the log of this server ends before %', p_position using errcode = 'EV001';
  end if;
end $$;

-- What the outbox has and the log lacks: neither sequenced nor dropped or refused by its key. Reads all of both.
create function evt.unplaced() returns table (leaf regclass, xid xid8, seq bigint, id text) language sql stable
set search_path = pg_catalog, pg_temp as $$
  select o.tableoid::regclass, o.xid, o.seq, o.id from evt.outbox o
  where not exists (select from evt.log l where l.seq = o.seq)
    and not exists (select from evt.refused r where r.seq = o.seq)
    and not exists (select from evt.event_keys k where k.key = o.event_key and k.seq <> o.seq)
$$;

-- Positions whose events are gone, of days that are still there.
create function evt.bodiless() returns bigint language sql stable set search_path = pg_catalog, pg_temp as $$
  with days as materialized (
    select class, day from evt.log group by class, day
    having to_regclass(format('evt.outbox_%s_%s', class, to_char(day, 'YYYYMMDD'))) is not null
  )
  select count(*) from evt.log l join days using (class, day) where not exists (select from evt.outbox o where o.seq = l.seq)
$$;

-- Who stands beyond the end of the log.
create function evt.ahead() returns table (who text, after bigint) language sql stable set search_path = pg_catalog, pg_temp as $$
  select who, after from (
    select 'group ' || group_name as who, max(position) as after from evt.lanes group by group_name
    union all select 'sink ' || name, position from evt.sinks
    union all select 'handler ' || handler || ' (over a sink)', greatest(position, since, upto) from evt.handler_places where intake <> 'log'
    union all select 'watch ' || task, position from evt.watch_tasks
    union all select 'replay ' || id, greatest(position, upto) from evt.replays where status in ('running', 'paused')
  ) readers
  where after > coalesce((select head from evt.ticks order by tick desc limit 1), 0)
  order by who
$$;

-- Makes a new cursor for this cluster, in one transaction that writers wait for: what the outbox has and the log lacks is to
-- be sequenced, nothing else, and behind `beyond`, so that no position is given a second time which somebody has seen of what was
-- lost. Raises EV007 while somebody leads. Returns where the log goes on.
--
-- Transaction numbers of another cluster mean nothing here, and this one's will come to them one day. So rows that are to be
-- sequenced get the number of this transaction, which the new cursor has not seen; and rows that have a place get the first number there
-- is, where theirs were not given out here yet.
create function evt.rebase(beyond bigint) returns bigint language plpgsql
set search_path = pg_catalog, pg_temp set lock_timeout = '10s' as $$
declare
  was   evt.relay;
  c     evt.ticks;
  seen  pg_snapshot;
  mine  xid8;
  upto  bigint;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'cannot rebase: the transaction is %', current_setting('transaction_isolation') using errcode = '25001';
  end if;
  lock table evt.outbox, evt.log in share row exclusive mode;
  -- All writers have ended. Taken before this transaction has a number, which is therefore not visible in it.
  seen := pg_current_snapshot();
  select * into strict was from evt.relay for update;
  if was.leader is not null and was.lease_until > clock_timestamp() then
    raise exception 'cannot rebase: % leads', was.leader using errcode = 'EV007', hint = 'stop the bridges first';
  end if;
  mine := pg_current_xact_id();
  select * into strict c from evt.ticks order by tick desc limit 1;
  upto := greatest(beyond, c.head, (select max(after) from evt.ahead()));

  perform evt.make_partitions(evt.today() - 1, evt.today() + 14);
  perform evt.make_log_chunk(upto / evt.log_chunk_size()), evt.make_log_chunk(upto / evt.log_chunk_size() + 1);
  create temporary table evt_unplaced on commit drop as select * from evt.unplaced();
  alter table evt.outbox disable trigger refuse_change;
  alter table evt.log disable trigger refuse_change;
  update evt.outbox o set xid = '3' where o.xid >= pg_snapshot_xmax(seen);
  update evt.log l set xid = '3' where l.xid >= pg_snapshot_xmax(seen);
  update evt.streams s set xid = '3' where s.xid >= pg_snapshot_xmax(seen);
  update evt.outbox o set xid = mine from pg_temp.evt_unplaced u where o.tableoid = u.leaf and o.seq = u.seq;
  update evt.streams s set xid = mine from pg_temp.evt_unplaced u where s.seq = u.seq;
  alter table evt.outbox enable trigger refuse_change;
  alter table evt.log enable trigger refuse_change;
  delete from evt.event_keys k using pg_temp.evt_unplaced u where k.seq = u.seq;
  perform setval('evt.outbox_seq', greatest((select last_value from evt.outbox_seq), (select max(seq) from evt.outbox)));

  delete from evt.day_marks;
  insert into evt.day_marks values (evt.today(), pg_snapshot_xmax(seen));
  -- Looked at long ago: the first step looks at all partitions.
  insert into evt.ticks values (c.tick + 1, was.epoch + 1, clock_timestamp(), upto, seen, null, 0, evt.today(), evt.near_leaves(),
    seen, clock_timestamp() - interval '1 hour', c.duplicates, c.refused, null);
  update evt.relay r set epoch = was.epoch + 1, leader = null, lease_until = null, timeline = evt.timeline(),
    system_identifier = (select s.system_identifier from pg_control_system() s);

  -- Whoever has read on elsewhere owns nothing any more. Between the former end and the new one there is nothing to read.
  update evt.lanes l set epoch = l.epoch + 1, owner = null, position = case when l.position >= c.head then upto else l.position end;
  update evt.lane_starts s set epoch = l.epoch from evt.lanes l where l.group_name = s.group_name and l.lane = s.lane;
  update evt.sinks s set position = upto where s.position >= c.head;
  update evt.watch_tasks t set position = upto where t.position >= c.head;
  return upto;
end $$;
revoke execute on function evt.rebase(bigint) from public;

select evt.grant_roles();
