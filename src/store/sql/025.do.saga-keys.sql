-- Keys that have a saga once, ever (`perKey: 'once'`): what is left of a saga when it is forgotten. The key itself may be somebody's name.
create table evt.saga_keys (
  saga     text not null,
  -- sha256 of the key.
  key_hash bytea not null,
  ended_at timestamptz not null,
  primary key (saga, key_hash)
);

select evt.grant_roles();
