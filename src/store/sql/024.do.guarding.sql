-- What a role with few rights could do to all others: keys wrapped with a master key that nobody has, events that rules deny, events held until
-- a time at which they cannot be published. And what readers need not see.

-- Master keys that keys of subjects may be wrapped with. Bridges write theirs here when they start; publishers may not.
create table evt.master_keys (
  id       text primary key,
  added_at timestamptz not null default clock_timestamp()
);
insert into evt.master_keys (id) select distinct master_key from evt.subject_keys where wrapped is not null;

-- As before (015). Keys that are there cost a look. A proposal that is null is none: then what is there comes back, or nothing.
create or replace function evt.take_subject_keys(p_tenants text[], p_subjects text[], p_ids uuid[], p_master_key text, p_wrapped bytea[])
returns table (id uuid, tenant text, subject text, master_key text, wrapped bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  caller name := coalesce(nullif(current_setting('role'), 'none'), session_user);
  there  bigint;
begin
  return query
    select k.id, k.tenant, k.subject, k.master_key, k.wrapped
    from unnest(p_tenants, p_subjects) w (tenant, subject)
    join evt.subject_keys k on k.tenant = w.tenant and k.subject = w.subject and k.wrapped is not null;
  get diagnostics there = row_count;
  if there >= cardinality(p_subjects) or not exists (select from unnest(p_wrapped) p (proposed) where p.proposed is not null) then
    return;
  end if;
  if not exists (select from evt.master_keys m where m.id = p_master_key) then
    if not has_table_privilege(caller, 'evt.master_keys', 'insert') then
      raise exception 'evt: cannot make keys of subjects with master key %: this store does not know it', p_master_key
        using errcode = 'EV007', hint = 'start a bridge with this master key first, or run evt privacy rotate with it: both make it known';
    end if;
    insert into evt.master_keys (id) values (p_master_key) on conflict do nothing;
  end if;
  insert into evt.subject_keys (id, tenant, subject, master_key, wrapped)
    select w.id, w.tenant, w.subject, p_master_key, w.wrapped
    from unnest(p_tenants, p_subjects, p_ids, p_wrapped) w (tenant, subject, id, wrapped)
    where w.wrapped is not null
    -- In one order: two publishers that want the same two keys must not wait for each other.
    order by w.tenant, w.subject
    on conflict (tenant, subject) where wrapped is not null do nothing;
  return query
    select k.id, k.tenant, k.subject, k.master_key, k.wrapped
    from unnest(p_tenants, p_subjects, p_wrapped) w (tenant, subject, proposed)
    join evt.subject_keys k on k.tenant = w.tenant and k.subject = w.subject and k.wrapped is not null
    where w.proposed is not null;
end $$;
revoke execute on function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]) from public;

-- As before (015). Who logged in and who that is by now, by `set role`: what rules deny to one of them is denied.
create or replace function evt.check_access() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  -- The rights of this function's definer do not count.
  caller  name;
  rule    text;
  allowed text;
  refused text;
begin
  foreach caller in array array(
    select distinct r.rolname from pg_roles r
    where r.rolname in (session_user, nullif(current_setting('role'), 'none')) and not r.rolsuper order by 1) loop
    select string_agg(a.expression, '|'), string_agg(array_to_string(a.patterns, ', '), ', ') into rule, allowed
      from evt.access_rules a join pg_roles r on r.rolname = a.role where pg_has_role(caller, r.oid, 'member');
    continue when rule is null;
    select n.type into refused from new_events n where n.type || '.' !~ rule limit 1;
    continue when not found;
    raise exception 'evt: % may not publish %', caller, refused
      using errcode = 'EV007', hint = format('it may publish %s; see `evt access show`', allowed);
  end loop;
  return null;
end $$;

