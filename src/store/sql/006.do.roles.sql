-- Least privilege for three kinds of callers. Roles belong to the whole server: they are made when missing, kept by undo, and
-- without CREATEROLE a notice says what an administrator has to run. Nobody logs in as them; grant them to login roles:
--   grant evt_publisher to my_service;

do $$
declare
  wanted text;
begin
  foreach wanted in array array['evt_publisher', 'evt_reader', 'evt_operator'] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin', wanted);
      end if;
    exception
      -- Another database of this server is being migrated at the same moment.
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise warning 'evt: role % is missing and % may not create it', wanted, current_user
          using hint = format('as an administrator: create role %I nologin; then run evt.grant_roles()', wanted);
    end;
  end loop;
end $$;

-- Grants what the roles need on everything that exists now; for roles that are missing, nothing. Run it again when
-- an administrator made them later.
create function evt.grant_roles() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  has_publisher boolean := exists (select from pg_roles where rolname = 'evt_publisher');
  has_reader    boolean := exists (select from pg_roles where rolname = 'evt_reader');
  has_operator  boolean := exists (select from pg_roles where rolname = 'evt_operator');
begin
  if has_publisher then
    grant usage on schema evt to evt_publisher;
    grant insert on evt.outbox to evt_publisher;
    grant usage on sequence evt.outbox_seq to evt_publisher;
    -- The statement trigger asks whether the relay sleeps.
    grant select on sequence evt.parked to evt_publisher;
  end if;
  if has_reader then
    grant usage on schema evt to evt_reader;
    grant select on all tables in schema evt to evt_reader;
    grant select on all sequences in schema evt to evt_reader;
  end if;
  if has_operator then
    grant usage on schema evt to evt_operator;
    grant select, insert, update, delete on all tables in schema evt to evt_operator;
    grant usage, select, update on all sequences in schema evt to evt_operator;
    -- What was committed and what was sequenced is never rewritten, by nobody; the schema's version is the owner's.
    revoke update, delete on evt.outbox, evt.log from evt_operator;
    revoke insert, update, delete on evt.migrations from evt_operator;
  end if;
end $$;
revoke execute on function evt.grant_roles() from public;

select evt.grant_roles();
