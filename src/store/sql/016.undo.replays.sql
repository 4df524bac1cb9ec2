create or replace view evt.needs (who, after) as
select 'group ' || group_name, min(position) from evt.lanes group by group_name
union all
select 'handler ' || handler || ' (retrying)', min(position) - 1 from evt.deliveries
where position is not null and body is null group by handler
union all
select 'sink ' || name, position from evt.sinks
union all
select 'saga ' || saga || ' (events that came early)', min(position) - 1 from evt.saga_events group by saga;
drop table evt.replays, evt.projections;
drop function evt.enter_stream(text);
drop table evt.streams;
