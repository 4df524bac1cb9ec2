-- The roles themselves stay: other databases of this server may use them.
do $$
declare
  role text;
begin
  for role in select rolname from pg_roles where rolname in ('evt_publisher', 'evt_reader', 'evt_operator') loop
    execute format('revoke all on all tables in schema evt from %I', role);
    execute format('revoke all on all sequences in schema evt from %I', role);
    execute format('revoke all on schema evt from %I', role);
  end loop;
end $$;

drop function evt.grant_roles();
