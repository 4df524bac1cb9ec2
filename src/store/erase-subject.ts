import type { SqlExecutor } from '../transports/transport.ts'
import { type Audit, createAudit } from './audit.ts'

export interface ErasedSubject {
  /** As events name it: `user/123`. */
  readonly subject: string
  /** Default: in all. */
  readonly tenant?: string | undefined
}

export interface EraseSubjectOptions extends ErasedSubject {
  /** For the audit log: who, and why. */
  readonly by: string
  readonly reason: string
}

/** Deletes the keys of a subject, in the caller's transaction; says how many there were. Idempotent; audited when it changes something. */
export async function eraseKeys(sql: SqlExecutor, { subject, tenant }: ErasedSubject, audit: Audit): Promise<number> {
  const { rows } = await sql.query(
    `update evt.subject_keys set wrapped = null, master_key = null, forgotten_at = clock_timestamp()
     where subject = $1 and ($2::text is null or tenant = $2) and wrapped is not null returning id`,
    [subject, tenant ?? null],
  )
  await audit(sql, rows.length)
  return rows.length
}

/** `ctx.sql` of a handler or a saga answers with the rows themselves. */
interface AnySql {
  query(text: string, values?: readonly unknown[]): Promise<unknown>
}

/**
 * As `evt privacy forget`, in the transaction of a handler, a saga or a program: the fields that contracts encrypt for the subject are null from
 * then on, wherever their events lie. Returns how many keys there were: 0 where nothing was encrypted, or it was erased before.
 */
export function eraseSubject(sql: AnySql, { by, reason, ...whose }: EraseSubjectOptions): Promise<number> {
  const executor: SqlExecutor = {
    async query(text, values) {
      const answer = await sql.query(text, values)
      return (Array.isArray(answer) ? { rows: answer } : answer) as Awaited<ReturnType<SqlExecutor['query']>>
    },
  }
  return eraseKeys(executor, whose, createAudit({ who: by, verb: 'privacy forget', target: whose.subject, reason }))
}
