/**
 * What the platform keeps. What adds up over subjects is a view, so handlers write rows of their own subject only.
 * `event_time` lets an older event, in a replay, change nothing: one for each thing that others say on their own, for their clocks differ.
 * What nobody has said yet is from -infinity, what is final from infinity. Safe to run twice.
 */
export const platformSchema = `
create schema if not exists platform;

-- Whose data was erased, an id alone.
create table if not exists platform.tombstones (
  user_id   uuid primary key,
  erased_at timestamptz not null
);
-- Who is asked for the data of users, and to erase it. The accounts service has the same statement: whoever is first makes it.
create schema if not exists accounts;
create table if not exists accounts.data_holders (
  service text primary key
);
insert into accounts.data_holders values ('platform') on conflict do nothing;

create table if not exists platform.tenants (
  tenant_id    uuid primary key,
  company_name text,
  country      text,
  status       text not null default 'active',
  created_at   timestamptz not null,
  event_time   timestamptz not null
);
alter table platform.tenants add column if not exists status_time timestamptz not null default '-infinity';

create table if not exists platform.subscriptions (
  tenant_id  uuid primary key,
  plan       text not null,
  status     text not null,
  seats      integer not null,
  event_time timestamptz not null
);

create table if not exists platform.feature_flags (
  tenant_id       uuid not null,
  flag            text not null,
  enabled         boolean not null,
  rollout_percent integer not null,
  event_time      timestamptz not null,
  primary key (tenant_id, flag)
);

create table if not exists platform.locations (
  location_id uuid primary key,
  tenant_id   uuid not null,
  name        text not null,
  city        text not null,
  country     text not null,
  is_open     boolean not null,
  event_time  timestamptz not null
);

create table if not exists platform.roles (
  tenant_id   uuid not null,
  role        text not null,
  permissions text[] not null,
  event_time  timestamptz not null,
  primary key (tenant_id, role)
);

-- Without a role, the user had one.
create table if not exists platform.user_roles (
  tenant_id  uuid not null,
  user_id    uuid not null,
  role       text,
  changed_by text not null,
  event_time timestamptz not null,
  primary key (tenant_id, user_id)
);

-- A row an event: handled again, it is the same row.
create table if not exists platform.usage (
  event_id   text primary key,
  tenant_id  uuid not null,
  kind       text not null,
  subject_id text,
  flag       text,
  enabled    boolean,
  used_at    timestamptz not null
);
create index if not exists usage_of_tenants on platform.usage (tenant_id, kind);

create or replace view platform.user_permissions as
  select u.tenant_id, u.user_id, u.role, coalesce(r.permissions, '{}') as permissions
  from platform.user_roles u left join platform.roles r using (tenant_id, role) where u.role is not null;

create or replace view platform.tenant_usage as
  select tenant_id, count(distinct subject_id) filter (where kind = 'user') as users,
    count(distinct subject_id) filter (where kind = 'order') as orders,
    count(*) filter (where kind = 'feature_flag') as flags_met, max(used_at) as last_used_at
  from platform.usage group by tenant_id;

create or replace view platform.feature_flag_usage as
  select tenant_id, flag, count(*) as met, count(*) filter (where enabled) as met_enabled, max(used_at) as last_used_at
  from platform.usage where kind = 'feature_flag' group by tenant_id, flag;

create or replace view platform.tenant_metrics as
  select t.tenant_id, t.status, s.plan, s.status as subscription, s.seats,
    (select count(*) from platform.feature_flags f where f.tenant_id = t.tenant_id and f.enabled) as flags_enabled,
    (select count(*) from platform.locations l where l.tenant_id = t.tenant_id and l.is_open) as locations,
    coalesce(u.users, 0) as users, coalesce(u.orders, 0) as orders
  from platform.tenants t
  left join platform.subscriptions s using (tenant_id)
  left join platform.tenant_usage u using (tenant_id);
`
