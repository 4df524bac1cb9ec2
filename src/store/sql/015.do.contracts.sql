-- Keys of subjects, what each bridge knows of contracts, and which roles may publish what.

-- Fields that a contract encrypts are sealed with the key of a subject. A key is kept wrapped by a master key that is nowhere in the
-- database. Forgetting a subject takes the wrapped key away: nothing that it sealed can be read again, here or in a backup of the
-- events alone. The row stays, so that what was erased is told from what is unknown.
create table evt.subject_keys (
  id           uuid primary key,
  tenant       text not null default '',
  subject      text not null check (subject <> ''),
  -- Which master key wrapped it.
  master_key   text,
  wrapped      bytea,
  created_at   timestamptz not null default clock_timestamp(),
  forgotten_at timestamptz,
  check ((wrapped is null) = (master_key is null) and (wrapped is null) = (forgotten_at is not null))
);
create unique index subject_keys_live on evt.subject_keys (tenant, subject) where wrapped is not null;
create index subject_keys_master on evt.subject_keys (master_key) where wrapped is not null;

-- The keys of these subjects, made of the proposals where there is none. For publishers, who may not read the table.
create function evt.take_subject_keys(p_tenants text[], p_subjects text[], p_ids uuid[], p_master_key text, p_wrapped bytea[])
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

-- What each bridge knows: two bridges of different fingerprints for one version of a type do not mean the same by it.
create table evt.contracts (
  type        text not null,
  version     integer not null,
  fingerprint text not null,
  instance    text not null,
  draft       boolean not null default false,
  seen_at     timestamptz not null default clock_timestamp(),
  primary key (instance, type, version)
);
create index contracts_type on evt.contracts (type, version);

-- Who may publish which types from SQL. A role that is not named, here or by membership, may publish everything.
create table evt.access_rules (
  role       name primary key,
  patterns   text[] not null,
  -- The patterns as one expression, matched against the type with a dot behind it.
  expression text not null
);

-- One look for each statement, whatever its number of rows; the trigger is there only while there are rules.
create function evt.check_access() returns trigger language plpgsql security definer
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

-- Replaces the rules of one role; without patterns it has none. Waits for writers under way, for a moment: run it again when it could not.
create function evt.set_access(p_role name, p_patterns text[], p_expression text) returns void language plpgsql
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
revoke execute on function evt.set_access(name, text[], text) from public;

select evt.grant_roles();
