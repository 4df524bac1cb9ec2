import type { Message } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import type { StoredEvent } from './event-row.ts'
import { placeIn, readPlaced } from './placed-events.ts'
import { openReading } from './reading.ts'
import { isDamage, salvageEntry } from './salvage.ts'

/** What the log knows of a message beside the message itself; times in ms since the epoch. */
export interface LoggedMessage extends Message {
  readonly timeMs: number
  readonly sequencedMs: number
}

export interface LoggedMessages {
  /** By position; those that retention has removed are missing. What is damaged says so in its headers: see `salvageEntry`. */
  read(positions: readonly bigint[]): Promise<ReadonlyMap<bigint, LoggedMessage>>
  close(): Promise<void>
}

const select = `select l.position, l.class, l.day, l.xid, l.seq, date_part('epoch', l.sequenced_at) * 1000
  from unnest($1::bigint[]) as wanted(position) join evt.log l on l.position = wanted.position`

/** Reads single events of the log again: for deliveries that refer to it. */
export function openLoggedMessages(store: Store): LoggedMessages {
  const reading = openReading(store, 'evt retries')

  async function read(positions: readonly bigint[]): Promise<ReadonlyMap<bigint, LoggedMessage>> {
    try {
      const rows = await reading.rows('logged_messages', select, [positions.map(String)])
      const events = await readPlaced(reading, rows.map(placeIn))
      return new Map(
        rows.flatMap((row) => {
          const event = events.get(row[0] as string)
          return event ? [entryOf(BigInt(row[0] as string), event, Number(row[5]))] : []
        }),
      )
    } catch (error) {
      if (!isDamage(error)) throw error
      const [position, ...others] = positions
      if (position === undefined || others.length === 0) return readDamaged(position ?? 0n, error)
      return new Map((await Promise.all(positions.map((one) => read([one])))).flatMap((found) => [...found]))
    }
  }

  async function readDamaged(position: bigint, error: Error): Promise<ReadonlyMap<bigint, LoggedMessage>> {
    const entry = await salvageEntry(store, position - 1n, error)
    if (entry?.position !== position) throw error
    return new Map([entryOf(position, entry, entry.sequencedMs)])
  }

  return { read, close: reading.close }
}

function entryOf(log: bigint, event: StoredEvent, sequencedMs: number): [bigint, LoggedMessage] {
  const { id, subject, headers, recordedMs } = event
  return [log, { id, key: subject, headers, body: Buffer.from(event.dataText), log, timeMs: recordedMs, sequencedMs }]
}
