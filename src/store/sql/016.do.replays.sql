-- Replays of history, subjects as streams of events with an expected sequence, and generations of projections.

-- A replay to handlers reads the log as groups of its own, `<handler>.replay-<id>`: those say how far it is, and are its dedupe scope.
create table evt.replays (
  id          text primary key,
  kind        text not null check (kind in ('handlers', 'target')),
  -- Names of handlers as their services declare them.
  handlers    text[] not null default '{}',
  -- A sink's name, or a URL without its password.
  target      text,
  -- What of the history, as it was asked for.
  selection   jsonb not null,
  after       bigint not null,
  upto        bigint not null,
  matched     bigint not null,
  -- To a target: everything up to here is confirmed.
  position    bigint not null,
  done        bigint not null default 0,
  status      text not null check (status in ('running', 'paused', 'stopped', 'done')),
  -- Who runs it, and until when nobody else may. `epoch` grows with each; an earlier one writes nothing more.
  owner       text,
  epoch       bigint not null default 0,
  lease_until timestamptz,
  started_by  text not null,
  reason      text,
  started_at  timestamptz not null default clock_timestamp(),
  moved_at    timestamptz not null default clock_timestamp(),
  ended_at    timestamptz
) with (fillfactor = 50);

-- Where the events of a subject lie that were appended with an expected sequence: written with them, so that a number is there once.
create table evt.streams (
  subject  text not null,
  sequence bigint not null,
  class    text not null,
  day      date not null,
  xid      xid8 not null,
  seq      bigint not null,
  primary key (subject, sequence)
);

-- To be called before anything is appended: writers of one subject meet here. What it answers was read after the lock was had.
create function evt.enter_stream(p_subject text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.stream ' || p_subject, 0));
  return coalesce((select max(s.sequence) from evt.streams s where s.subject = p_subject), 0);
end $$;

-- A projection's tables lie in a schema for each generation; views in the schema of its name show the one that is live.
create table evt.projections (
  name       text not null,
  generation integer not null,
  -- Of the definition that made it.
  version    integer not null,
  status     text not null check (status in ('building', 'live')),
  tables     text[] not null default '{}',
  started_at timestamptz not null default clock_timestamp(),
  live_since timestamptz,
  primary key (name, generation)
);
create unique index projections_status on evt.projections (name, status);

-- As before (014), with replays to a target; those to handlers are groups.
create or replace view evt.needs (who, after) as
select 'group ' || group_name, min(position) from evt.lanes group by group_name
union all
select 'handler ' || handler || ' (retrying)', min(position) - 1 from evt.deliveries
where position is not null and body is null group by handler
union all
select 'sink ' || name, position from evt.sinks
union all
select 'saga ' || saga || ' (events that came early)', min(position) - 1 from evt.saga_events group by saga
union all
select 'replay ' || id, position from evt.replays where kind = 'target' and status in ('running', 'paused');

select evt.grant_roles();
