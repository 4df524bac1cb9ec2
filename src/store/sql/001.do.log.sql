-- The outbox (what was committed), the log (what was sequenced) and the one function that takes events from the first to
-- the second. Rows of both are only ever inserted; they go by whole partitions.

create schema if not exists evt;

-- Retention classes: how long a partition is kept, at least.
create table evt.classes (
  class          text primary key check (class ~ '^[a-z][a-z0-9]{0,15}$'),
  retention_days integer not null check (retention_days >= 1)
);
insert into evt.classes values ('default', 30), ('audit', 90), ('scratch', 1);

-- A plain sequence and not an identity column: up to PostgreSQL 16, partitions made for attaching cannot inherit one.
create sequence evt.outbox_seq;

-- UUID version 7, also before PostgreSQL 18.
do $$
begin
  if current_setting('server_version_num')::int >= 180000 then
    execute 'create function evt.uuid7() returns uuid language sql volatile parallel safe as ''select uuidv7()''';
  else
    execute $f$
      create function evt.uuid7() returns uuid language sql volatile parallel safe as $body$
        select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
          substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
          52, 1), 53, 1), 'hex')::uuid
      $body$
    $f$;
  end if;
end $$;

-- The ordering key's place, 0..255: the first byte of its MD5. core/slot.ts computes the same.
create function evt.slot_of(subject text) returns integer language sql immutable strict parallel safe
as $$ select ('x' || left(md5(subject), 2))::bit(8)::integer $$;

-- Lower-case hex over the stored bytes.
create function evt.checksum_of(data json) returns text language sql stable strict parallel safe
as $$ select encode(sha256(convert_to(data::text, 'UTF8')), 'hex') $$;

create function evt.today() returns date language sql volatile parallel safe
as $$ select (clock_timestamp() at time zone 'UTC')::date $$;

-- `xid` stands before `seq`, so that a transaction has its number before it draws the first of its places.
-- `data` is json and not jsonb: the text stays as written, and the checksum is over it.
create table evt.outbox (
  xid            xid8 not null default pg_current_xact_id(),
  seq            bigint not null default nextval('evt.outbox_seq'),
  recorded_at    timestamptz not null default clock_timestamp(),
  day            date not null default (clock_timestamp() at time zone 'UTC')::date,
  version        integer not null default 1,
  class          text not null default 'default',
  id             text not null,
  type           text not null,
  source         text not null,
  time           timestamptz not null default clock_timestamp(),
  subject        text,
  sequence       bigint,
  tenant         text,
  correlation_id text,
  causation_id   text,
  traceparent    text,
  user_id        text,
  session_id     text,
  priority       text not null default 'normal',
  metadata       json,
  data           json not null,
  checksum       text,
  event_key      bytea
) partition by list (class);
create index outbox_xid on evt.outbox (xid, seq);

-- `chunk_of(position)` names the partition: readers go to it directly, so that reading never plans over all of them.
create table evt.log (
  position     bigint not null,
  seq          bigint not null,
  xid          xid8 not null,
  sequenced_at timestamptz not null,
  day          date not null,
  slot         smallint not null,
  class        text not null,
  primary key (position)
) partition by range (position);

create function evt.log_chunk_size() returns bigint language sql immutable parallel safe as $$ select 5000000::bigint $$;

-- What a partition's readers may do is what the parent's readers may do.
create function evt.copy_grants(parent regclass, child regclass) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  entry record;
begin
  for entry in
    select case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee, a.privilege_type
    from pg_class c, aclexplode(c.relacl) a
    where c.oid = parent and a.grantee <> c.relowner
  loop
    execute format('grant %s on %s to %s', entry.privilege_type, child, entry.grantee);
  end loop;
end $$;

