-- Which intake each handler reads, the log or a sink, and since when: so that it misses nothing when it is moved to another one.

create table evt.handler_places (
  handler  text primary key,
  -- `log`, or the name of a sink; `target` says which server and topics that name stood for.
  intake   text not null,
  target   text not null default '',
  -- What it reads there is what comes after this position of the log.
  since    bigint not null,
  -- Everything up to here is surely passed; with `log` the lanes know better.
  position bigint not null,
  -- On its way from the log to a sink: nobody hands out of the log what comes after this one.
  upto     bigint,
  at       timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- Who runs a handler, and what it was told to read. An instance that no longer beats (`evt.instances`) does not count.
create table evt.handler_readers (
  handler  text not null,
  instance text not null,
  intake   text not null,
  target   text not null default '',
  -- The `upto` that it holds to.
  applied  bigint,
  primary key (handler, instance)
) with (fillfactor = 50);

-- As before (016), with handlers that read a sink: what they have not passed there they may have to read in the log.
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
select 'replay ' || id, position from evt.replays where kind = 'target' and status in ('running', 'paused')
union all
select 'handler ' || handler || ' (over a sink)', position from evt.handler_places where intake <> 'log';

select evt.grant_roles();
