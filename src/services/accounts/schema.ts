/**
 * What the accounts service keeps. Every handler writes tables of its own, a user's rows at a time; what adds up is a view. `event_time` lets
 * an older event, in a replay, change nothing, and who is erased stays so: a tombstone is an id alone. Safe to run twice.
 */
export const accountsSchema = `
create schema if not exists accounts;

create table if not exists accounts.tombstones (
  user_id    uuid primary key,
  erased_at  timestamptz not null
);

-- A service that knows something of users: asked for their data when they export it, and to erase it when they go.
create table if not exists accounts.data_holders (
  service text primary key
);
insert into accounts.data_holders values ('analytics'), ('auth'), ('mail'), ('users') on conflict do nothing;

-- Whose data must not be erased yet: an open dispute, a tax audit.
create table if not exists accounts.legal_holds (
  user_id uuid primary key,
  reason  text not null
);

create table if not exists accounts.users (
  user_id       uuid primary key,
  username      text,
  email         text,
  tenant_id     uuid,
  registered_by text not null,
  registered_at timestamptz not null
);

create table if not exists accounts.roles (
  user_id    uuid not null,
  tenant     text not null default '',
  roles      text[] not null,
  event_time timestamptz not null,
  primary key (user_id, tenant)
);

create table if not exists accounts.statuses (
  user_id         uuid primary key,
  profile_created boolean not null default false,
  email_verified  boolean not null default false,
  status          text not null default 'registering',
  status_time     timestamptz not null
);

create table if not exists accounts.tenant_configuration (
  tenant_id       uuid primary key,
  mfa_required    boolean not null,
  most_failures   integer not null,
  window_seconds  integer not null,
  lockout_seconds integer not null,
  event_time      timestamptz not null
);

-- When and how, never what: the secrets themselves are in no event and not here.
create table if not exists accounts.credentials (
  user_id    uuid primary key,
  changed_by text not null,
  changed_at timestamptz not null
);

create table if not exists accounts.mfa (
  user_id     uuid not null,
  method      text not null,
  enrolled_at timestamptz not null,
  primary key (user_id, method)
);

create table if not exists accounts.sessions (
  session_id uuid primary key,
  user_id    uuid not null,
  ip         text,
  user_agent text not null,
  country    text,
  started_at timestamptz not null,
  ended_at   timestamptz,
  event_time timestamptz not null
);
create index if not exists sessions_user_id on accounts.sessions (user_id);

create table if not exists accounts.login_attempts (
  event_id   text primary key,
  user_id    uuid not null,
  ip         text,
  country    text,
  succeeded  boolean not null,
  event_time timestamptz not null
);
create index if not exists login_attempts_user_id on accounts.login_attempts (user_id, event_time);

create table if not exists accounts.lockouts (
  user_id      uuid primary key,
  failures     integer not null,
  locked_at    timestamptz not null,
  locked_until timestamptz not null,
  unlocked_at  timestamptz
);

create table if not exists accounts.auth_audit (
  event_id       text primary key,
  type           text not null,
  subject        text,
  tenant         text,
  actor          text,
  source         text not null,
  correlation_id text,
  event_time     timestamptz not null
);
create index if not exists auth_audit_subject on accounts.auth_audit (subject, event_time);

create table if not exists accounts.password_resets (
  request_id uuid primary key,
  user_id    uuid not null,
  token_hash text not null,
  status     text not null default 'open',
  asked_at   timestamptz not null
);

create table if not exists accounts.profiles (
  user_id      uuid primary key,
  profile_id   uuid not null,
  username     text unique,
  display_name text,
  about        text,
  event_time   timestamptz not null
);

create table if not exists accounts.preferences (
  user_id    uuid primary key,
  language   text not null,
  newsletter boolean not null,
  theme      text not null,
  event_time timestamptz not null
);

create table if not exists accounts.mails (
  mail_id  uuid primary key,
  user_id  uuid not null,
  template text not null,
  event_id text not null unique,
  sent_at  timestamptz not null
);
create index if not exists mails_user_id on accounts.mails (user_id);

create table if not exists accounts.signups (
  user_id       uuid primary key,
  registered_by text not null,
  country       text,
  registered_at timestamptz not null
);

create table if not exists accounts.exports (
  export_id    uuid primary key,
  user_id      uuid not null,
  status       text not null default 'collecting',
  url          text,
  asked_at     timestamptz not null
);

create table if not exists accounts.export_parts (
  export_id uuid not null,
  user_id   uuid not null,
  service   text not null,
  document  text,
  primary key (export_id, service)
);

create or replace view accounts.locked_accounts as
  select user_id, failures, locked_until from accounts.lockouts where unlocked_at is null and locked_until > clock_timestamp();

create or replace view accounts.signups_by_day as
  select (registered_at at time zone 'UTC')::date as day, registered_by, count(*) as users
  from accounts.signups group by 1, 2;
`
