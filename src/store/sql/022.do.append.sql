-- Who may only publish may append with an expected sequence, too. It reads no table for that and writes none: the places of events in their
-- subject are written by this function alone, so that nobody can point one at an event of others.

-- What appending writes: the events, in the order of the outbox's columns, and where each lies among those of its subject. The numbers go on
-- where the subject ends. Returns how many there were.
create function evt.append_events(text[], text[], text[], int[], text[], timestamptz[], text[], bigint[], text[], text[], text[], text[],
  text[], text[], text[], json[], json[], text[], bytea[])
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wrong record;
  added integer;
begin
  select given.subject, given.before into wrong from (
    select e.subject, e.sequence - row_number() over (partition by e.subject order by e.sequence) as before
    from unnest($7, $8) e (subject, sequence)
  ) given
  group by 1, 2 having given.before is distinct from evt.enter_stream(given.subject) limit 1;
  if found then
    raise exception 'evt: cannot append to % after %: it does not end there', wrong.subject, wrong.before
      using errcode = 'check_violation', hint = 'select evt.enter_stream(subject) says where it ends, and keeps others from it';
  end if;
  with written as (
    insert into evt.outbox (class, id, type, version, source, time, subject, sequence, tenant, correlation_id, causation_id, traceparent,
      user_id, session_id, priority, metadata, data, checksum, event_key)
    select coalesce(e.class, evt.class_of(e.type)), e.id, e.type, e.version, e.source, e.time, e.subject, e.sequence, e.tenant,
      e.correlation_id, e.causation_id, e.traceparent, e.user_id, e.session_id, e.priority, e.metadata, e.data, e.checksum, e.event_key
    from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
      e (class, id, type, version, source, time, subject, sequence, tenant, correlation_id, causation_id, traceparent,
         user_id, session_id, priority, metadata, data, checksum, event_key)
    returning subject, sequence, class, day, xid, seq
  )
  insert into evt.streams (subject, sequence, class, day, xid, seq) select * from written;
  get diagnostics added = row_count;
  return added;
end $$;
revoke execute on function evt.append_events from public;

alter function evt.enter_stream(text) security definer;
revoke execute on function evt.enter_stream(text) from public;

-- Only the lines are added, whatever grant_roles does by now.
do $$
begin
  execute replace(replace(pg_get_functiondef('evt.grant_roles'::regproc),
    'grant usage on schema evt to evt_publisher;',
    'grant usage on schema evt to evt_publisher;
    grant execute on function evt.append_events, evt.enter_stream to evt_publisher;'),
    'grant usage on schema evt to evt_operator;',
    'grant usage on schema evt to evt_operator;
    grant execute on function evt.append_events, evt.enter_stream to evt_operator;');
end $$;

select evt.grant_roles();