-- Makes the outbox's partitions of these days where they are missing; says how many it made. Each is built aside and
-- attached: CREATE TABLE … PARTITION OF would wait for every open writer, and make all later ones wait behind it.
create function evt.make_partitions(first_day date, last_day date) returns integer language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  made   integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.partitions', 0));
  for wanted in
    select class, 'outbox_' || class as parent, 'outbox_' || class || '_' || to_char(day, 'YYYYMMDD') as leaf, day::date
    from evt.classes, generate_series(first_day, last_day, interval '1 day') day
    order by day, class
  loop
    if to_regclass('evt.' || wanted.parent) is null then
      execute format('create table evt.%I (like evt.outbox including defaults) partition by range (day)', wanted.parent);
      execute format('alter table evt.outbox attach partition evt.%I for values in (%L)', wanted.parent, wanted.class);
      perform evt.copy_grants('evt.outbox', format('evt.%I', wanted.parent)::regclass);
    end if;
    continue when to_regclass('evt.' || wanted.leaf) is not null;
    execute format('create table evt.%I (like evt.outbox including defaults)', wanted.leaf);
    perform evt.copy_grants('evt.outbox', format('evt.%I', wanted.leaf)::regclass);
    execute format('alter table evt.%I attach partition evt.%I for values from (%L) to (%L)',
      wanted.parent, wanted.leaf, wanted.day, wanted.day + 1);
    made := made + 1;
  end loop;
  return made;
end $$;

create function evt.log_chunk_name(chunk bigint) returns text language sql immutable parallel safe
as $$ select 'log_' || lpad(chunk::text, 8, '0') $$;

create function evt.make_log_chunk(chunk bigint) returns void language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  leaf text := evt.log_chunk_name(chunk);
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.partitions', 0));
  if to_regclass('evt.' || leaf) is not null then
    return;
  end if;
  execute format('create table evt.%I (like evt.log)', leaf);
  perform evt.copy_grants('evt.log', format('evt.%I', leaf)::regclass);
  execute format('alter table evt.log attach partition evt.%I for values from (%s) to (%s)',
    leaf, chunk * evt.log_chunk_size(), (chunk + 1) * evt.log_chunk_size());
end $$;

-- A day and a transaction number that had not been given out when that day had begun: rows of that transaction and of
-- all later ones lie on that day or after it, so the sequencer need not look at earlier partitions.
create table evt.day_marks (
  day date primary key,
  xid xid8 not null
);

-- The lease of the leader: liveness only. What fences is the epoch in `ticks`.
create table evt.relay (
  only_row          boolean primary key default true check (only_row),
  leader            text,
  epoch             bigint not null default 0,
  lease_until       timestamptz,
  system_identifier bigint not null,
  timeline          bigint not null
) with (fillfactor = 10);

create function evt.timeline() returns bigint language sql volatile
as $$
  select case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
    else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint end
$$;

-- The cursor, one row a move, the newest counts. Insert-only: a row that is updated at every tick becomes a chain of dead
-- versions, to be walked at every tick, as soon as any snapshot is held open. Two leaders cannot write the same `tick`.
create table evt.ticks (
  tick          bigint primary key,
  epoch         bigint not null,
  at            timestamptz not null default clock_timestamp(),
  head          bigint not null,        -- last position given
  snapshot      pg_snapshot not null,   -- everything visible in it is sequenced
  next_snapshot pg_snapshot,            -- being worked through; what lies up to after_seq is done
  after_seq     bigint not null default 0,
  near_day      date not null,          -- the day that near_leaves was made for
  near_leaves   regclass[] not null,    -- partitions that every step looks at; all others are looked at once a minute,
  far_snapshot  pg_snapshot not null,   -- from this one: clocks may jump, and nothing may be left behind
  far_at        timestamptz not null default clock_timestamp(),
  duplicates    bigint not null default 0, -- dropped: same key, same bytes; since the beginning
  refused       bigint not null default 0, -- same key, other bytes; since the beginning
  far_leaves    regclass[]              -- looked at beside near_leaves up to next_snapshot; null: it is not a look at all
);

-- Keys of keyed publishes: the id of an event from outside, or a hash of where it came from.
create table evt.event_keys (
  key      bytea primary key,
  checksum text,
  day      date not null,
  seq      bigint not null
);
create index event_keys_day on evt.event_keys (day);

-- Same key, other bytes: kept whole, never sequenced.
create table evt.refused (
  refused_at    timestamptz not null default clock_timestamp(),
  reason        text not null,
  kept_checksum text,
  like evt.outbox,
  primary key (seq)
);

