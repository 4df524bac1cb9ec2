import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import { isOutage } from './errors.ts'
import { storedEvent, type TextRow } from './event-row.ts'
import { writeRelayDeadLetter } from './relay-dead-letters.ts'

export interface Delivered {
  readonly delivered: number
  /** Could not be published, and are dead letters of their publishers now. */
  readonly refused: number
  /** Until the next is due; undefined when nothing is held, or nobody looked. */
  readonly nextMs: number | undefined
}

/**
 * Publishes at most `most` events that are due, in their order. One that the store refuses becomes a dead letter and holds up no other.
 *
 * @param instance stands in such dead letters
 */
export async function deliverDue(store: Store, most: number, instance: string): Promise<Delivered> {
  try {
    const { rows } = await store.query('select delivered, next_ms from evt.deliver_due($1)', [most])
    const [row] = rows as unknown as readonly { readonly delivered: number; readonly next_ms: number | null }[]
    return { delivered: row?.delivered ?? 0, refused: 0, nextMs: row?.next_ms ?? undefined }
  } catch (error) {
    if (isOutage(error)) throw error
    return deliverSingly(store, most, instance)
  }
}

interface Refused {
  readonly state: string
  readonly message: string
  readonly row: TextRow
}

function deliverSingly(store: Store, most: number, instance: string): Promise<Delivered> {
  return store.transaction(async (sql) => {
    const { rows } = await sql.query('select delivered, refused from evt.deliver_singly($1)', [most])
    const { delivered, refused } = rows[0] as unknown as { delivered: number; refused: readonly Refused[] }
    for (const one of refused) await bury(sql, one, instance)
    return { delivered, refused: refused.length, nextMs: 0 }
  })
}

async function bury(sql: SqlExecutor, { state, message, row }: Refused, instance: string): Promise<void> {
  const { id, type, subject, headers, dataText } = storedEvent(row, 0)
  const source = row[8] as string
  await writeRelayDeadLetter(sql, {
    by: `publisher:${source}`,
    message: { id, key: subject, headers, body: Buffer.from(dataText), topic: 'publish', at: '', deliveries: 1 },
    type,
    reason: 'publish',
    error: { class: 'DatabaseError', code: state, message },
    instance,
  })
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
