import type { SqlExecutor } from '../transports/transport.ts'

/** Publishes at most `most` events that are due, in their order: how many, and in how many ms the next is due. */
export async function deliverDue(
  sql: SqlExecutor,
  most: number,
): Promise<{ readonly delivered: number; readonly nextMs: number | undefined }> {
  const { rows } = await sql.query('select delivered, next_ms from evt.deliver_due($1)', [most])
  const [row] = rows as unknown as readonly { readonly delivered: number; readonly next_ms: number | null }[]
  return { delivered: row?.delivered ?? 0, nextMs: row?.next_ms ?? undefined }
}

export interface Scheduled {
  readonly events: number
  /** When the next is due, RFC 3339; null when none is held. */
  readonly next: string | null
}

export async function readScheduled(sql: SqlExecutor): Promise<Scheduled> {
  const { rows } = await sql.query('select count(*)::int as events, min(deliver_at) as next from evt.scheduled')
  const [row] = rows as unknown as readonly { readonly events: number; readonly next: Date | null }[]
  return { events: row?.events ?? 0, next: row?.next?.toISOString() ?? null }
}