-- 2 while the relay sleeps. A sequence, because its value is read past any snapshot and changing it leaves nothing dead.
create sequence evt.parked minvalue 1 maxvalue 2 cycle;
select setval('evt.parked', 1);

-- NOTIFY forbids PREPARE TRANSACTION, so where two-phase commits are possible it is off unless `evt.notify` is 'on'.
create function evt.notifies() returns boolean language sql stable
as $$
  select case coalesce(current_setting('evt.notify', true), '')
    when 'on' then true when 'off' then false else current_setting('max_prepared_transactions') = '0' end
$$;

create function evt.wake_relay() returns trigger language plpgsql as $$
begin
  -- A full queue (somebody listens and does not read) would fail the writer's commit.
  if evt.notifies() and pg_notification_queue_usage() < 0.5 then
    perform pg_notify('evt_wake', '');
  end if;
  return null;
end $$;
-- The condition is looked at after the rows are written, when the transaction has its number; it spares the call (4 µs).
create trigger wake_relay after insert on evt.outbox for each statement
  when (pg_sequence_last_value('evt.parked'::regclass) = 2) execute function evt.wake_relay();

create function evt.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'cannot % %.%: its rows are never changed', lower(tg_op), tg_table_schema, tg_table_name
    using errcode = 'EV007', hint = 'events go by whole partitions, when their class is over its days and nobody needs them';
end $$;
create trigger refuse_change before update or delete or truncate on evt.outbox
  for each statement execute function evt.refuse_change();
create trigger refuse_change before update or delete or truncate on evt.log
  for each statement execute function evt.refuse_change();

-- Publishes one event in the caller's transaction and returns its id. Only `type` and `data` are needed.
create function evt.publish(
  type           text,
  data           json,
  subject        text default null,
  version        integer default 1,
  source         text default null,
  id             text default null,
  "time"         timestamptz default null,
  sequence       bigint default null,
  tenant         text default null,
  correlation_id text default null,
  causation_id   text default null,
  traceparent    text default null,
  user_id        text default null,
  session_id     text default null,
  priority       text default 'normal',
  metadata       json default null,
  class          text default 'default',
  event_key      bytea default null
) returns text language plpgsql as $$
declare
  size bigint := octet_length(data::text);
begin
  if size > 1048576 then
    raise exception 'cannot publish %: % bytes of data, the limit is 1048576', type, size using errcode = 'EV003';
  end if;
  id := coalesce(id, evt.uuid7()::text);
  insert into evt.outbox (class, id, type, version, source, time, subject, sequence, tenant, correlation_id,
    causation_id, traceparent, user_id, session_id, priority, metadata, data, checksum, event_key)
  values (class, id, type, version, coalesce(source, nullif(current_setting('application_name'), ''), 'sql'),
    coalesce("time", clock_timestamp()), subject, sequence, tenant, correlation_id,
    causation_id, traceparent, user_id, session_id, priority, metadata, data, evt.checksum_of(data), event_key);
  return id;
end $$;

-- Many: a JSON array of objects whose fields are named like the arguments of `evt.publish`. Ids in the order given.
create function evt.publish_many(events json) returns setof text language sql as $$
  select evt.publish(e->>'type', e->'data', e->>'subject', coalesce((e->>'version')::integer, 1), e->>'source', e->>'id',
    (e->>'time')::timestamptz, (e->>'sequence')::bigint, e->>'tenant', e->>'correlation_id', e->>'causation_id',
    e->>'traceparent', e->>'user_id', e->>'session_id', coalesce(e->>'priority', 'normal'), e->'metadata',
    coalesce(e->>'class', 'default'), decode(e->>'event_key', 'hex'))
  from json_array_elements(events) with ordinality as list(e, nth) order by nth
$$;

-- The last position given; 0 when nothing was sequenced.
create function evt.head() returns bigint language sql stable
as $$ select head from evt.ticks order by tick desc limit 1 $$;

-- The earliest day on which this transaction or a later one can have written, while the clock is sane to one day.
create function evt.first_day(writer xid8) returns date language sql stable
as $$ select day - 1 from evt.day_marks where xid <= writer order by day desc limit 1 $$;

