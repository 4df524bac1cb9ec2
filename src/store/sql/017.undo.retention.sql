do $$
declare
  leaf   text;
  writer regprocedure;
  was    text;
  body   text;
begin
  for leaf in select 'outbox_' || class || '_' || to_char(day, 'YYYYMMDD') from evt.restored loop
    execute format('drop table if exists evt.%I', leaf);
  end loop;
  for writer in select oid::regprocedure from pg_proc where pronamespace = 'evt'::regnamespace and proname in ('publish', 'publish_many')
  loop
    was := pg_get_functiondef(writer);
    body := replace(was, 'class text DEFAULT NULL::text', 'class text DEFAULT ''default''::text');
    body := replace(body, ', e->>''class'',', ', coalesce(e->>''class'', ''default''),');
    body := replace(body, 'values (coalesce(class, evt.class_of(type)), id,', 'values (class, id,');
    if body <> was then
      execute body;
    end if;
  end loop;
end $$;
drop function evt.make_restored, evt.look_everywhere, evt.set_type_classes, evt.type_rules;
drop table evt.restored, evt.archives, evt.type_classes;
-- It stays, because triggers of captured tables may call it.
create or replace function evt.class_of(type text) returns text language sql stable parallel safe
as $$ select 'default'::text $$;
