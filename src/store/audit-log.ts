import type { SqlExecutor } from '../transports/transport.ts'

/** What somebody did with evt, or was not allowed to do. */
export interface AuditRow {
  readonly at: string
  readonly who: string
  readonly verb: string
  readonly target: string
  readonly reason: string | null
  /** How many things it changed; of what was denied, how often. */
  readonly affected: number
  readonly details: unknown
}

export interface AuditFilter {
  readonly who?: string | undefined
  /** `dlq replay`; the first words are enough: `dlq`. */
  readonly verb?: string | undefined
  readonly target?: string | undefined
  /** Only what was denied. */
  readonly denied?: boolean | undefined
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly limit: number
}

/** The newest first; `more`: there are others beyond the limit. */
export async function readAudit(
  sql: SqlExecutor,
  { who, verb, target, denied = false, sinceMs, untilMs, limit }: AuditFilter,
): Promise<{ readonly rows: readonly AuditRow[]; readonly more: boolean }> {
  const { rows } = await sql.query(
    `select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, who, verb, target, reason,
       affected::float8 as affected, details
     from evt.audit
     where ($1::text is null or who = $1) and ($2::text is null or verb = $2 or starts_with(verb, $2 || ' '))
       and ($3::text is null or target = $3) and (not $4 or verb like '%denied')
       and ($5::float8 is null or at >= to_timestamp($5 / 1000)) and ($6::float8 is null or at <= to_timestamp($6 / 1000))
     order by id desc limit $7`,
    [who ?? null, verb ?? null, target ?? null, denied, sinceMs ?? null, untilMs ?? null, limit + 1],
  )
  return { rows: rows.slice(0, limit) as unknown as readonly AuditRow[], more: rows.length > limit }
}
