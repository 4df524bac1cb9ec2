-- What is seen over time: alerts and who was told of them, traffic by minute, types whose payloads are logged for a while.

-- Work that one bridge does for all. Whoever holds the lease does it, and writes what it came to in one transaction with the place that
-- it has reached in the log.
create table evt.watch_tasks (
  task        text primary key,
  holder      text,
  lease_until timestamptz,
  -- Everything up to here is looked at.
  position    bigint not null,
  memory      json not null default '{}'
) with (fillfactor = 50);

-- One row an alert and thing that it is about; a resolved one stays as its last state.
create table evt.alerts (
  alert       text not null,
  -- A handler, a type, a subject: whatever the rule looks at one by one; empty for the whole.
  key         text not null,
  severity    text not null,
  state       text not null check (state in ('pending', 'firing', 'resolved')),
  -- When its condition began to hold.
  since       timestamptz not null,
  fired_at    timestamptz,
  resolved_at timestamptz,
  told_at     timestamptz,
  value       double precision,
  says        text not null,
  primary key (alert, key)
) with (fillfactor = 50);

-- What webhooks have still to be told.
create table evt.alert_notices (
  id         bigint generated always as identity primary key,
  alert      text not null,
  target     text not null,
  body       json not null,
  attempts   integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  due_at     timestamptz not null default clock_timestamp()
);
create index alert_notices_due on evt.alert_notices (due_at);

create table evt.analytics_minutes (
  minute timestamptz not null,
  type   text not null,
  source text not null,
  events bigint not null,
  bytes  bigint not null,
  primary key (minute, type, source)
);

create table evt.analytics_totals (
  type     text not null,
  source   text not null,
  events   bigint not null,
  bytes    bigint not null,
  first_at timestamptz not null,
  last_at  timestamptz not null,
  primary key (type, source)
) with (fillfactor = 50);

-- The most frequent ones of an hour, as far as so many counters tell: events is too much by `error` at most.
create table evt.analytics_popular (
  hour     timestamptz not null,
  kind     text not null check (kind in ('subject', 'user')),
  key      text not null,
  events   bigint not null,
  error    bigint not null default 0,
  -- How many of which type.
  types    jsonb not null default '{}',
  first_at timestamptz not null,
  last_at  timestamptz not null,
  primary key (hour, kind, key)
);

-- Payloads of these types are logged, masked, until then.
create table evt.payload_logging (
  pattern    text primary key check (pattern <> ''),
  until      timestamptz not null,
  changed_at timestamptz not null default clock_timestamp(),
  changed_by text not null,
  reason     text
);

select evt.grant_roles();
