import type pg from 'pg'
import { EvtError } from '../core/errors.ts'
import { formatArchiveLine } from './archive-line.ts'
import { placeOf, type Store } from './connection.ts'
import { translateError } from './errors.ts'
import { type DayOfClass, outboxLeaf } from './partition-names.ts'

/** One partition as it is at one moment, in the order of the log. */
export interface ArchiveSource {
  /** Of that moment. */
  readonly snapshot: string
  lines(): AsyncGenerator<string>
  /** After the last line. Throws `internal` when some were missing. */
  done(): ArchiveContent
  close(): Promise<void>
}

export interface ArchiveContent {
  readonly events: number
  readonly duplicates: number
  readonly firstPosition: string | null
  readonly lastPosition: string | null
}

const pageRows = 1_000
const placeColumns = 3
const asText = { getTypeParser: () => (value: unknown) => value }
type Row = (string | null)[]

/** Or why it cannot be archived now. Holds a connection until it is closed. */
export async function openArchiveSource(store: Store, of: DayOfClass): Promise<ArchiveSource | string> {
  const place = placeOf(store.connectionString)
  const client = await store.pool.connect().catch((error: unknown) => {
    throw translateError(error, place, 'connect to')
  })
  const rows = async (text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    try {
      const query = { text, values: [...values], rowMode: 'array' as const, types: asText as never }
      return (await client.query(query as pg.QueryArrayConfig)).rows as Row[]
    } catch (error) {
      throw translateError(error, place)
    }
  }
  const close = async (): Promise<void> => {
    const broken = await client.query('rollback').then(
      () => false,
      () => true,
    )
    client.release(broken)
  }
  try {
    await rows('begin isolation level repeatable read read only')
    await rows(`select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)`)
    // In the order of the log, from index to index: nothing is sorted, which would take the server's disk.
    await rows(`select set_config(name, 'off', true) from unnest($1::text[]) name`, [
      ['enable_hashjoin', 'enable_mergejoin', 'enable_seqscan', 'enable_bitmapscan', 'enable_material', 'jit'],
    ])
    const [own] = await rows(
      `select pg_try_advisory_xact_lock(hashtextextended('evt.archive', 0)), pg_current_snapshot()`,
    )
    if (own?.[0] !== 't') {
      await close()
      return 'another process archives at this moment'
    }
    const [unsequenced] = await rows('select evt.has_unsequenced($1::regclass)', [outboxLeaf(of.class, of.day)])
    if (unsequenced?.[0] === 't') {
      await close()
      return 'it has events that are not sequenced'
    }
    return await sourceOf(of, { rows, close, snapshot: own[1] as string })
  } catch (error) {
    await close()
    throw error
  }
}

interface Reader {
  readonly snapshot: string
  rows(text: string, values?: readonly unknown[]): Promise<Row[]>
  close(): Promise<void>
}

async function sourceOf(of: DayOfClass, { rows, close, snapshot }: Reader): Promise<ArchiveSource> {
  const leaf = outboxLeaf(of.class, of.day)
  const names = (
    await rows(
      `select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
      [leaf],
    )
  ).map(([name]) => name as string)
  const [stored] = await rows(`select count(*) from only ${leaf}`)
  const total = Number(stored?.[0])
  const place = await placeInLog(rows, of, total)
  let events = 0
  return {
    snapshot,
    async *lines() {
      if (place.events === 0) return
      await rows(`declare archived no scroll cursor for
        select l.position, l.slot, l.sequenced_at, ${names.map((name) => `o."${name}"`).join(', ')}
        from evt.log l join only ${leaf} o on o.xid = l.xid and o.seq = l.seq
        where l.position between ${place.first} and ${place.last} and l.day = '${of.day}' and l.class = '${of.class}'
        order by l.position`)
      for (;;) {
        const page = await rows(`fetch ${pageRows} from archived`)
        if (page.length === 0) return
        events += page.length
        let text = ''
        for (const row of page) text += formatArchiveLine(archivedRow(row, names))
        yield text
      }
    },
    done() {
      const { first, last } = place
      if (events === place.events)
        return { events, duplicates: total - events, firstPosition: first, lastPosition: last }
      throw new EvtError(
        'internal',
        `cannot archive ${leaf}: the log has ${place.events} events of it, ${events} were found`,
      )
    },
    close,
  }
}

function archivedRow(row: Row, names: readonly string[]) {
  const columns: Record<string, string | null> = {}
  for (let i = 0; i < names.length; i += 1) columns[names[i] as string] = row[placeColumns + i] ?? null
  return { position: row[0] as string, slot: row[1] as string, sequencedAt: row[2] as string, columns }
}

/**
 * Where in the log the events of that day are. Parts of the log that ended before the day began are looked at only when something
 * is missing in the later ones: a clock may have jumped, or a duplicate never got a position.
 */
async function placeInLog(rows: Reader['rows'], of: DayOfClass, total: number) {
  const chunks = await rows(
    `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'evt.log'::regclass order by c.relname desc`,
  )
  const place = { events: 0, first: null as string | null, last: null as string | null }
  const skipped: string[] = []
  const look = async (chunk: string): Promise<void> => {
    const [found] = await rows(
      `select count(*), min(position), max(position) from only ${chunk} where day = $1 and class = $2`,
      [of.day, of.class],
    )
    const [count, first, last] = found as Row
    if (Number(count) === 0) return
    place.events += Number(count)
    place.first =
      place.first === null || BigInt(first as string) < BigInt(place.first) ? (first as string) : place.first
    place.last = place.last === null || BigInt(last as string) > BigInt(place.last) ? (last as string) : place.last
  }
  for (const [name] of chunks) {
    const chunk = `evt.${name}`
    const [early] = await rows(`select sequenced_at < $1::date - 1 from only ${chunk} order by position desc limit 1`, [
      of.day,
    ])
    if (early?.[0] === 't') skipped.push(chunk)
    else await look(chunk)
  }
  if (place.events < total) for (const chunk of skipped) await look(chunk)
  return place
}
