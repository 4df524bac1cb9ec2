create or replace view evt.needs (who, after) as select null::text, null::bigint where false;
