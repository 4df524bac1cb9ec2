do $$
begin
  execute replace(pg_get_functiondef('evt.grant_roles'::regproc), 'grant insert on evt.outbox, evt.scheduled to evt_publisher;',
    'grant insert on evt.outbox to evt_publisher;');
end $$;
drop function evt.deliver_due(integer);
drop function evt.publish_at(timestamptz, text, json, text, integer, text, text, timestamptz, bigint, text, text, text, text, text,
  text, text, json, text, bytea);
drop table evt.scheduled;
