-- What may be in data is not for a contract's encryption to decide, nor for a publisher whether it is looked for.

-- A document without what JSON can say and texts of PostgreSQL cannot, U+0000 and halves of surrogate pairs: the operators of json fail on those.
create function evt.readable_json(value json) returns json language sql immutable as $$
  select regexp_replace(value::text,
    '(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2}', '\1', 'g')::json
$$;

-- As before (023). Only who may take events out of evt.scheduled puts them into the outbox unseen.
create or replace function evt.check_sealed() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  plain record;
begin
  if current_setting('evt.takes_plain', true) = 'on'
    -- The rights of this function's definer do not count.
    and has_table_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user), 'evt.scheduled', 'delete')
  then
    return null;
  end if;
  begin
    select n.type, n.version, array_to_string(f.path, '.') as field into plain
      from evt.sealed_fields f join new_events n on n.type = f.type and n.version = f.version
      where case when '[]' = any (f.path) then evt.plain_at(n.data, f.path)
        else coalesce((n.data #> f.path)::text, 'null') not like '"evt:sealed:1:%'
          and coalesce((n.data #> f.path)::text, 'null') not in ('null', '"***"') end limit 1;
  exception when untranslatable_character or invalid_text_representation then
    select n.type, n.version, array_to_string(f.path, '.') as field into plain
      from new_events n join evt.sealed_fields f on n.type = f.type and n.version = f.version,
      evt.readable_json(n.data) readable where evt.plain_at(readable, f.path) limit 1;
  end;
  if plain is not null then
    raise exception 'evt: cannot publish % v%: its contract encrypts data.%, and here it stands in plain text', plain.type, plain.version, plain.field
      using errcode = 'check_violation',
        hint = 'publish it with createPublisher, `evt gen` or POST /events, which have the keys; or leave the field out';
  end if;
  return null;
end $$;
