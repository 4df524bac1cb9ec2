create or replace function evt.check_sealed() returns trigger language plpgsql security definer
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

drop function evt.readable_json(json);
