import { fromHeaders } from '../core/codec/headers.ts'
import type { EvtEvent } from '../core/event.ts'
import type { Store } from './connection.ts'
import { isMissingTable } from './errors.ts'
import { eventColumns, storedEvent, type TextRow } from './event-row.ts'
import { outboxLeaf } from './partition-names.ts'
import { openReading } from './reading.ts'

/** What tells an event apart, with the time of its commit: clocks of publishers decide nothing. */
export interface TypedEvent {
  /** All of the event for readers of whole events. */
  readonly event: Pick<EvtEvent, 'type' | 'subject' | 'correlationId' | 'actor' | 'tenant' | 'id'>
  readonly atMs: number
}

export interface TypedPage {
  readonly events: readonly TypedEvent[]
  /** Everything up to here was looked at. */
  readonly reached: bigint
  /** When the last event up to there was committed, of whatever type; undefined where retention has taken it. */
  readonly reachedMs: number | undefined
}

export interface TypeReader {
  /** The events of the chosen types after a position, in order: of a page, up to `upTo` at most. */
  read(after: bigint, upTo: bigint): Promise<TypedPage>
  /** The last position given; 0n when the log is empty. */
  head(): Promise<bigint>
  close(): Promise<void>
}

export interface TypeReaderOptions {
  /** As `patternExpression` writes it. */
  readonly expression: string
  /** Whole events are wanted, with their data. Those that cannot be decoded are left out. */
  readonly isWhole: boolean
}

const briefColumns = 'o.id, o.type, o.subject, o.correlation_id, o.tenant, o.user_id'
const eventAt = 3
const pageOf = { brief: 5_000n, whole: 500n }

/**
 * Follows chosen types through the log. The server picks them, so that the others cost next to nothing: half a million events a second are passed
 * over, 200,000 are read in brief. Connects on first use.
 */
export function createTypeReader(store: Store, { expression, isWhole }: TypeReaderOptions): TypeReader {
  const reading = openReading(store, 'evt log types')
  const eventOf = isWhole ? wholeEvent : briefEvent
  const size = isWhole ? pageOf.whole : pageOf.brief
  // The last event of a page comes in any case: it says how far the page reaches in time.
  const selectOf = (leaf: string) => `select l.position, date_part('epoch', o.recorded_at) * 1000, (o.type || '.') ~ $3,
      ${isWhole ? eventColumns : briefColumns}
    from evt.log l join only ${leaf} o on o.xid = l.xid and o.seq = l.seq
    where l.position > $1 and l.position <= $2 and l.class = $4 and l.day = $5::date
      and ((o.type || '.') ~ $3 or l.position = $6) order by l.position`

  async function rowsOf([eventClass, day, last]: TextRow, bounds: readonly string[]): Promise<readonly TextRow[]> {
    const leaf = outboxLeaf(String(eventClass), String(day))
    try {
      return await reading.rows(`types ${leaf}`, selectOf(leaf), [...bounds, expression, eventClass, day, last])
    } catch (error) {
      // Retention has dropped that day.
      if (!isMissingTable(error)) throw error
      return []
    }
  }

  /** Before the next entry, however far away. */
  async function beyondGap(after: bigint, upTo: bigint): Promise<bigint> {
    const first = (
      await reading.rows('next', 'select min(position) from evt.log where position > $1', [String(after)])
    )[0]?.[0]
    return first == null || BigInt(first) > upTo ? upTo : BigInt(first) - 1n
  }

  return {
    async read(after, upTo) {
      const reached = after + size < upTo ? after + size : upTo
      const bounds = [String(after), String(reached)]
      const days = await reading.rows(
        'days',
        'select class, day::text, max(position) from evt.log where position > $1 and position <= $2 group by 1, 2',
        bounds,
      )
      if (days.length === 0) return { events: [], reached: await beyondGap(reached, upTo), reachedMs: undefined }
      const found: TextRow[] = []
      for (const day of days) found.push(...(await rowsOf(day, bounds)))
      if (days.length > 1) found.sort(([a], [b]) => Number(a) - Number(b))
      const events = found.flatMap((row) => (row[2] === 't' ? eventOf(row) : []))
      const last = found.at(-1)?.[1]
      return { events, reached, reachedMs: last == null ? undefined : Number(last) }
    },
    head: async () => BigInt((await reading.rows('head', 'select coalesce(evt.head(), 0)', []))[0]?.[0] ?? 0),
    close: () => reading.close(),
  }
}

function briefEvent(row: TextRow): readonly TypedEvent[] {
  const [id, type, subject, correlationId, tenant, userId] = row.slice(eventAt)
  const event = {
    id: String(id),
    type: String(type),
    ...(subject == null ? {} : { subject }),
    ...(correlationId == null ? {} : { correlationId }),
    ...(tenant == null ? {} : { tenant }),
    ...(userId == null ? {} : { actor: { userId } }),
  }
  return [{ event, atMs: Number(row[1]) }]
}

function wholeEvent(row: TextRow): readonly TypedEvent[] {
  const { headers, dataText, recordedMs } = storedEvent(row, eventAt)
  try {
    return [{ event: fromHeaders(headers, dataText, { verify: false }), atMs: recordedMs }]
  } catch {
    // What cannot be decoded matches nothing; handlers make a dead letter of it.
    return []
  }
}
