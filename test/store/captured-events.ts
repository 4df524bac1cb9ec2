import type { SqlExecutor } from '../../src/transports/transport.ts'

export interface CapturedEvent {
  readonly type: string
  readonly subject: string
  readonly data: Record<string, unknown>
}

/** What lies in the outbox, in the order of `seq`. */
export async function capturedEvents(sql: SqlExecutor): Promise<readonly CapturedEvent[]> {
  const { rows } = await sql.query('select type, subject, data from evt.outbox order by seq')
  return rows as unknown as readonly CapturedEvent[]
}

export async function capturedTypes(sql: SqlExecutor): Promise<readonly string[]> {
  return (await capturedEvents(sql)).map((event) => event.type)
}

export const usersTable = `create table users (
  id bigint generated always as identity primary key,
  email text not null,
  name text,
  is_active boolean not null default true,
  password_hash text not null default 'secret'
)`
