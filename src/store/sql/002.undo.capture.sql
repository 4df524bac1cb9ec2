-- The triggers lie on application tables and go with their functions.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature from pg_proc p
    where p.pronamespace = 'evt'::regnamespace and p.prorettype = 'trigger'::regtype and p.proname like 'capture\_%'
  loop
    execute format('drop function %s cascade', f.signature);
  end loop;
end $$;

drop function evt.capture_notify(text, text, text, json, timestamptz, text);
drop function evt.capture_wake();
drop table evt.captures;