-- What one step does with the rows of these partitions, as one statement. $1 xmax of the old snapshot, $2 xmax of the new
-- one, $3 the new one, $4 those in progress in the old one that have ended since, $5 and $6 the page, $7 the head.
-- $8 and $9 are what $1 and $4 are, for the far partitions, which are behind by more than one snapshot.
-- Partitions are named one by one: a plan over `evt.outbox` would lock and open all of them, 4 ms a step.
create function evt.piece_sql(near regclass[], with_ended boolean, far regclass[]) returns text language sql stable
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

-- The partitions that writers write to now: yesterday's to tomorrow's.
create function evt.near_leaves() returns regclass[] language sql stable set search_path = pg_catalog, pg_temp as $$
  select array_agg(leaf order by leaf::oid) from (
    select to_regclass('evt.outbox_' || class || '_' || to_char(evt.today() + distance, 'YYYYMMDD')) as leaf
    from evt.classes, generate_series(-1, 1) distance
  ) found where leaf is not null
$$;

-- All others that have a row which `since` did not see. Only clocks that jump and writers that stay open for days make any.
create function evt.far_leaves(near regclass[], since pg_snapshot) returns regclass[] language plpgsql stable
set search_path = pg_catalog, pg_temp as $$
declare
  leaf  regclass;
  newer boolean;
  found regclass[] := '{}';
begin
  for leaf in select relid from pg_partition_tree('evt.outbox') where isleaf and not relid = any (near) loop
    execute format('select exists (select from only %s where xid >= $1)', leaf) into newer using pg_snapshot_xmin(since);
    if newer then
      found := found || leaf;
    end if;
  end loop;
  return found;
end $$;

create function evt.copy_refused(losers json) returns integer language plpgsql as $$
declare
  loser record;
begin
  for loser in select * from json_to_recordset(losers) as l(leaf regclass, seq bigint, xid xid8, kept text) loop
    execute format('insert into evt.refused select clock_timestamp(), $1, $2, o.* from only %s o where xid = $3 and seq = $4',
      loser.leaf) using 'same key, other bytes', loser.kept, loser.xid, loser.seq;
  end loop;
  return json_array_length(losers);
end $$;

-- One step of the sequencer: gives positions to at most `max_events` of what became visible since the last step, in the
-- order of `seq`, and moves the cursor, in the caller's one transaction. `more` says that there is more at once.
-- Raises EV001 when `for_epoch` no longer leads; of two leaders that step at the same moment, one gets 23505 (on the log,
-- `refused` or `ticks`, whichever comes first) and has done nothing. Writes nothing when nothing happened.
--
-- Why nothing is lost, doubled or out of order, whatever day it is and however long nobody stepped:
-- * Between two rounds (`next_snapshot` is null), what is sequenced are the rows of near_leaves that `snapshot` sees and the
--   rows of all other partitions that `far_snapshot` sees, and these only.
-- * A round takes the rows that became visible since then up to `next_snapshot`, in pages by one `seq` over all partitions
--   it looks at. Snapshots, partitions and `far_snapshot` stay as they are until its last page, so `after_seq` means the
--   same at each of them, and no partition changes between near and far while a part of it is done.
-- * After a look at all (near ones since `snapshot`, every other one with newer rows since `far_snapshot`) everything that
--   `next_snapshot` sees is sequenced, wherever it lies. Only then near_leaves is made anew: both snapshots are the same,
--   so it makes no difference to which of them a partition is measured.
-- * A new day begins with a look at all, so a round never sees a day's rows without those of the days before it.
create function evt.tick(for_epoch bigint, max_events integer, out sequenced integer, out head bigint, out more boolean)
language plpgsql
-- Plans must not flip as partitions fill up: indexes only, one plan for all snapshots.
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_bitmapscan = off
set work_mem = '64MB' set search_path = pg_catalog, pg_temp as $$
declare
  c         evt.ticks;
  upto      pg_snapshot;
  ended     xid8[];
  near      regclass[];
  far       regclass[];
  step      text;
  piece     record;
  lost      bigint := 0;
