drop view evt.needs;
drop function evt.has_unsequenced, evt.unsequenced, evt.lead, evt.check_identity, evt.tick, evt.copy_refused, evt.far_leaves, evt.near_leaves, evt.piece_sql, evt.first_day, evt.head, evt.publish_many, evt.publish;
drop table evt.refused, evt.event_keys, evt.ticks, evt.relay, evt.day_marks, evt.log, evt.outbox, evt.classes;
drop function evt.refuse_change, evt.wake_relay, evt.notifies, evt.timeline, evt.make_log_chunk, evt.log_chunk_name,
  evt.make_partitions, evt.copy_grants, evt.log_chunk_size, evt.today, evt.checksum_of, evt.slot_of, evt.uuid7;
drop sequence evt.parked, evt.outbox_seq;
