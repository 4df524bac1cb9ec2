import type { SqlExecutor } from '../transports/transport.ts'

/** A cluster's life: a restore or a copy has another system identifier, a promoted standby another timeline. */
export interface Identity {
  readonly systemIdentifier: string
  readonly timeline: string
}

export interface Identities {
  /** What the cursor was made on: transaction numbers mean nothing elsewhere. */
  readonly cursor: Identity
  readonly here: Identity
}

export async function readIdentities(sql: SqlExecutor): Promise<Identities> {
  const { rows } = await sql.query(
    `select r.system_identifier::text as cursor_system, r.timeline::text as cursor_timeline,
       s.system_identifier::text as here_system, evt.timeline()::text as here_timeline
     from evt.relay r, pg_control_system() s`,
  )
  const row = rows[0] as Record<string, string>
  return {
    cursor: { systemIdentifier: row.cursor_system ?? '', timeline: row.cursor_timeline ?? '' },
    here: { systemIdentifier: row.here_system ?? '', timeline: row.here_timeline ?? '' },
  }
}

/** Throws `refused`, with what to do about it, when the cursor was made on another cluster or timeline. */
export async function checkIdentity(sql: SqlExecutor): Promise<void> {
  await sql.query('select evt.check_identity()')
}

/** Tells this store from others wherever its events travel: 12 hex digits, the same for as long as the database lives. */
export async function readStoreId(sql: SqlExecutor): Promise<string> {
  const { rows } = await sql.query(
    `select left(md5(r.system_identifier || '/' || d.oid), 12) as id
     from evt.relay r, pg_database d where d.datname = current_database()`,
  )
  return String(rows[0]?.id)
}
