create or replace view evt.needs (who, after) as
select 'group ' || group_name, min(position) from evt.lanes group by group_name
union all
select 'handler ' || handler || ' (retrying)', min(position) - 1 from evt.deliveries
where position is not null and body is null group by handler
union all
select 'sink ' || name, position from evt.sinks;
drop function evt.fire_timers(integer);
drop function evt.enter_saga(text, text);
drop table evt.saga_events, evt.timers, evt.saga_history, evt.sagas;
