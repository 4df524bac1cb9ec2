-- Who reads the log: groups, the processes that are their members, and the lanes that those own.

create table evt.groups (
  name       text primary key,
  -- Fixed: a slot belongs to lane `slot % lanes` for as long as the group exists.
  lanes      smallint not null check (lanes between 1 and 256),
  start      bigint not null,
  created_at timestamptz not null default clock_timestamp()
);

-- One row a process. `session` is the key of the advisory lock that its connection holds: when that is gone, so is the
-- connection. `beats` counts up while the process runs: a process that was stopped keeps its connection, not its beats.
create table evt.members (
  session    bigint primary key,
  member     text not null,
  groups     text[] not null,
  beats      bigint not null default 0,
  started_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- `owner` is a session; one that is not in `members` is dead, and its lane free. `epoch` grows with every change of owner,
-- and whatever moves `position` names it: that fences an owner that does not know yet that it was replaced.
create table evt.lanes (
  group_name text not null references evt.groups on delete cascade,
  lane       smallint not null,
  position   bigint not null,
  epoch      bigint not null default 0,
  owner      bigint,
  -- What owners that died may have started: see transports/suspicion.ts.
  suspect_to bigint not null default 0,
  guilty     bigint not null default 0,
  deaths     integer not null default 0,
  primary key (group_name, lane)
) with (fillfactor = 50);

-- Up to where the owner was handed out messages. A table of its own: handlers' transactions lock rows of `lanes` for as long
-- as they run, and this is written, with an asynchronous commit, before any message is handed out.
create table evt.lane_starts (
  group_name text not null,
  lane       smallint not null,
  epoch      bigint not null default 0,
  started_to bigint not null,
  primary key (group_name, lane),
  foreign key (group_name, lane) references evt.lanes on delete cascade
) with (fillfactor = 50);

-- Makes the group and its lanes where they are missing; returns how many lanes it has.
create function evt.ensure_group(group_name text, lane_count integer, start_after bigint) returns integer language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  insert into evt.groups (name, lanes, start) values (group_name, lane_count, start_after) on conflict do nothing;
  if found then
    insert into evt.lanes (group_name, lane, position) select group_name, n, start_after from generate_series(0, lane_count - 1) n;
    insert into evt.lane_starts (group_name, lane, started_to) select group_name, n, start_after from generate_series(0, lane_count - 1) n;
  end if;
  return (select lanes from evt.groups where name = group_name);
end $$;
