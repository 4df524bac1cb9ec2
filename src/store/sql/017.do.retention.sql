-- Retention by type: which class an event is written to. Archives of what was dropped, and history that came back from them.

-- The rules, in their order: the first that matches counts; what none matches is of the class `default`. Changed by
-- evt.set_type_classes only, which makes evt.class_of of them.
create table evt.type_classes (
  nth        integer primary key,
  pattern    text not null,
  class      text not null references evt.classes,
  -- The pattern as SQL: these types, or those that the expression matches when a dot is put behind them.
  types      text[],
  expression text
);

-- The class of a new event of this type. Generated, so that it is one expression that PostgreSQL puts into the writer's own statement:
-- without rules it costs nothing, and it reads no table. Stable and not immutable: plans are made anew when it changes.
create or replace function evt.class_of(type text) returns text language sql stable parallel safe
as $$ select 'default'::text $$;

-- In their order, for writers by COPY: those may read no table.
create function evt.type_rules() returns table (pattern text, class text) language sql stable security definer
set search_path = pg_catalog, pg_temp as $$ select pattern, class from evt.type_classes order by nth $$;

-- Replaces all rules. The classes and their partitions have to be there.
create function evt.set_type_classes(rules json) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  branches text;
begin
  perform pg_advisory_xact_lock(hashtextextended('evt.type_classes', 0));
  delete from evt.type_classes;
  insert into evt.type_classes
    select nth, rule->>'pattern', rule->>'class',
      (select array_agg(t) from json_array_elements_text(rule->'types') t), rule->>'expression'
    from json_array_elements(rules) with ordinality as list(rule, nth);
  select string_agg(format(' when %s then %L',
      case when expression is null then format('$1 = any (%L::text[])', types) else format('$1 || ''.'' ~ %L', expression) end,
      class), '' order by nth)
    into branches from evt.type_classes;
  execute format('create or replace function evt.class_of(type text) returns text language sql stable parallel safe as %L',
    'select ' || coalesce('case' || branches || ' else ''default'' end', '''default''::text'));
end $$;

-- Lets the leader look at all partitions at its next step: those of a class that is new would else wait for a minute. A step under
-- way at the same moment fails, and is made again by the next leader.
create function evt.look_everywhere() returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  loop
    begin
      insert into evt.ticks
      select tick + 1, epoch, clock_timestamp(), head, snapshot, next_snapshot, after_seq, near_day, near_leaves, far_snapshot,
        '-infinity', duplicates, refused, far_leaves
      from evt.ticks order by tick desc limit 1;
      return;
    exception when unique_violation then
    end;
  end loop;
end $$;

-- The writers in SQL: who names no class gets the type's. Bodies are changed where they stand, whatever else they do by now.
do $$
declare
  writer regprocedure;
  was    text;
  body   text;
begin
  for writer in select oid::regprocedure from pg_proc where pronamespace = 'evt'::regnamespace and proname in ('publish', 'publish_many')
  loop
    was := pg_get_functiondef(writer);
    body := replace(was, 'class text DEFAULT ''default''::text', 'class text DEFAULT NULL::text');
    body := replace(body, 'coalesce(e->>''class'', ''default'')', 'e->>''class''');
    body := replace(body, 'values (class, id,', 'values (coalesce(class, evt.class_of(type)), id,');
    if body <> was then
      execute body;
    end if;
  end loop;
end $$;

-- What was written away, with the checksum of the file: proof that a file is of this store.
create table evt.archives (
  class          text not null,
  day            date not null,
  sha256         text not null,
  file           text not null,
  bytes          bigint not null,
  events         bigint not null,
  first_position bigint,
  last_position  bigint,
  -- What the archive saw: an event that it did not see keeps the partition.
  snapshot       pg_snapshot not null,
  archived_at    timestamptz not null default clock_timestamp(),
  primary key (class, day, sha256)
);

-- History that came back: tables with a partition's name that belong to no partitioned table, so that readers find them and the
-- sequencer does not.
create table evt.restored (
  class       text not null,
  day         date not null,
  sha256      text not null,
  restored_at timestamptz not null default clock_timestamp(),
  keep_until  date not null,
  primary key (class, day),
  foreign key (class, day, sha256) references evt.archives
);

create function evt.make_restored(event_class text, event_day date) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  leaf text := 'outbox_' || event_class || '_' || to_char(event_day, 'YYYYMMDD');
begin
  execute format('create table evt.%I (like evt.outbox including defaults including constraints including indexes)', leaf);
  perform evt.copy_grants('evt.outbox', format('evt.%I', leaf)::regclass);
end $$;

select evt.grant_roles();
