-- An event's type is what patterns select: 1 to 255 characters, words joined by dots. One of another form could be written and
-- neither selected nor, when it is empty, read. core/pattern.ts holds the same rule.

-- True, or raises and says why. For the check below: with the rule itself written there, each statement would read it anew, which
-- costs a small one more than all else that it does.
create function evt.check_type(type text) returns boolean language plpgsql immutable as $$
begin
  if length(type) <= 255 and type ~
    '^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff?!\[\]()|\\"''`;<>*{},.]+(?:\.[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff?!\[\]()|\\"''`;<>*{},.]+)*$'
  then
    return true;
  end if;
  raise exception 'cannot publish an event of type %: %', to_json(case when length(type) > 80 then left(type, 80) || '…' else type end),
    case when type = '' then 'it is empty' when length(type) > 255 then format('%s characters are more than 255', length(type))
      else 'it is no dotted name that a pattern could select' end
    using errcode = 'EV004',
      hint = 'a type is words joined by dots, as user.created; no spaces, quotes or any of * ? ! , ; | \ < > ( ) [ ] { }';
end $$;

-- Not validated: what was written before stays. The lock on writers is asked for with a limit, behind it all of them would wait.
do $$
declare
  waits text := current_setting('lock_timeout');
begin
  if waits = '0' then
    perform set_config('lock_timeout', '5s', true);
  end if;
  alter table evt.outbox add constraint outbox_type check (evt.check_type(type)) not valid;
  perform set_config('lock_timeout', waits, true);
end $$;

-- As before (001); a partition is attached only with the parent's constraints.
create or replace function evt.make_partitions(first_day date, last_day date) returns integer language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record;
  made   integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.partitions', 0));
  for wanted in
    select class, 'outbox_' || class as parent, 'outbox_' || class || '_' || to_char(day, 'YYYYMMDD') as leaf, day::date
    from evt.classes, generate_series(first_day, last_day, interval '1 day') day
    order by day, class
  loop
    if to_regclass('evt.' || wanted.parent) is null then
      execute format('create table evt.%I (like evt.outbox including defaults including constraints) partition by range (day)', wanted.parent);
      execute format('alter table evt.outbox attach partition evt.%I for values in (%L)', wanted.parent, wanted.class);
      perform evt.copy_grants('evt.outbox', format('evt.%I', wanted.parent)::regclass);
    end if;
    continue when to_regclass('evt.' || wanted.leaf) is not null;
    execute format('create table evt.%I (like evt.outbox including defaults including constraints)', wanted.leaf);
    perform evt.copy_grants('evt.outbox', format('evt.%I', wanted.leaf)::regclass);
    execute format('alter table evt.%I attach partition evt.%I for values from (%L) to (%L)',
      wanted.parent, wanted.leaf, wanted.day, wanted.day + 1);
    made := made + 1;
  end loop;
  return made;
end $$;
