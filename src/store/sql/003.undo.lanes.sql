drop function evt.ensure_group;
drop table evt.lane_starts, evt.lanes, evt.members, evt.groups;
