drop trigger if exists outbox_access on evt.outbox;
drop function evt.set_access(name, text[], text);
drop function evt.check_access();
drop table evt.access_rules;
drop table evt.contracts;
drop function evt.take_subject_keys(text[], text[], uuid[], text, bytea[]);
drop table evt.subject_keys;
