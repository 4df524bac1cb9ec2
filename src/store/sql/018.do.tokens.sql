-- Bearer tokens of HTTP. A token itself is nowhere: only its SHA-256. What is revoked stays, so that the list says who had access.

create table evt.tokens (
  id         bigint generated always as identity primary key,
  name       text not null check (name <> ''),
  hash       text not null unique check (hash ~ '^[0-9a-f]{64}$'),
  scopes     text[] not null check (cardinality(scopes) > 0 and scopes <@ array['publish', 'read', 'operate']),
  -- Patterns of event types that it may publish and read.
  types      text[] not null check (cardinality(types) > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  expires_at timestamptz,
  used_at    timestamptz,
  revoked_at timestamptz
);
-- A name stands for one token at a time.
create unique index tokens_name on evt.tokens (name) where revoked_at is null;

select evt.grant_roles();