begin
  select * into strict c from evt.ticks order by tick desc limit 1;
  if c.epoch <> for_epoch then
    raise exception 'cannot sequence: epoch % was replaced by %', for_epoch, c.epoch using errcode = 'EV001';
  end if;
  head := c.head; sequenced := 0; more := false;
  -- The statements below take newer snapshots, so all that is visible in this one is visible to them.
  upto := coalesce(c.next_snapshot, pg_current_snapshot());
  if upto::text = c.snapshot::text then
    return;
  end if;
  if current_setting('synchronous_commit') in ('off', 'local') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if to_regclass('evt.' || evt.log_chunk_name((head + max_events) / evt.log_chunk_size() + 1)) is null then
    perform evt.make_log_chunk((head + max_events) / evt.log_chunk_size());
    perform evt.make_log_chunk((head + max_events) / evt.log_chunk_size() + 1);
  end if;

  -- Writers that stay open stay in the list of those in progress and cost nothing here.
  ended := array(select x from pg_snapshot_xip(c.snapshot) x where pg_visible_in_snapshot(x, upto));
  if c.next_snapshot is null then
    c.far_leaves := case when c.near_day <> evt.today() or c.far_at < clock_timestamp() - interval '60 s'
      or coalesce(evt.first_day(ended[1]) < c.near_day - 1, false) then evt.far_leaves(c.near_leaves, c.far_snapshot) end;
  end if;

  near := array(select leaf from unnest(c.near_leaves) leaf where exists (select from pg_class where oid = leaf));
  far := array(select leaf from unnest(c.far_leaves) leaf where exists (select from pg_class where oid = leaf));
  if cardinality(near) + cardinality(far) > 0 then
    if cardinality(far) > 0 then
      execute evt.piece_sql(near, true, far) into piece using pg_snapshot_xmax(c.snapshot), pg_snapshot_xmax(upto), upto,
        ended, c.after_seq, max_events, head, pg_snapshot_xmax(c.far_snapshot),
        array(select x from pg_snapshot_xip(c.far_snapshot) x where pg_visible_in_snapshot(x, upto));
    else
      step := 'evt_piece_' || md5(near::oid[]::text) || case when cardinality(ended) > 0 then '_ended' else '' end;
      if not exists (select from pg_prepared_statements where name = step) then
        execute format('prepare %I (xid8, xid8, pg_snapshot, xid8[], bigint, integer, bigint) as %s', step,
          evt.piece_sql(near, cardinality(ended) > 0, '{}'));
      end if;
      execute format('execute %I (%L, %L, %L, %L, %s, %s, %s)', step, pg_snapshot_xmax(c.snapshot), pg_snapshot_xmax(upto),
        upto, ended, c.after_seq, max_events, head) into piece;
    end if;
    lost := case when piece.refused is null then 0 else evt.copy_refused(piece.refused) end;
    c.duplicates := c.duplicates + piece.duplicates;
    c.refused := c.refused + lost;
    sequenced := piece.count - piece.duplicates - lost;
    head := c.head + sequenced;
    more := piece.count >= max_events;
    if piece.count = 0 and c.far_leaves is null and c.next_snapshot is null and c.at > clock_timestamp() - interval '5 s' then
      return;
    end if;
  end if;

  if more then
    c.next_snapshot := upto; c.after_seq := piece.last;
  else
    c.snapshot := upto; c.next_snapshot := null; c.after_seq := 0;
    if c.far_leaves is not null then
      insert into evt.day_marks values (evt.today(), pg_snapshot_xmax(pg_current_snapshot())) on conflict do nothing;
      c.near_day := evt.today();
      c.near_leaves := evt.near_leaves();
      c.far_leaves := null;
      c.far_snapshot := upto;
      c.far_at := clock_timestamp();
    end if;
  end if;
  insert into evt.ticks values (c.tick + 1, for_epoch, clock_timestamp(), head, c.snapshot, c.next_snapshot, c.after_seq,
    c.near_day, c.near_leaves, c.far_snapshot, c.far_at, c.duplicates, c.refused, c.far_leaves);
  if sequenced > 0 then
    perform pg_notify('evt_log', head::text);
  end if;
end $$;

create function evt.check_identity() returns void language plpgsql as $$
declare
  was  evt.relay;
  here bigint := (select system_identifier from pg_control_system());
