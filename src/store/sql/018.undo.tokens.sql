drop table evt.tokens;
