-- How long a field of an event may be. Most end up in an index, and an index holds 2,704 bytes: one that was longer stopped whoever met it,
-- for good. core/limits.ts has the same numbers.

-- Raises and says which field is too long.
create function evt.refuse_long(type text, id text, source text, subject text, tenant text, correlation_id text, causation_id text,
  traceparent text, user_id text, session_id text, event_key bytea) returns boolean language plpgsql stable as $$
declare
  wrong record;
begin
  select * into wrong from (values ('id', char_length(id), 'characters', 255), ('source', octet_length(source), 'bytes', 1024),
    ('subject', octet_length(subject), 'bytes', 1024), ('tenant', octet_length(tenant), 'bytes', 1024),
    ('correlation_id', octet_length(correlation_id), 'bytes', 1024), ('causation_id', octet_length(causation_id), 'bytes', 1024), ('traceparent', octet_length(traceparent), 'bytes', 1024),
    ('user_id', octet_length(user_id), 'bytes', 1024), ('session_id', octet_length(session_id), 'bytes', 1024),
    ('event_key', octet_length(event_key), 'bytes', 1024)
  ) field (name, size, unit, most) where size > most limit 1;
  -- What was there before is not lost when the log is moved to another cluster: only the owner may change rows.
  if wrong is null and id <> '' or current_setting('evt.keeps_long', true) = 'on' and has_table_privilege('evt.outbox', 'update') then
    return true;
  end if;
  raise exception 'cannot publish %: %', coalesce(left(type, 80), 'an event'),
    case when wrong is null then 'id is empty' else format('%s has %s %s, the limit is %s', wrong.name, wrong.size, wrong.unit, wrong.most) end
    using errcode = 'EV004', hint = case when wrong is null then 'leave the id out, then it gets one'
      else 'put what is long into data; these fields name things, and are looked up by their names' end;
end $$;

-- What every row is looked at for, however it comes: what the relay and the queues of handlers need. A function, as check_type (010), and of few
-- columns: each statement reads the rule anew, and all of them would cost a quarter of evt.publish, which looks at the others by itself.
-- Where those come past it, their readers cut them.
create function evt.check_lengths(id text, subject text, event_key bytea) returns boolean language plpgsql stable as $$
begin
  if octet_length(id) between 1 and 255 and coalesce(greatest(octet_length(subject), octet_length(event_key)), 0) <= 1024 then
    return true;
  end if;
  return evt.refuse_long(null, id, null, subject, null, null, null, null, null, null, event_key);
end $$;

-- Not validated: what was written before stays, and is set aside by the tick or by handlers. The lock on writers is asked for with a limit.
do $$
declare
  waits text := current_setting('lock_timeout');
begin
  if waits = '0' then
    perform set_config('lock_timeout', '5s', true);
  end if;
  alter table evt.outbox add constraint outbox_lengths check (evt.check_lengths(id, subject, event_key)) not valid;
  alter table evt.scheduled add constraint scheduled_lengths check (evt.check_lengths(id, subject, event_key)) not valid;
  perform set_config('lock_timeout', waits, true);
end $$;

-- As before (017); history comes back as it was.
create or replace function evt.make_restored(event_class text, event_day date) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  leaf text := 'outbox_' || event_class || '_' || to_char(event_day, 'YYYYMMDD');
begin
  execute format('create table evt.%I (like evt.outbox including defaults including constraints including indexes)', leaf);
  execute format('alter table evt.%I drop constraint outbox_lengths', leaf);
  perform evt.copy_grants('evt.outbox', format('evt.%I', leaf)::regclass);
end $$;

-- As before (001); rows without a name that an index could hold are refused, and hold up no other.
create or replace function evt.piece_sql(near regclass[], with_ended boolean, far regclass[]) returns text language sql stable
set search_path = pg_catalog, pg_temp as $$
  select format($f$
    with piece as materialized (
      select leaf, seq, xid, day, class, event_key, checksum, coalesce(evt.slot_of(subject), seq & 255) as slot,
        octet_length(id) between 1 and 1020 and coalesce(octet_length(event_key) <= 1024, true) as fits
      from (%s) o order by seq limit $6
    ), keyed as (
      select *, row_number() over (partition by event_key order by seq) as nth from piece where event_key is not null and fits
    ), claimed as (
      insert into evt.event_keys (key, checksum, day, seq)
      select event_key, checksum, day, seq from keyed where nth = 1
      on conflict do nothing returning seq
    ), losers as (
      select k.leaf, k.seq, k.xid, coalesce(e.checksum, f.checksum) as kept,
        k.checksum is not distinct from coalesce(e.checksum, f.checksum) as same, 'same key, other bytes' as reason
      from keyed k
      join keyed f on f.event_key = k.event_key and f.nth = 1
      left join evt.event_keys e on e.key = k.event_key
      where not exists (select from claimed c where c.seq = k.seq)
      union all
      select leaf, seq, xid, null, false, 'its id or its key is empty or too long' from piece where not fits
    ), sequenced as (
      insert into evt.log (position, seq, xid, sequenced_at, day, slot, class)
      select $7 + row_number() over (order by p.seq), p.seq, p.xid, clock_timestamp(), p.day, p.slot, p.class
      from piece p
      where p.fits and (p.event_key is null or p.seq not in (select seq from losers))
    )
    select p.count, p.last, l.duplicates, l.refused
    from (select count(*) as count, max(seq) as last from piece) p,
      (select count(*) filter (where same) as duplicates, json_agg(json_build_object('leaf', leaf, 'seq', seq, 'xid', xid::text,
        'kept', kept, 'reason', reason)) filter (where not same) as refused
      from losers) l
    $f$, string_agg(branch, ' union all '))
  from (
    select format('select %s::regclass as leaf, seq, xid, day, class, event_key, checksum, subject, id from only %s'
      || ' where seq > $5 and xid >= %s and xid < $2 and pg_visible_in_snapshot(xid, $3)', leaf::oid, leaf, since) as branch
    from (select leaf, '$1' as since from unnest(near) leaf union all select leaf, '$8' from unnest(far) leaf) leaves
    union all
    select format('select %s::regclass as leaf, seq, xid, day, class, event_key, checksum, subject, id from only %s'
      || ' where seq > $5 and xid = any (%s)', leaf::oid, leaf, ended)
    from (select leaf, '$4' as ended from unnest(near) leaf where with_ended
      union all select leaf, '$9' from unnest(far) leaf) leaves
  ) branches
