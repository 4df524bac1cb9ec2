/** What the validation service keeps. `event_time` lets an older event, in a replay, change nothing. Safe to run twice. */
export const validationSchema = `
create schema if not exists validation;

-- What passed; others may name it.
create table if not exists validation.records (
  kind       text not null,
  record_id  text not null,
  run_id     uuid not null,
  body       jsonb not null,
  event_time timestamptz not null,
  primary key (kind, record_id)
);

create table if not exists validation.runs (
  run_id      uuid primary key,
  kind        text not null,
  record_id   text not null,
  status      text not null check (status in ('started', 'completed', 'failed')),
  duration_ms double precision,
  trace       text,
  event_time  timestamptz not null
);
create index if not exists runs_event_time on validation.runs (event_time);

create table if not exists validation.phases (
  run_id      uuid not null,
  phase       text not null,
  status      text not null check (status in ('started', 'completed', 'failed')),
  duration_ms double precision,
  event_time  timestamptz not null,
  primary key (run_id, phase)
);

create table if not exists validation.errors (
  event_id   text primary key,
  run_id     uuid not null,
  phase      text not null,
  field_path text not null,
  code       text not null,
  message    text not null,
  event_time timestamptz not null
);
create index if not exists errors_run_id on validation.errors (run_id);

create table if not exists validation.samples (
  event_id    text primary key,
  context_id  text not null,
  operation   text not null,
  phase       text,
  field_path  text,
  duration_ms double precision not null,
  status      text not null,
  cpu_ms      double precision,
  rss_bytes   double precision,
  trace       text,
  event_time  timestamptz not null
);
create index if not exists samples_event_time on validation.samples (event_time);

create or replace view validation.results as
  select r.run_id, r.kind, r.record_id, r.status, r.duration_ms, r.event_time,
    coalesce((select json_agg(json_build_object('phase', e.phase, 'field', e.field_path, 'code', e.code, 'message', e.message)
      order by e.field_path, e.code) from validation.errors e where e.run_id = r.run_id), '[]') as errors
  from validation.runs r;

create or replace view validation.failing_fields as
  select r.kind, e.field_path, e.code, count(*) as errors, max(e.event_time) as last_at
  from validation.errors e join validation.runs r using (run_id) group by r.kind, e.field_path, e.code
  order by errors desc, r.kind, e.field_path, e.code;

create or replace view validation.performance as
  select date_trunc('minute', event_time) as minute, operation, coalesce(phase, '') as phase, count(*) as samples,
    count(*) filter (where status = 'failed') as failed, avg(duration_ms) as mean_ms,
    percentile_cont(0.95) within group (order by duration_ms) as p95_ms, max(rss_bytes) as most_rss_bytes
  from validation.samples group by 1, 2, 3;

-- The audit trail: who asked for what, and what came of it. A function between, so that the store's tables can still be changed.
create or replace function validation.read_audit()
returns table (recorded_at timestamptz, id text, type text, subject text, correlation_id text, causation_id text, source text)
language sql stable as $$
  select recorded_at, id, type, subject, correlation_id, causation_id, source from evt.outbox where type ~ '^validation[.]'
$$;
create or replace view validation.audit as select * from validation.read_audit();
`