-- The triggers are there only while there are rules.
create function evt.watch_access() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  name text;
begin
  foreach name in array array['outbox', 'scheduled'] loop
    if not exists (select from evt.access_rules) then
      execute format('drop trigger if exists %I on evt.%I', name || '_access', name);
    elsif not exists (select from pg_trigger where tgrelid = ('evt.' || name)::regclass and tgname = name || '_access') then
      execute format('create trigger %I after insert on evt.%I referencing new table as new_events
        for each statement execute function evt.check_access()', name || '_access', name);
    end if;
  end loop;
end $$;
revoke execute on function evt.watch_access() from public;

-- As before (015), for what is held until its time, too.
create or replace function evt.set_access(p_role name, p_patterns text[], p_expression text) returns void language plpgsql
set search_path = pg_catalog, pg_temp set lock_timeout = '3s' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.access_rules', 0));
  delete from evt.access_rules where role = p_role;
  if cardinality(p_patterns) > 0 then
    insert into evt.access_rules values (p_role, p_patterns, p_expression);
  end if;
  perform evt.watch_access();
end $$;
select evt.watch_access();

-- What the outbox would refuse when its time has come is refused at once. Not validated: deliver_singly finds what was there before.
do $$
declare
  waits text := current_setting('lock_timeout');
begin
  if waits = '0' then
    perform set_config('lock_timeout', '5s', true);
  end if;
  alter table evt.scheduled add constraint scheduled_type check (evt.check_type(type)) not valid;
  alter table evt.scheduled add constraint scheduled_class foreign key (class) references evt.classes not valid;
  perform set_config('lock_timeout', waits, true);
end $$;

-- As deliver_due, event by event, for when that fails: what cannot be published is taken out and comes back in `refused`, to be kept as dead
-- letters in the same transaction. What passes by itself, or is not the event's fault, is raised.
create function evt.deliver_singly(most integer, out delivered integer, out refused json)
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  due    evt.scheduled;
  broken text;
  wrong  json[] := '{}';
begin
  perform set_config('evt.takes_plain', 'on', true);
  delivered := 0;
  -- Whoever failed just now may have it for a moment still.
  perform pg_advisory_xact_lock(hashtextextended('evt.scheduled', 0));
  for due in
    select * from evt.scheduled where deliver_at <= clock_timestamp() order by deliver_at, number limit most for update
  loop
    begin
      insert into evt.outbox (class, id, type, version, source, time, subject, sequence, tenant, correlation_id,
        causation_id, traceparent, user_id, session_id, priority, metadata, data, checksum, event_key)
      values (coalesce(due.class, evt.class_of(due.type)), due.id, due.type, due.version, due.source, due.time, due.subject, due.sequence,
        due.tenant, due.correlation_id, due.causation_id, due.traceparent, due.user_id, due.session_id, due.priority, due.metadata,
        due.data, due.checksum, due.event_key);
      delivered := delivered + 1;
    exception when others then
      get stacked diagnostics broken = constraint_name;
      -- Its data, its type, its size are at fault, or a rule or a trigger refuses it. A class without a partition for today gets one.
      if sqlstate !~ '^(22|23|54|EV|P0)' and not (sqlstate = '42501' and has_table_privilege('evt.outbox', 'insert'))
        or sqlstate = '23514' and broken = '' and exists (select from evt.classes c where c.class = coalesce(due.class, evt.class_of(due.type)))
      then
        raise;
      end if;
      -- In the order of the columns that readers of the log ask for.
      wrong := array_append(wrong, json_build_object('state', sqlstate, 'message', sqlerrm, 'row', json_build_array(
        due.id, due.type, due.subject, due.data::text, date_part('epoch', due.scheduled_at)::text, coalesce(due.class, ''), due.priority,
        due.version::text, due.source, due.time::text, due.sequence::text, due.tenant, due.correlation_id, due.causation_id,
        due.traceparent, due.user_id, due.session_id, due.metadata::text, due.checksum)));
    end;
    delete from evt.scheduled where number = due.number;
  end loop;
  refused := array_to_json(wrong);
end $$;

-- Writing goes through the table, never through a partition: triggers stand there.
do $$
declare
  made text := pg_get_functiondef('evt.copy_grants'::regproc);
begin
  execute replace(made, 'and a.grantee <> c.relowner', 'and a.grantee <> c.relowner and a.privilege_type = ''SELECT''');
end $$;

-- Only lines are added, whatever grant_roles does by now.
do $$
begin
  execute replace(replace(replace(pg_get_functiondef('evt.grant_roles'::regproc),
    'grant usage on schema evt to evt_publisher;',
    'grant usage on schema evt to evt_publisher;
    grant execute on function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]) to evt_publisher;'),
    'grant select on all tables in schema evt to evt_reader;',
    'grant select on all tables in schema evt to evt_reader;
    -- Not the secrets among them: wrapped keys, hashes of tokens, addresses of webhooks.
    revoke select on evt.subject_keys, evt.tokens, evt.alert_notices from evt_reader;
    grant select (id, tenant, subject, master_key, created_at, forgotten_at) on evt.subject_keys to evt_reader;
    grant select (id, name, scopes, types, created_at, created_by, expires_at, used_at, revoked_at) on evt.tokens to evt_reader;
    grant select (id, alert, attempts, created_at, due_at) on evt.alert_notices to evt_reader;'),
    'revoke insert, update, delete on evt.migrations from evt_operator;',
    'revoke insert, update, delete on evt.migrations from evt_operator;
    grant execute on function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]) to evt_operator;
    perform evt.close_partitions();');
end $$;

-- What grants on all tables gave on partitions of the outbox and the log.
create function evt.close_partitions() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  leaf record;
begin
  for leaf in
    select t.relid::regclass as name, a.grantee::regrole as grantee, string_agg(a.privilege_type, ', ') as rights
    from (select * from pg_partition_tree('evt.outbox') union all select * from pg_partition_tree('evt.log')) t
    join pg_class c on c.oid = t.relid, aclexplode(c.relacl) a
    where t.level > 0 and a.grantee <> 0 and a.grantee <> c.relowner and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
    group by 1, 2
  loop
    execute format('revoke %s on %s from %s', leaf.rights, leaf.name, leaf.grantee);
  end loop;
end $$;
revoke execute on function evt.close_partitions() from public;

select evt.grant_roles();
select evt.close_partitions();
