import type { SqlExecutor } from '../transports/transport.ts'

/** Who does what to which part of the store, and why. */
export interface AuditEntry {
  readonly who: string
  /** The command: `dlq replay`. */
  readonly verb: string
  readonly target: string
  readonly reason?: string | undefined
  readonly details?: object
}

/**
 * Called in the transaction of the change, with the number of things that it changed. A change of several transactions
 * is one row: `affected` grows with each of them that commits. `details` belong to the first one.
 */
export type Audit = (sql: SqlExecutor, affected: number, details?: object) => Promise<void>

export function createAudit({ who, verb, target, reason, details }: AuditEntry): Audit {
  let id: unknown
  return async (sql, affected, more) => {
    if (affected === 0) return
    const { rows: found } = await sql.query(
      'update evt.audit set affected = affected + $2 where id = $1 returning id',
      [id ?? null, affected],
    )
    // Not there either when the transaction that inserted it was rolled back.
    if (found.length > 0) return
    const { rows } = await sql.query(
      `insert into evt.audit (who, verb, target, reason, affected, details) values ($1, $2, $3, $4, $5, $6) returning id`,
      [who, verb, target, reason ?? null, affected, JSON.stringify({ ...details, ...more })],
    )
    id = rows[0]?.id
  }
}
