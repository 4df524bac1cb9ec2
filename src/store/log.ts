import { EvtError } from '../core/errors.ts'
import type { Store } from './connection.ts'
import { isMissingTable } from './errors.ts'
import { eventColumns, type StoredEvent, storedEvent, type TextRow } from './event-row.ts'
import { createLogHead } from './log-head.ts'
import { logChunkSize, logChunkTable, outboxLeaf } from './partition-names.ts'
import { openReading, type Reading } from './reading.ts'

/** An event with its place in the log. */
export interface LogEntry extends StoredEvent {
  readonly position: bigint
  /** 0..255, from the subject; without one, spread evenly. */
  readonly slot: number
  readonly sequencedMs: number
}

export interface LogReader {
  /**
   * Entries after a position, in order, up to `max`; [] when there is none yet. Entries whose events retention has
   * removed are passed over.
   */
  read(after: bigint, max: number): Promise<readonly LogEntry[]>
  /** The last position given; 0n when the log is empty. */
  head(): Promise<bigint>
  /** Before the first position that the log still has. */
  start(): Promise<bigint>
  /** Before the first entry that was sequenced at or after this time. */
  positionAt(timeMs: number): Promise<bigint>
  /** Resolves when the head is beyond this position, or the signal aborts. */
  beyond(position: bigint, signal: AbortSignal): Promise<void>
  /** Idempotent; `beyond` resolves. */
  close(): Promise<void>
}

export interface LogReaderOptions {
  /** Longest time between two looks at the head when notifications fail; default 200 ms. */
  readonly backstopMs?: number
}

const logColumns = `l.position, l.slot, l.class, l.day, l.seq, l.xid, date_part('epoch', l.sequenced_at) * 1000`
const eventAt = 7

/** Connects on first use: one connection to read, one to listen. */
export function createLogReader(store: Store, options: LogReaderOptions = {}): LogReader {
  const reading = openReading(store, 'evt log')
  const readHead = async (): Promise<bigint> => {
    const rows = await reading.rows('head', 'select evt.head()', [])
    return BigInt(rows[0]?.[0] ?? 0)
  }
  const head = createLogHead(store.connectionString, readHead, options.backstopMs ?? 200)
  const pages = createPages(reading)
  let closing: Promise<void> | undefined
  const open = (): void => {
    if (closing) throw new EvtError('closed', 'cannot read the log: the reader is closed')
  }
  return {
    async read(after, max) {
      open()
      for (let from = after; ; ) {
        const { entries, reached } = await pages.read(from, max)
        if (entries.length > 0 || reached === from) return entries
        from = reached
      }
    },
    head: readHead,
    start: () => pages.start(),
    positionAt: (timeMs) => pages.positionAt(timeMs),
    beyond: (position, signal) => head.beyond(position, signal),
    close() {
      closing ??= Promise.all([head.close(), reading.close()]).then(() => {})
      return closing
    },
  }
}

interface Page {
  readonly entries: readonly LogEntry[]
  /** Everything up to here was looked at; equal to the start when there is nothing yet. */
  readonly reached: bigint
}

