-- What running bridges say about themselves, who changed what, and the switches that operators turn.

-- Unlogged: rewritten every second by each bridge, and worthless after a crash of Postgres, when all bridges start anew.
create unlogged table evt.instances (
  instance   text primary key,
  host       text not null,
  pid        integer not null,
  version    text not null,
  roles      text[] not null,
  leader     boolean not null default false,
  started_at timestamptz not null,
  beat_at    timestamptz not null default clock_timestamp(),
  stopped_at timestamptz,
  sample     json not null
) with (fillfactor = 50);

-- Who did what with evt; written in the transaction of the change itself.
create table evt.audit (
  id       bigint generated always as identity primary key,
  at       timestamptz not null default clock_timestamp(),
  who      text not null,
  verb     text not null,
  target   text not null,
  reason   text,
  affected bigint not null default 0,
  details  json not null default '{}'
);

create table evt.handler_switches (
  handler    text primary key,
  paused     boolean not null,
  changed_at timestamptz not null default clock_timestamp(),
  changed_by text not null,
  reason     text
);
