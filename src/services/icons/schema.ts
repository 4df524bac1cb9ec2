/**
 * The tables of an application that knows nothing of events: the demo's writers fill them, capture makes the events.
 * Safe to run twice.
 */
export const applicationSchema = `
create schema if not exists app;

create table if not exists app.users (
  id         uuid primary key,
  email      text not null,
  name       text not null,
  plan       text not null default 'free',
  role       text not null default 'viewer',
  country    text not null default 'ZZ',
  is_active  boolean not null default true,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);

create table if not exists app.documents (
  id         uuid primary key,
  user_id    uuid not null references app.users on delete cascade,
  title      text not null,
  content    text not null default '',
  is_public  boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create index if not exists documents_user_id on app.documents (user_id);

create table if not exists app.system_settings (
  key        text primary key,
  value      text not null,
  updated_at timestamptz not null default clock_timestamp()
);
`

/**
 * What the icon service keeps. Every handler writes rows of its own subject only, so handlers never wait for each other;
 * what adds up over subjects is a view. `event_time` lets an older event, in a replay, change nothing. Safe to run twice.
 */
export const iconsSchema = `
create schema if not exists icons;

-- Who has left, an id alone: what comes of them later, or again, is not kept.
create table if not exists icons.tombstones (
  user_id    uuid primary key,
  deleted_at timestamptz not null
);

create table if not exists icons.users (
  user_id    uuid primary key,
  email      text not null,
  name       text not null,
  plan       text not null,
  role       text not null,
  is_active  boolean not null,
  deleted_at timestamptz,
  event_time timestamptz not null
);

-- The contact is copied into printed licences, whose printer knows no plus addresses.
create table if not exists icons.preferences (
  user_id    uuid primary key,
  theme      text not null default 'light',
  icon_size  integer not null default 24,
  favourites text[] not null default '{}',
  contact    text not null constraint preferences_contact_check check (contact !~ '[+]'),
  created_at timestamptz not null
);

create table if not exists icons.sessions (
  session_id  uuid primary key,
  user_id     uuid not null,
  ip          text not null,
  permissions text[] not null,
  started_at  timestamptz not null,
  ended_at    timestamptz,
  event_time  timestamptz not null
);
create index if not exists sessions_user_id on icons.sessions (user_id);

create table if not exists icons.permissions (
  user_id    uuid primary key,
  granted    text[] not null,
  event_time timestamptz not null
);

create table if not exists icons.documents (
  document_id uuid primary key,
  user_id     uuid not null,
  title       text not null,
  is_public   boolean not null,
  deleted_at  timestamptz,
  event_time  timestamptz not null
);
create index if not exists documents_user_id on icons.documents (user_id);

create table if not exists icons.document_icons (
  document_id uuid not null,
  icon        text not null,
  user_id     uuid not null,
  uses        integer not null,
  used_at     timestamptz not null,
  primary key (document_id, icon)
);
create index if not exists document_icons_icon on icons.document_icons (icon, used_at desc);
create index if not exists document_icons_used_at on icons.document_icons (used_at);
create index if not exists document_icons_user_id on icons.document_icons (user_id);

-- What was used when, by the minute of the document's change; 30 days of it. A document's own rows, so that nobody waits.
create table if not exists icons.usage_minutes (
  document_id uuid not null,
  icon        text not null,
  minute      timestamptz not null,
  user_id     uuid not null,
  uses        integer not null,
  primary key (document_id, icon, minute)
);
create index if not exists usage_minutes_minute on icons.usage_minutes (minute);
create index if not exists usage_minutes_user_id on icons.usage_minutes (user_id, minute);

create table if not exists icons.recommendations (
  document_id uuid not null,
  icon        text not null,
  score       integer not null,
  primary key (document_id, icon)
);

create table if not exists icons.configuration (
  key        text primary key,
  value      text not null,
  number     double precision,
  event_time timestamptz not null
);

create table if not exists icons.maintenance (
  service            text primary key,
  enabled            boolean not null,
  estimated_duration text not null,
  event_time         timestamptz not null
);

create table if not exists icons.cache (
  scope          text not null,
  key            text not null,
  generation     integer not null default 1,
  reason         text not null,
  invalidated_at timestamptz not null,
  primary key (scope, key)
);

create table if not exists icons.health (
  service    text primary key,
  status     text not null,
  checks     jsonb not null,
  event_time timestamptz not null
);

create table if not exists icons.performance_samples (
  event_id     text primary key,
  service      text not null,
  operation    text not null,
  duration_ms  double precision not null,
  memory_bytes bigint not null,
  event_time   timestamptz not null
);

create or replace view icons.popular_icons as
  select d.icon, sum(d.uses) as uses, count(*) as documents, count(distinct d.user_id) as users, max(d.used_at) as last_used_at
  from icons.document_icons d group by d.icon order by uses desc, d.icon;

create or replace view icons.user_usage as
  select d.user_id, d.icon, sum(d.uses) as uses, max(d.used_at) as last_used_at
  from icons.document_icons d group by d.user_id, d.icon;

-- Who works now, and with which icons since the login.
create or replace view icons.live_usage as
  select s.session_id, s.user_id, s.started_at, coalesce(u.documents, 0) as documents, coalesce(u.uses, 0) as uses,
    coalesce(u.icons, '{}') as icons, u.last_used_at
  from icons.sessions s
  left join lateral (
    select count(distinct m.document_id) as documents, sum(m.uses) as uses, max(m.minute) as last_used_at,
      array_agg(distinct m.icon order by m.icon) as icons
    from icons.usage_minutes m where m.user_id = s.user_id and m.minute >= date_trunc('minute', s.started_at)
  ) u on true
  where s.ended_at is null;

create or replace view icons.performance as
  select service, operation, count(*) as samples, avg(duration_ms) as mean_ms,
    percentile_cont(0.95) within group (order by duration_ms) as p95_ms, max(memory_bytes) as most_memory_bytes
  from icons.performance_samples group by service, operation;

-- The event log for debugging: 30 days of the store. A function between, so that the store's tables can still be changed.
create or replace function icons.read_event_log()
returns table (recorded_at timestamptz, id text, type text, subject text, correlation_id text, data json)
language sql stable as $$
  select recorded_at, id, type, subject, correlation_id, data from evt.outbox
  where day >= (now() at time zone 'UTC')::date - 30 and type ~ '^(user|document|auth|system|system_setting)[.]'
$$;
create or replace view icons.event_log as select * from icons.read_event_log();
`
