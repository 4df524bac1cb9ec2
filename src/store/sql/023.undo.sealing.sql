do $$
begin
  execute replace(pg_get_functiondef('evt.grant_roles'::regproc), '
    grant execute on function evt.set_sealed(json) to evt_operator;', '');
  execute replace(pg_get_functiondef('evt.deliver_due'::regproc), '  perform set_config(''evt.takes_plain'', ''on'', true);
', '');
end $$;
drop trigger if exists outbox_sealed on evt.outbox;
drop trigger if exists scheduled_sealed on evt.scheduled;
drop function evt.set_sealed(json);
drop function evt.check_sealed();
drop function evt.plain_at(json, text[]);
drop table evt.sealed_fields;
