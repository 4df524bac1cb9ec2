-- What handlers leave behind: their inbox, events that failed or wait behind a failure, and dead letters.

-- Handler + event id + dedupe scope, written in the transaction of the effect. `day` is the day of the event's own
-- time, so that the same event always meets the same partition; days that have none share the default partition.
create table evt.inbox (
  handler    text not null,
  event_id   text not null,
  day        date not null,
  scope      text not null default '',
  handled_at timestamptz not null default now(),
  primary key (handler, event_id, day, scope)
) partition by range (day);
create table evt.inbox_other partition of evt.inbox default;

-- Makes the partitions of the days to come, drops those older than p_keep_days; returns how many it made.
-- Rows that the default partition already holds for such a day move with it. Whoever waits for a lock on the inbox makes
-- all handlers wait behind it: so this gives up after a moment and leaves the rest to the next time.
create function evt.maintain_inbox(p_ahead_days integer, p_keep_days integer) returns integer
language plpgsql set lock_timeout = '200ms' as $$
declare
  v_day date;
  v_name text;
  v_made integer := 0;
begin
  -- Another process is at it.
  if not pg_try_advisory_xact_lock(hashtextextended('evt.maintain_inbox', 0)) then return 0; end if;
  for v_day in select current_date + n from generate_series(-1, p_ahead_days) as n loop
    v_name := 'inbox_' || to_char(v_day, 'YYYYMMDD');
    continue when to_regclass('evt.' || v_name) is not null;
    begin
      execute format('create table evt.%I (like evt.inbox including defaults including constraints)', v_name);
      execute format('with moved as (delete from evt.inbox_other where day = %L returning *) insert into evt.%I select * from moved', v_day, v_name);
      execute format('alter table evt.inbox attach partition evt.%I for values from (%L) to (%L)', v_name, v_day, v_day + 1);
    exception when lock_not_available then exit;
    end;
    v_made := v_made + 1;
  end loop;
  for v_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'evt.inbox'::regclass and c.relname ~ '^inbox_[0-9]{8}$'
      and to_date(substr(c.relname, 7), 'YYYYMMDD') < current_date - p_keep_days
  loop
    begin
      execute format('drop table evt.%I', v_name);
    exception when lock_not_available then exit;
    end;
  end loop;
  return v_made;
end $$;
select evt.maintain_inbox(14, 90);

create table evt.dead_letters (
  id            bigint generated always as identity primary key,
  handler       text not null,
  service       text not null,
  event_id      text not null,
  type          text not null,
  version       integer,
  subject       text,
  -- Whether the handler keeps the order of this subject, and where the event stood in it.
  ordered       boolean not null,
  rank          bigint,
  lane          text not null,
  topic         text not null,
  at            text not null,
  position      bigint,
  headers       json not null,
  body          bytea not null,
  reason        text not null,
  cause         text not null,
  error_class   text not null,
  error_code    text,
  error_message text not null,
  attempts      jsonb not null,
  instance      text not null,
  status        text not null default 'open' check (status in ('open', 'replaying', 'replayed', 'discarded')),
  -- How often a replay of it died again.
  returned      integer not null default 0,
  replay_count  integer not null default 0,
  first_failed_at timestamptz not null,
  last_failed_at  timestamptz not null,
  resolved_at   timestamptz,
  note          text,
  unique (handler, event_id)
);
create index dead_letters_open on evt.dead_letters (cause) where status = 'open';
create index dead_letters_position on evt.dead_letters (position) where status in ('open', 'replaying');

-- One row for each time that a dead letter was replayed.
create table evt.redrives (
  replay_id   text not null,
  dead_letter bigint not null references evt.dead_letters on delete cascade,
  by          text not null,
  reason      text,
  at          timestamptz not null default clock_timestamp(),
  outcome     text not null default 'pending' check (outcome in ('pending', 'handled', 'dead-again', 'skipped')),
  cause       text,
  settled_at  timestamptz,
  primary key (replay_id, dead_letter)
);
create index redrives_dead_letter on evt.redrives (dead_letter);

