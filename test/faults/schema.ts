import type { SqlExecutor } from '../../src/transports/transport.ts'

/** What the fault scenarios write: a counter a subject that its writers serialise on, and what handlers did. */
const tables = `
  create schema faults;
  create table faults.subjects (subject text primary key, sequence bigint not null default 0);
  create table faults.effects (
    id bigint generated always as identity primary key,
    handler text not null, event_id text not null, subject text not null, sequence bigint not null,
    instance text not null, attempt int not null
  );
  create index on faults.effects (event_id, handler);`

export async function createFaultTables(sql: SqlExecutor, subjects: number): Promise<void> {
  await sql.query(tables)
  await sql.query(`insert into faults.subjects (subject) select 'account/' || n from generate_series(1, $1::int) n`, [
    subjects,
  ])
}