begin
  select * into strict was from evt.relay;
  if was.system_identifier <> here or was.timeline <> evt.timeline() then
    raise exception 'the cursor belongs to cluster % timeline %, this is cluster % timeline %',
      was.system_identifier, was.timeline, here, evt.timeline() using errcode = 'EV007', hint = 'nothing was skipped and nothing is sequenced here; point evt at the cluster that it used, or restore that one';
  end if;
end $$;

-- Takes the lease when it is free or has run out; returns the new epoch, or null while somebody else leads. After it, the
-- former leader's steps fail. Raises EV007 when the cursor belongs to another cluster or timeline.
create function evt.lead(me text, lease_ms integer) returns bigint language plpgsql as $$
declare
  won  bigint;
begin
  update evt.relay set leader = me, epoch = epoch + 1, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
  where leader is null or coalesce(lease_until < clock_timestamp(), true)
  returning epoch into won;
  if won is null then
    return null;
  end if;
  perform evt.check_identity();
  loop
    begin
      insert into evt.ticks
      select tick + 1, won, clock_timestamp(), head, snapshot, next_snapshot, after_seq, near_day, near_leaves, far_snapshot,
        far_at, duplicates, refused, far_leaves
      from evt.ticks order by tick desc limit 1;
      return won;
    exception when unique_violation then
      -- The former leader finished one more step while we waited for it: after that one, then.
    end;
  end loop;
end $$;

-- What was committed and has no position yet: at most `at_most` are counted. Looks where the cursor looks and where
-- writers write now, which is not the same after days on which nobody stepped.
create function evt.unsequenced(at_most integer, out events bigint, out oldest timestamptz) language plpgsql stable
set search_path = pg_catalog, pg_temp as $$
declare
  c evt.ticks;
begin
  select * into strict c from evt.ticks order by tick desc limit 1;
  execute (
    select format('select count(*), min(recorded_at) from (select recorded_at from (%s) every limit $7) counted', string_agg(format(
      'select recorded_at from only %s where (xid >= %s or xid = any (%s))%s', leaf,
      case when is_near then '$1' else '$2' end, case when is_near then '$3' else '$4' end,
      case when is_near or leaf = any (c.far_leaves) then ' and not (seq <= $5 and pg_visible_in_snapshot(xid, $6))' else '' end),
      ' union all '))
    from (
      select distinct leaf, leaf = any (c.near_leaves) as is_near
      from unnest(c.near_leaves || c.far_leaves || evt.near_leaves()) leaf where exists (select from pg_class where oid = leaf)
    ) leaves
  ) into events, oldest
  using pg_snapshot_xmax(c.snapshot), pg_snapshot_xmax(c.far_snapshot), array(select pg_snapshot_xip(c.snapshot)),
    array(select pg_snapshot_xip(c.far_snapshot)), c.after_seq, coalesce(c.next_snapshot, c.snapshot), at_most;
end $$;

select evt.make_partitions(evt.today() - 1, evt.today() + 14);
select evt.make_log_chunk(0), evt.make_log_chunk(1);
insert into evt.relay (system_identifier, timeline) select system_identifier, evt.timeline() from pg_control_system();
insert into evt.ticks (tick, epoch, head, snapshot, near_day, near_leaves, far_snapshot)
  values (0, 0, 0, pg_current_snapshot(), evt.today(), evt.near_leaves(), pg_current_snapshot());
insert into evt.day_marks values (evt.today(), pg_snapshot_xmax(pg_current_snapshot()));

-- Who still needs which positions: retention keeps every event after the smallest `after`. Migrations that bring readers
-- with durable positions replace this view by one that names theirs.
create view evt.needs (who, after) as select null::text, null::bigint where false;

-- True while a row of this partition of the outbox has no position yet. Sure only while nobody can write to it.
create function evt.has_unsequenced(leaf regclass) returns boolean language plpgsql stable
set search_path = pg_catalog, pg_temp as $$
declare
  c       evt.ticks;
  since   pg_snapshot;
  found   boolean;
begin
  select * into strict c from evt.ticks order by tick desc limit 1;
  since := case when leaf = any (c.near_leaves) then c.snapshot else c.far_snapshot end;
  execute format('select exists (select from only %s where xid >= $1 and not pg_visible_in_snapshot(xid, $2))', leaf)
    into found using pg_snapshot_xmin(since), since;
  return found;
end $$;
