import type { SqlExecutor } from '../transports/transport.ts'

export interface InboxEntry {
  readonly eventId: string
  /** `YYYY-MM-DD` of the event's own time: the same for every delivery of it. */
  readonly day: string
}

const enterOne = 'select event_id from evt.enter_inbox($1, $2::text, $3::date, $4) as event_id'
const enterSeveral = 'select event_id from evt.enter_inbox($1, $2::text[], $3::date[], $4) as event_id'

/**
 * Writes down, in the caller's transaction, that `handler` has these events' effects. Returns the ids that were not
 * there yet: the others are to be skipped. Waits for a transaction that is just entering the same event, a second at most:
 * then it throws `timeout`.
 */
export async function enterInbox(
  sql: SqlExecutor,
  handler: string,
  entries: readonly InboxEntry[],
  scope = '',
): Promise<Set<string>> {
  const [one] = entries
  const { rows } =
    one && entries.length === 1
      ? await sql.query(enterOne, [handler, one.eventId, one.day, scope])
      : await sql.query(enterSeveral, [
          handler,
          entries.map((each) => each.eventId),
          entries.map((each) => each.day),
          scope,
        ])
  return new Set(rows.map((row) => String(row.event_id)))
}

const dayPattern = /^(?:19|20|21)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T.*Z$/

/** The UTC day of an RFC 3339 time; times that are none share one day. */
export function dayOf(time: string): string {
  if (dayPattern.test(time)) return time.slice(0, 10)
  const ms = Date.parse(time)
  const year = Number.isNaN(ms) ? 0 : new Date(ms).getUTCFullYear()
  return year >= 1900 && year < 2200 ? new Date(ms).toISOString().slice(0, 10) : '1970-01-01'
}

/**
 * Makes the partitions of the coming days and drops those past `keepDays`. Safe to run anywhere, at any time: what is in
 * use, and would hold up handlers, is left to the next run.
 */
export async function maintainInbox(
  sql: SqlExecutor,
  days: { readonly aheadDays: number; readonly keepDays: number },
): Promise<void> {
  await sql.query('select evt.maintain_inbox($1, $2)', [days.aheadDays, days.keepDays])
}
