-- How far the relay has carried the log to each sink. One row a sink, written by the leader only.

create table evt.sinks (
  name       text primary key check (name <> ''),
  -- Every event up to here is in the sink, is not for it, or is a dead letter of it.
  position   bigint not null,
  -- Topic → the position after which the sink began to write to it: what is before is none of its business.
  topics     jsonb not null default '{}',
  -- For people; without a password.
  target     text not null,
  created_at timestamptz not null default clock_timestamp(),
  moved_at   timestamptz not null default clock_timestamp()
);

-- As before (007), with the sinks.
create or replace view evt.needs (who, after) as
select 'group ' || group_name, min(position) from evt.lanes group by group_name
union all
select 'handler ' || handler || ' (retrying)', min(position) - 1 from evt.deliveries
where position is not null and body is null group by handler
union all
select 'sink ' || name, position from evt.sinks;

select evt.grant_roles();
