create or replace function evt.make_partitions(first_day date, last_day date) returns integer language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  made   integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.partitions', 0));
  for wanted in
    select class, 'outbox_' || class as parent, 'outbox_' || class || '_' || to_char(day, 'YYYYMMDD') as leaf, day::date
    from evt.classes, generate_series(first_day, last_day, interval '1 day') day
    order by day, class
  loop
    if to_regclass('evt.' || wanted.parent) is null then
      execute format('create table evt.%I (like evt.outbox including defaults) partition by range (day)', wanted.parent);
      execute format('alter table evt.outbox attach partition evt.%I for values in (%L)', wanted.parent, wanted.class);
      perform evt.copy_grants('evt.outbox', format('evt.%I', wanted.parent)::regclass);
    end if;
    continue when to_regclass('evt.' || wanted.leaf) is not null;
    execute format('create table evt.%I (like evt.outbox including defaults)', wanted.leaf);
    perform evt.copy_grants('evt.outbox', format('evt.%I', wanted.leaf)::regclass);
    execute format('alter table evt.%I attach partition evt.%I for values from (%L) to (%L)',
      wanted.parent, wanted.leaf, wanted.day, wanted.day + 1);
    made := made + 1;
  end loop;
  return made;
end $$;
alter table evt.outbox drop constraint outbox_type;
drop function evt.check_type;
