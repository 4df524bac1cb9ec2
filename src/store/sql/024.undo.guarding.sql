do $$
begin
  execute replace(replace(replace(pg_get_functiondef('evt.grant_roles'::regproc), '
    grant execute on function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]) to evt_publisher;', ''), '
    -- Not the secrets among them: wrapped keys, hashes of tokens, addresses of webhooks.
    revoke select on evt.subject_keys, evt.tokens, evt.alert_notices from evt_reader;
    grant select (id, tenant, subject, master_key, created_at, forgotten_at) on evt.subject_keys to evt_reader;
    grant select (id, name, scopes, types, created_at, created_by, expires_at, used_at, revoked_at) on evt.tokens to evt_reader;
    grant select (id, alert, attempts, created_at, due_at) on evt.alert_notices to evt_reader;', ''), '
    grant execute on function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]) to evt_operator;
    perform evt.close_partitions();', '');
  execute replace(pg_get_functiondef('evt.copy_grants'::regproc),
    'and a.grantee <> c.relowner and a.privilege_type = ''SELECT''', 'and a.grantee <> c.relowner');
end $$;
drop function evt.close_partitions();
drop function evt.deliver_singly(integer);
alter table evt.scheduled drop constraint scheduled_class, drop constraint scheduled_type;

drop trigger if exists scheduled_access on evt.scheduled;
create or replace function evt.check_access() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  -- `set role` counts; the rights of this function's definer do not.
  caller  name := coalesce(nullif(current_setting('role'), 'none'), session_user);
  rule    text;
  allowed text;
  refused text;
begin
  select string_agg(a.expression, '|'), string_agg(array_to_string(a.patterns, ', '), ', ') into rule, allowed
    from evt.access_rules a join pg_roles r on r.rolname = a.role
    where pg_has_role(caller, r.oid, 'member') and not (select rolsuper from pg_roles where rolname = caller);
  if rule is null then return null; end if;
  select n.type into refused from new_events n where n.type || '.' !~ rule limit 1;
  if found then
    raise exception 'evt: % may not publish %', caller, refused
      using errcode = 'insufficient_privilege', hint = format('it may publish %s; see `evt access show`', allowed);
  end if;
  return null;
end $$;

create or replace function evt.set_access(p_role name, p_patterns text[], p_expression text) returns void language plpgsql
set search_path = pg_catalog, pg_temp set lock_timeout = '3s' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.access_rules', 0));
  delete from evt.access_rules where role = p_role;
  if cardinality(p_patterns) > 0 then
    insert into evt.access_rules values (p_role, p_patterns, p_expression);
  end if;
  if not exists (select from evt.access_rules) then
    drop trigger if exists outbox_access on evt.outbox;
  elsif not exists (select from pg_trigger where tgrelid = 'evt.outbox'::regclass and tgname = 'outbox_access') then
    create trigger outbox_access after insert on evt.outbox referencing new table as new_events
      for each statement execute function evt.check_access();
  end if;
end $$;
drop function evt.watch_access();

create or replace function evt.take_subject_keys(p_tenants text[], p_subjects text[], p_ids uuid[], p_master_key text, p_wrapped bytea[])
returns table (id uuid, tenant text, subject text, master_key text, wrapped bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  insert into evt.subject_keys (id, tenant, subject, master_key, wrapped)
    select w.id, w.tenant, w.subject, p_master_key, w.wrapped
    from unnest(p_tenants, p_subjects, p_ids, p_wrapped) w (tenant, subject, id, wrapped)
    -- In one order: two publishers that want the same two keys must not wait for each other.
    order by w.tenant, w.subject
    on conflict (tenant, subject) where wrapped is not null do nothing;
  return query
    select k.id, k.tenant, k.subject, k.master_key, k.wrapped
    from unnest(p_tenants, p_subjects) w (tenant, subject)
    join evt.subject_keys k on k.tenant = w.tenant and k.subject = w.subject and k.wrapped is not null;
end $$;
grant execute on function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]) to public;
drop table evt.master_keys;

select evt.grant_roles();
