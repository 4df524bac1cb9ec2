do $$
declare
  columns constant text := 'class, id, type, version, source, time, subject, sequence, tenant, correlation_id, causation_id, traceparent,
      user_id, session_id, priority, metadata, data, checksum, event_key';
  name  text;
  given text;
begin
  execute replace(pg_get_functiondef('evt.grant_roles'::regproc),
    format('revoke insert on evt.outbox, evt.scheduled from evt_publisher;
    grant insert (%s) on evt.outbox to evt_publisher;
    grant insert (%s, deliver_at) on evt.scheduled to evt_publisher;', columns, columns),
    'grant insert on evt.outbox, evt.scheduled to evt_publisher;');
  foreach name in array array['publish', 'publish_at'] loop
    select pg_get_functiondef(p.oid) into strict given from pg_proc p join pg_language l on l.oid = p.prolang
      where p.pronamespace = 'evt'::regnamespace and p.proname = name and l.lanname = 'plpgsql';
    execute replace(given, '  if greatest(octet_length(source), octet_length(tenant), octet_length(correlation_id), octet_length(causation_id),
    octet_length(traceparent), octet_length(user_id), octet_length(session_id), octet_length(subject)) > 1024 then
    perform evt.refuse_long(type, id, source, subject, tenant, correlation_id, causation_id, traceparent, user_id, session_id, event_key);
  end if;
  event_key := coalesce(event_key, convert_to(id, ''UTF8''));
', '');
  end loop;
  execute replace(pg_get_functiondef('evt.tick'::regproc), '''evt_piece_fit_''', '''evt_piece_''');
  execute replace(pg_get_functiondef('evt.rebase'::regproc), '  perform set_config(''evt.keeps_long'', ''on'', true);
', '');
  execute replace(pg_get_functiondef('evt.deliver_due'::regproc), '  if exists (
    select from (select event_key, checksum from evt.scheduled where deliver_at <= moment order by deliver_at, number limit most) s
    join evt.event_keys k on k.key = s.event_key where k.checksum is distinct from s.checksum)
  then
    raise exception ''cannot deliver: an event of this id is there, with other data'' using errcode = ''EV002'';
  end if;
', '');
  execute replace(pg_get_functiondef('evt.deliver_singly'::regproc), '      if exists (select from evt.event_keys k where k.key = due.event_key and k.checksum is distinct from due.checksum) then
        raise exception ''cannot publish: an event of this id is there, with other data'' using errcode = ''EV002'';
      end if;
', '');
end $$;

drop index evt.scheduled_key;
alter table evt.scheduled drop constraint scheduled_lengths;
alter table evt.outbox drop constraint outbox_lengths;
drop function evt.check_lengths, evt.refuse_long;

create or replace function evt.piece_sql(near regclass[], with_ended boolean, far regclass[]) returns text language sql stable
set search_path = pg_catalog, pg_temp as $$
  select format($f$
    with piece as materialized (
      select leaf, seq, xid, day, class, event_key, checksum, coalesce(evt.slot_of(subject), seq & 255) as slot
      from (%s) o order by seq limit $6
    ), keyed as (
      select *, row_number() over (partition by event_key order by seq) as nth from piece where event_key is not null
    ), claimed as (
      insert into evt.event_keys (key, checksum, day, seq)
      select event_key, checksum, day, seq from keyed where nth = 1
      on conflict do nothing returning seq
    ), losers as (
      select k.leaf, k.seq, k.xid, coalesce(e.checksum, f.checksum) as kept,
        k.checksum is not distinct from coalesce(e.checksum, f.checksum) as same
      from keyed k
      join keyed f on f.event_key = k.event_key and f.nth = 1
      left join evt.event_keys e on e.key = k.event_key
      where not exists (select from claimed c where c.seq = k.seq)
    ), sequenced as (
      insert into evt.log (position, seq, xid, sequenced_at, day, slot, class)
      select $7 + row_number() over (order by p.seq), p.seq, p.xid, clock_timestamp(), p.day, p.slot, p.class
      from piece p
      where p.event_key is null or p.seq not in (select seq from losers)
    )
    select p.count, p.last, l.duplicates, l.refused
    from (select count(*) as count, max(seq) as last from piece) p,
      (select count(*) filter (where same) as duplicates,
        json_agg(json_build_object('leaf', leaf, 'seq', seq, 'xid', xid::text, 'kept', kept)) filter (where not same) as refused
      from losers) l
    $f$, string_agg(branch, ' union all '))
  from (
    select format('select %s::regclass as leaf, seq, xid, day, class, event_key, checksum, subject from only %s'
      || ' where seq > $5 and xid >= %s and xid < $2 and pg_visible_in_snapshot(xid, $3)', leaf::oid, leaf, since) as branch
    from (select leaf, '$1' as since from unnest(near) leaf union all select leaf, '$8' from unnest(far) leaf) leaves
    union all
    select format('select %s::regclass as leaf, seq, xid, day, class, event_key, checksum, subject from only %s'
      || ' where seq > $5 and xid = any (%s)', leaf::oid, leaf, ended)
    from (select leaf, '$4' as ended from unnest(near) leaf where with_ended
      union all select leaf, '$9' from unnest(far) leaf) leaves
  ) branches
$$;

create or replace function evt.copy_refused(losers json) returns integer language plpgsql as $$
declare
  loser record;
begin
  for loser in select * from json_to_recordset(losers) as l(leaf regclass, seq bigint, xid xid8, kept text) loop
    execute format('insert into evt.refused select clock_timestamp(), $1, $2, o.* from only %s o where xid = $3 and seq = $4',
      loser.leaf) using 'same key, other bytes', loser.kept, loser.xid, loser.seq;
  end loop;
  return json_array_length(losers);
end $$;

create or replace function evt.make_restored(event_class text, event_day date) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  leaf text := 'outbox_' || event_class || '_' || to_char(event_day, 'YYYYMMDD');
begin
  execute format('create table evt.%I (like evt.outbox including defaults including constraints including indexes)', leaf);
  perform evt.copy_grants('evt.outbox', format('evt.%I', leaf)::regclass);
end $$;

select evt.grant_roles();
