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
drop table evt.handler_places, evt.handler_readers;
