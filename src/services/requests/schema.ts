/**
 * What the service keeps. `position` is where the event stands in the log that a row was last changed by: an older one, in a replay,
 * changes nothing. Safe to run twice.
 */
export const requestsSchema = `
create schema if not exists requests;

create table if not exists requests.users (
  user_id         bigint primary key,
  telegram_id     bigint,
  first_name      text not null,
  last_name       text,
  full_name       text not null,
  role            text not null,
  specializations text[] not null default '{}',
  permissions     text[] not null default '{}',
  verified_by     bigint,
  deleted_at      timestamptz,
  position        bigint not null
);

create table if not exists requests.requests (
  request_id  uuid primary key,
  user_id     bigint not null,
  category    text not null,
  urgency     text not null,
  description text not null,
  status      text not null check (status in ('created', 'assigned', 'completed', 'cancelled')),
  executor_id bigint,
  reason      text,
  created_at  timestamptz not null,
  changed_at  timestamptz not null,
  event_id    text not null,
  position    bigint not null
);
create index if not exists requests_open on requests.requests (created_at) where status in ('created', 'assigned');

create table if not exists requests.assignments (
  assignment_id uuid primary key,
  request_id    uuid not null,
  executor_id   bigint not null,
  status        text not null check (status in ('created', 'accepted', 'rejected', 'completed')),
  reason        text,
  created_at    timestamptz not null,
  changed_at    timestamptz not null,
  event_id      text not null,
  position      bigint not null
);
create index if not exists assignments_request on requests.assignments (request_id);
create index if not exists assignments_executor on requests.assignments (executor_id) where status in ('created', 'accepted');

-- The range of one number says "the same executor" to an index that knows ranges only.
create table if not exists requests.shifts (
  shift_id    uuid primary key,
  district    text not null,
  hours       tstzrange not null,
  executor_id bigint,
  status      text not null check (status in ('created', 'assigned')),
  event_id    text not null,
  position    bigint not null,
  constraint one_shift_at_a_time
    exclude using gist (int8range(executor_id, executor_id, '[]') with &&, hours with &&) where (executor_id is not null)
);
create table if not exists requests.transfers (
  event_id         text primary key,
  shift_id         uuid not null,
  from_executor_id bigint not null,
  to_executor_id   bigint not null,
  reason           text,
  transferred_at   timestamptz not null
);

-- A channel that is switched off stands for one whose server does not answer.
create table if not exists requests.channels (
  channel text primary key,
  is_up   boolean not null default true
);
insert into requests.channels (channel) values ('telegram'), ('email'), ('sms') on conflict do nothing;

create table if not exists requests.notifications (
  notification_id uuid primary key,
  user_id         bigint not null,
  channel         text not null,
  template        text not null default '',
  about           text not null default '',
  status          text not null check (status in ('sent', 'delivered', 'failed')),
  attempts        integer not null,
  reason          text,
  position        bigint not null
);

create table if not exists requests.health (
  service    text primary key,
  status     text not null,
  checks     jsonb not null,
  checked_at timestamptz not null,
  position   bigint not null
);

create table if not exists requests.errors (
  event_id    text primary key,
  service     text not null,
  error_type  text not null,
  message     text not null,
  severity    text not null,
  happened_at timestamptz not null
);
create index if not exists errors_happened_at on requests.errors (happened_at);

create or replace view requests.open_requests as
  select r.request_id, r.category, r.urgency, r.status, r.executor_id, r.created_at,
    (select count(*) from requests.assignments a where a.request_id = r.request_id and a.status = 'rejected') as rejections
  from requests.requests r where r.status in ('created', 'assigned');

create or replace view requests.error_rates as
  select service, error_type, date_trunc('hour', happened_at) as hour, count(*) as errors
  from requests.errors group by service, error_type, date_trunc('hour', happened_at);
`