$$;

create or replace function evt.copy_refused(losers json) returns integer language plpgsql as $$
declare
  loser record;
begin
  for loser in select * from json_to_recordset(losers) as l(leaf regclass, seq bigint, xid xid8, kept text, reason text) loop
    execute format('insert into evt.refused select clock_timestamp(), $1, $2, o.* from only %s o where xid = $3 and seq = $4',
      loser.leaf) using coalesce(loser.reason, 'same key, other bytes'), loser.kept, loser.xid, loser.seq;
  end loop;
  return json_array_length(losers);
end $$;

do $$
declare
  step   text := pg_get_functiondef('evt.tick'::regproc);
  rebase text := pg_get_functiondef('evt.rebase'::regproc);
  single text := pg_get_functiondef('evt.deliver_singly'::regproc);
  due    text := pg_get_functiondef('evt.deliver_due'::regproc);
  name   text;
  given  text;
begin
  -- What sessions have prepared before goes by another name.
  execute replace(step, '''evt_piece_''', '''evt_piece_fit_''');
  execute replace(rebase, '  alter table evt.outbox disable trigger refuse_change;',
    '  perform set_config(''evt.keeps_long'', ''on'', true);
  alter table evt.outbox disable trigger refuse_change;');

  -- Who gives an id of their own means one event by it: of one id the first bytes count, as with all other ways to publish.
  foreach name in array array['publish', 'publish_at'] loop
    select pg_get_functiondef(p.oid) into strict given from pg_proc p join pg_language l on l.oid = p.prolang
      where p.pronamespace = 'evt'::regnamespace and p.proname = name and l.lanname = 'plpgsql';
    execute replace(given, '  id := coalesce(id, evt.uuid7()::text);', '  if greatest(octet_length(source), octet_length(tenant), octet_length(correlation_id), octet_length(causation_id),
    octet_length(traceparent), octet_length(user_id), octet_length(session_id), octet_length(subject)) > 1024 then
    perform evt.refuse_long(type, id, source, subject, tenant, correlation_id, causation_id, traceparent, user_id, session_id, event_key);
  end if;
  event_key := coalesce(event_key, convert_to(id, ''UTF8''));
  id := coalesce(id, evt.uuid7()::text);');
  end loop;

  -- Other bytes came under that id while it was held: then they were first.
  execute replace(due, '  with due as (', '  if exists (
    select from (select event_key, checksum from evt.scheduled where deliver_at <= moment order by deliver_at, number limit most) s
    join evt.event_keys k on k.key = s.event_key where k.checksum is distinct from s.checksum)
  then
    raise exception ''cannot deliver: an event of this id is there, with other data'' using errcode = ''EV002'';
  end if;
  with due as (');
  execute replace(single, '    begin
      insert into evt.outbox', '    begin
      if exists (select from evt.event_keys k where k.key = due.event_key and k.checksum is distinct from due.checksum) then
        raise exception ''cannot publish: an event of this id is there, with other data'' using errcode = ''EV002'';
      end if;
      insert into evt.outbox');
end $$;

-- For whoever asks whether an id is taken: by what is held until its time, too.
create index scheduled_key on evt.scheduled (event_key) where event_key is not null;

-- Publishers write what publishing needs and nothing else: a number of a transaction, a day or a place of somebody's own would never be
-- sequenced, and nobody would know. Only the line is changed, whatever grant_roles does by now.
do $$
declare
  columns constant text := 'class, id, type, version, source, time, subject, sequence, tenant, correlation_id, causation_id, traceparent,
      user_id, session_id, priority, metadata, data, checksum, event_key';
begin
  execute replace(pg_get_functiondef('evt.grant_roles'::regproc), 'grant insert on evt.outbox, evt.scheduled to evt_publisher;',
    format('revoke insert on evt.outbox, evt.scheduled from evt_publisher;
    grant insert (%s) on evt.outbox to evt_publisher;
    grant insert (%s, deliver_at) on evt.scheduled to evt_publisher;', columns, columns));
end $$;

select evt.grant_roles();
