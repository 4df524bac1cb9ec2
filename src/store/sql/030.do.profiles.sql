-- What bridges are asked to measure while they run. They learn of it by their beat (005), which they write once a second anyway.

create table evt.profile_requests (
  id      text primary key,
  handler text not null,
  for_ms  integer not null check (for_ms > 0),
  -- Whoever asked has given up by then.
  until   timestamptz not null
);

create table evt.profile_answers (
  request  text not null references evt.profile_requests on delete cascade,
  instance text not null,
  answer   json not null,
  primary key (request, instance)
);

-- They lay there before.
delete from evt.watch_tasks where task like 'profile/%';

select evt.grant_roles();
