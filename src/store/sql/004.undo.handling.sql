drop view event_store.dead_letter_queue;
drop function evt.readable(bytea);
drop function evt.advance_subject(text, text);
drop table evt.suspects, evt.parked_subjects, evt.deliveries, evt.redrives, evt.dead_letters;
drop function evt.maintain_inbox(integer, integer);
drop table evt.inbox;
-- The schema may hold what others put there.
do $$ begin
  drop schema event_store;
exception when dependent_objects_still_exist then null;
end $$;
