drop table evt.handler_switches, evt.audit, evt.instances;
