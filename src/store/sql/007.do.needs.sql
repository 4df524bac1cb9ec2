-- What retention may not remove: events after the slowest lane of each group, and those that deliveries will read from the
-- log again. Dead letters keep their own bytes.

create or replace view evt.needs (who, after) as
select 'group ' || group_name, min(position) from evt.lanes group by group_name
union all
select 'handler ' || handler || ' (retrying)', min(position) - 1 from evt.deliveries
where position is not null and body is null group by handler;
