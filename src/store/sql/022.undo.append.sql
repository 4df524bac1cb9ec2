do $$
begin
  execute replace(replace(pg_get_functiondef('evt.grant_roles'::regproc),
    '
    grant execute on function evt.append_events, evt.enter_stream to evt_publisher;', ''),
    '
    grant execute on function evt.append_events, evt.enter_stream to evt_operator;', '');
end $$;
drop function evt.append_events;
alter function evt.enter_stream(text) security invoker;
grant execute on function evt.enter_stream(text) to public;