-- Only what failed, what waits behind it, what waits for a contract, and what is replayed: settled in its lane, to be
-- run by the lane's owner. `position` refers to the log; headers and body are kept where there is none.
create table evt.deliveries (
  id           bigint generated always as identity primary key,
  handler      text not null,
  lane         text not null,
  -- The queue that it stands in; null when the handler keeps no order.
  subject      text,
  event_id     text not null,
  type         text not null,
  topic        text not null,
  at           text not null,
  position     bigint,
  headers      json,
  body         bytea,
  -- Set by a replay: the place that the dead letter had.
  ordinal      bigint,
  rank         bigint generated always as (coalesce(ordinal, position, id)) stored,
  attempts     integer not null default 0,
  errors       jsonb not null default '[]',
  -- Null: waits behind the head of its subject, or for `held_for`.
  next_at      timestamptz,
  -- `type@version` that no contract knew yet.
  held_for     text,
  -- Set while an attempt runs: a row that keeps it belonged to a process that ended.
  started_at   timestamptz,
  instance     text,
  dead_letter  bigint references evt.dead_letters,
  replay_id    text,
  replay_count integer,
  created_at   timestamptz not null default now(),
  unique (handler, event_id)
) with (fillfactor = 70);
create index deliveries_due on evt.deliveries (handler, lane, next_at) where next_at is not null;
create index deliveries_queue on evt.deliveries (handler, subject, rank) where subject is not null;
create index deliveries_held on evt.deliveries (handler, lane) where held_for is not null;
create index deliveries_position on evt.deliveries (position) where position is not null;

-- Subjects of a handler that wait. Locked by whoever parks or un-parks; removed by the lane's owner only.
create table evt.parked_subjects (
  handler    text not null,
  subject    text not null,
  lane       text not null,
  parked_at  timestamptz not null default clock_timestamp(),
  -- The dead letter that it waits for (`afterDead: 'block'`).
  blocked_by bigint references evt.dead_letters,
  -- An operator freed it: the owner is to go on.
  freed_at   timestamptz,
  primary key (handler, subject)
);
create index parked_subjects_lane on evt.parked_subjects (handler, lane);

-- Events that an earlier owner may have died of: counted here, durably, before each attempt.
create table evt.suspects (
  handler  text not null,
  event_id text not null,
  attempts integer not null,
  started  jsonb not null,
  primary key (handler, event_id)
);

-- After the head of a subject is done: wakes the next one, or un-parks. Returns 'waiting', 'held', 'blocked' or 'flowing'.
create function evt.advance_subject(p_handler text, p_subject text) returns text
language plpgsql as $$
declare
  v_parked evt.parked_subjects;
  v_head evt.deliveries;
begin
  select * into v_parked from evt.parked_subjects where handler = p_handler and subject = p_subject for update;
  if not found then return 'flowing'; end if;
  if v_parked.blocked_by is not null then return 'blocked'; end if;
  select * into v_head from evt.deliveries where handler = p_handler and subject = p_subject order by rank, id limit 1;
  if not found then
    delete from evt.parked_subjects where handler = p_handler and subject = p_subject;
    return 'flowing';
  end if;
  if v_parked.freed_at is not null then
    update evt.parked_subjects set freed_at = null where handler = p_handler and subject = p_subject;
  end if;
  if v_head.held_for is not null then return 'held'; end if;
  if v_head.next_at is null then
    update evt.deliveries set next_at = clock_timestamp() where id = v_head.id;
  end if;
  return 'waiting';
end $$;

-- JSON or null: one unreadable body must not hide the others.
create function evt.readable(p_body bytea) returns jsonb
language plpgsql immutable as $$
begin
  return convert_from(p_body, 'UTF8')::jsonb;
exception when others then
  return null;
end $$;

-- The table that the event bus guide's users query.
create schema if not exists event_store;
create view event_store.dead_letter_queue as
select d.id, d.event_id, d.type as event_name, d.version as event_version, d.subject as aggregate_id,
  d.handler as handler_name, d.service as service_name, evt.readable(d.body) as event_data, d.headers as event_headers,
  d.error_class as error_type, d.error_message, d.attempts #>> '{-1,stack}' as error_stack,
  jsonb_array_length(d.attempts) as retry_count, d.reason, d.status, d.first_failed_at, d.last_failed_at, d.resolved_at
from evt.dead_letters d;
