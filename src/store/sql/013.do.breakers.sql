-- Circuit breakers of handlers: one that is open stops its handler in all bridges, until probes by one of them succeed.

create table evt.breakers (
  handler       text primary key,
  state         text not null check (state in ('open', 'closed')),
  changed_at    timestamptz not null default clock_timestamp(),
  changed_by    text not null,
  -- Distinct subjects, when it opened.
  failing       integer not null,
  seen          integer not null,
  error         text not null,
  trips         bigint not null default 1,
  -- Who tries an event or two, and until when nobody else does.
  probe_at      timestamptz not null,
  probing_by    text,
  probing_until timestamptz
) with (fillfactor = 50);

select evt.grant_roles();