function createPages(reading: Reading) {
  // Most events of a page lie where the last one lay: that partition is joined, others are asked for after.
  let likely: string | undefined

  async function read(after: bigint, max: number): Promise<Page> {
    const table = logChunkTable(after + 1n)
    const last = lastOfChunk(after + 1n)
    const upto = after + BigInt(max) < last ? after + BigInt(max) : last
    const found = await chunkRows(table, after, upto)
    if (!found) return { entries: [], reached: await nextChunk(after) }
    // Where a part of the log came back from an archive, positions are missing.
    if (found.length === 0) return { entries: [], reached: await nextChunk(after) }
    const entries = await complete(found)
    return { entries, reached: BigInt(found.at(-1)?.[0] ?? 0) }
  }

  /** Undefined when there is no such partition of the log (any more). */
  async function chunkRows(table: string, after: bigint, upto: bigint): Promise<readonly TextRow[] | undefined> {
    const range = `from only ${table} l where l.position > $1 and l.position <= $2 order by l.position`
    const bounds = [String(after), String(upto)]
    try {
      if (!likely) return await reading.rows(`log ${table}`, `select ${logColumns} ${range}`, bounds)
      const joined = `select k.*, ${eventColumns} from (select ${logColumns} ${range}) k
        left join only ${likely} o on o.xid = k.xid and o.seq = k.seq order by k.position`
      return await reading.rows(`log ${table} ${likely}`, joined, bounds)
    } catch (error) {
      if (!isMissingTable(error)) throw error
      if (likely) {
        likely = undefined
        return chunkRows(table, after, upto)
      }
      return undefined
    }
  }

  async function complete(rows: readonly TextRow[]): Promise<readonly LogEntry[]> {
    const missing = new Map<string, TextRow[]>()
    for (const row of rows) {
      if (row.length > eventAt && row[eventAt] !== null) continue
      const leaf = outboxLeaf(row[2] as string, row[3] as string)
      const of = missing.get(leaf)
      if (of) of.push(row)
      else missing.set(leaf, [row])
    }
    const fetched = new Map<string, TextRow>()
    for (const [leaf, of] of missing) await fetchEvents(leaf, of, fetched)
    const entries: LogEntry[] = []
    for (const row of rows) {
      const own = row.length > eventAt && row[eventAt] !== null
      const event = own ? row : fetched.get(row[0] as string)
      if (event) entries.push(entryOf(row, storedEvent(event, own ? eventAt : 1)))
    }
    return entries
  }

  async function fetchEvents(leaf: string, of: readonly TextRow[], into: Map<string, TextRow>): Promise<void> {
    const text = `select k.position, ${eventColumns} from unnest($1::bigint[], $2::xid8[], $3::bigint[]) k (position, xid, seq)
      join only ${leaf} o on o.xid = k.xid and o.seq = k.seq`
    try {
      const keys = [of.map((row) => row[0]), of.map((row) => row[5]), of.map((row) => row[4])]
      for (const row of await reading.rows(`events ${leaf}`, text, keys)) into.set(row[0] as string, row)
      likely = leaf
    } catch (error) {
      // Retention has dropped that day.
      if (!isMissingTable(error)) throw error
    }
  }

  /** Before the next entry, however far away; the start when there is nothing yet. */
  async function nextChunk(after: bigint): Promise<bigint> {
    const first = await firstAfter(after)
    return first === undefined ? after : first - 1n
  }

  async function firstAfter(after: bigint): Promise<bigint | undefined> {
    const rows = await reading.rows('first', 'select min(position) from evt.log where position > $1', [String(after)])
    return rows[0]?.[0] == null ? undefined : BigInt(rows[0][0])
  }

  return {
    read,
    async start(): Promise<bigint> {
      // The head first: when the log is found empty after it, there was nothing up to that head. The other way round,
      // what is sequenced between the two looks would be taken for gone.
      const head = await headOf(reading)
      const first = await firstAfter(0n)
      return first === undefined ? head : first - 1n
    },
    async positionAt(timeMs: number): Promise<bigint> {
      let low = ((await firstAfter(0n)) ?? 1n) - 1n
      let high = await headOf(reading)
      while (low < high) {
        const middle = (low + high + 1n) / 2n
        const text = `select date_part('epoch', sequenced_at) * 1000 from evt.log where position <= $1
          order by position desc limit 1`
        const rows = await reading.rows('at', text, [String(middle)])
        if (Number(rows[0]?.[0]) < timeMs) low = middle
        else high = middle - 1n
      }
      return low
    },
  }
}

async function headOf(reading: Reading): Promise<bigint> {
  return BigInt((await reading.rows('head', 'select evt.head()', []))[0]?.[0] ?? 0)
}

function entryOf(row: TextRow, event: StoredEvent): LogEntry {
  return { ...event, position: BigInt(row[0] as string), slot: Number(row[1]), sequencedMs: Number(row[6]) }
}

function lastOfChunk(position: bigint): bigint {
  return (position / logChunkSize + 1n) * logChunkSize - 1n
}
