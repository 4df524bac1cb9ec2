-- What contracts encrypt is encrypted by whoever publishes; the database has no key. Writers in SQL would put it there in plain text,
-- so their statements are refused.

-- As the bridge that started last knows it: a version of a type, and where in its data something sealed has to stand ([] is every element).
create table evt.sealed_fields (
  type    text not null,
  version integer not null,
  path    text[] not null,
  primary key (type, version, path)
);

-- Whether something stands there that nobody sealed. Null is what erasing writes, and *** what hides. Only for paths through arrays, and
-- without a search_path of its own: who calls it has one, and setting it costs more than all of the rest.
create function evt.plain_at(value json, path text[]) returns boolean language plpgsql immutable as $$
declare
  found text;
begin
  if value is null then return false; end if;
  if cardinality(path) = 0 then
    found := value::text;
    return found not like '"evt:sealed:1:%' and found <> 'null' and found <> '"***"';
  end if;
  if path[1] = '[]' then
    return json_typeof(value) = 'array'
      and exists (select from json_array_elements(value) e where evt.plain_at(e, path[2:]));
  end if;
  return json_typeof(value) = 'object' and evt.plain_at(value -> path[1], path[2:]);
end $$;

-- One look for each statement; the triggers are there only while something is encrypted.
create function evt.check_sealed() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  plain record;
begin
  if current_setting('evt.takes_plain', true) = 'on' then return null; end if;
  select n.type, n.version, array_to_string(f.path, '.') as field into plain
    from evt.sealed_fields f join new_events n on n.type = f.type and n.version = f.version
    where case when '[]' = any (f.path) then evt.plain_at(n.data, f.path)
      else coalesce((n.data #> f.path)::text, 'null') not like '"evt:sealed:1:%'
        and coalesce((n.data #> f.path)::text, 'null') not in ('null', '"***"') end limit 1;
  if found then
    raise exception 'evt: cannot publish % v%: its contract encrypts data.%, and here it stands in plain text', plain.type, plain.version, plain.field
      using errcode = 'check_violation',
        hint = 'publish it with createPublisher, `evt gen` or POST /events, which have the keys; or leave the field out';
  end if;
  return null;
end $$;

-- What one bridge knows: [{"type", "version", "paths": [["email"], …]}]. Versions that it does not know stay as they are. Waits for writers
-- under way, for a moment: run it again when it could not.
create function evt.set_sealed(p_known json) returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '3s' as $$
declare
  name text;
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.sealed_fields', 0));
  with known as (
    select k.type, k.version, k.paths from json_to_recordset(p_known) k (type text, version integer, paths json)
  ), wanted as (
    select type, version, array(select json_array_elements_text(p)) as path from known, json_array_elements(paths) p
  ), gone as (
    delete from evt.sealed_fields s using known k where s.type = k.type and s.version = k.version
      and not exists (select from wanted w where w.type = s.type and w.version = s.version and w.path = s.path)
  )
  insert into evt.sealed_fields (type, version, path) select type, version, path from wanted on conflict do nothing;
  foreach name in array array['outbox', 'scheduled'] loop
    if not exists (select from evt.sealed_fields) then
      execute format('drop trigger if exists %I on evt.%I', name || '_sealed', name);
    elsif not exists (select from pg_trigger where tgrelid = ('evt.' || name)::regclass and tgname = name || '_sealed') then
      execute format('create trigger %I after insert on evt.%I referencing new table as new_events
        for each statement execute function evt.check_sealed()', name || '_sealed', name);
    end if;
  end loop;
end $$;
revoke execute on function evt.set_sealed(json) from public;

-- What was scheduled before its contract encrypted is let through: one event must not hold all others up.
do $$
begin
  execute replace(pg_get_functiondef('evt.deliver_due'::regproc), '  delivered := 0;',
    '  perform set_config(''evt.takes_plain'', ''on'', true);
  delivered := 0;');
end $$;

-- Only the line is added, whatever grant_roles does by now.
do $$
begin
  execute replace(pg_get_functiondef('evt.grant_roles'::regproc),
    'grant usage on schema evt to evt_operator;',
    'grant usage on schema evt to evt_operator;
    grant execute on function evt.set_sealed(json) to evt_operator;');
end $$;

select evt.grant_roles();
