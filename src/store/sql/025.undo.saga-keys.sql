drop table evt.saga_keys;
