import type { Message } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import { eventColumns, storedEvent } from './event-row.ts'
import { openReading } from './reading.ts'

/** What the log knows of a message beside the message itself; times in ms since the epoch. */
export interface LoggedMessage extends Message {
  readonly timeMs: number
  readonly sequencedMs: number
}

export interface LoggedMessages {
  /** By position; those that retention has removed are missing. */
  read(positions: readonly bigint[]): Promise<ReadonlyMap<bigint, LoggedMessage>>
  close(): Promise<void>
}

const select = `select l.position, date_part('epoch', l.sequenced_at) * 1000, ${eventColumns}
  from unnest($1::bigint[]) as wanted(position) join evt.log l on l.position = wanted.position
  join evt.outbox o on o.class = l.class and o.day = l.day and o.xid = l.xid and o.seq = l.seq`

/** Reads single events of the log again: for deliveries that refer to it. */
export function openLoggedMessages(store: Store): LoggedMessages {
  const reading = openReading(store, 'evt retries')
  return {
    async read(positions) {
      const rows = await reading.rows('logged_messages', select, [positions.map(String)])
      return new Map(
        rows.map((row) => {
          const event = storedEvent(row, 2)
          const position = BigInt(row[0] as string)
          const times = { timeMs: event.recordedMs, sequencedMs: Number(row[1]) }
          const body = Buffer.from(event.dataText)
          return [position, { id: event.id, key: event.subject, headers: event.headers, body, log: position, ...times }]
        }),
      )
    },
    close: reading.close,
  }
}
