drop table evt.breakers;
