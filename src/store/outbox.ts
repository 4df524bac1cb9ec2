import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import type { EncodedEvent } from '../core/codec.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { placeOf, type Store } from './connection.ts'
import { copyLine } from './copy-line.ts'
import { translateError } from './errors.ts'
import { classifier, readTypeClasses } from './type-classes.ts'

export interface OutboxOptions {
  /** Retention class; default: that of the event's type (`evt.class_of`). */
  readonly class?: string
  /**
   * Writes the id as the event's key: a second event with that id and the same bytes is dropped, one with other bytes is
   * refused, exactly, while the first is retained. For ids that came from outside: all of them, or these.
   */
  readonly keyed?: boolean | ReadonlySet<string>
}

/** In the order in which `columns` are sent; what is left out has the database's default. */
const outboxColumns = [
  'class',
  'id',
  'type',
  'version',
  'source',
  'time',
  'subject',
  'sequence',
  'tenant',
  'correlation_id',
  'causation_id',
  'traceparent',
  'user_id',
  'session_id',
  'priority',
  'metadata',
  'data',
  'checksum',
  'event_key',
] as const
const columnTypes = [
  'text',
  'text',
  'text',
  'int',
  'text',
  'timestamptz',
  'text',
  'bigint',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'text',
  'json',
  'json',
  'text',
  'bytea',
] as const

const insertText = `insert into evt.outbox (${outboxColumns.join(', ')})
select coalesce(class, evt.class_of(type)), ${outboxColumns.slice(1).join(', ')}
from unnest(${columnTypes.map((type, i) => `$${i + 1}::${type}[]`).join(', ')}) e (${outboxColumns.join(', ')})`

const appendText = `select evt.append_events(${columnTypes.map((type, i) => `$${i + 1}::${type}[]`).join(', ')})`

/** As the outbox, but until its time. */
const scheduleText = (before: number) => `insert into evt.scheduled (${outboxColumns.join(', ')}, deliver_at)
select * from unnest(${[...columnTypes, 'timestamptz'].map((type, i) => `$${before + i + 1}::${type}[]`).join(', ')})`
const holdText = scheduleText(0)
const bothText = `with held as (${scheduleText(outboxColumns.length)}) ${insertText}`

/**
 * Inserts in the given order within the caller's transaction; in one statement, so that it is all or nothing without a transaction too. Events
 * whose `deliverAt` is still to come go where they are held until then.
 */
export async function publishEncoded(
  sql: SqlExecutor,
  events: readonly EncodedEvent[],
  options: OutboxOptions = {},
): Promise<void> {
  if (events.length === 0) return
  const columns: unknown[][] = outboxColumns.map(() => [])
  const held: unknown[][] = [...outboxColumns.map(() => []), []]
  for (const event of events) {
    const { deliverAt } = event
    if (deliverAt === undefined || Date.parse(deliverAt) <= Date.now()) addRow(columns, rowOf(event, options))
    else addRow(held, [...rowOf(event, options), deliverAt])
  }
  const heldEvents = held[0]?.length ?? 0
  if (heldEvents === 0) await sql.query(insertText, columns)
  else if (heldEvents === events.length) await sql.query(holdText, held)
  else await sql.query(bothText, [...columns, ...held])
}

/** As `publishEncoded`; and writes down where each lies among the events of its subject. All have a subject and a sequence. */
export async function appendEncoded(sql: SqlExecutor, events: readonly EncodedEvent[]): Promise<void> {
  const columns: unknown[][] = outboxColumns.map(() => [])
  for (const event of events) addRow(columns, rowOf(event, {}))
  await sql.query(appendText, columns)
}

function addRow(columns: unknown[][], row: readonly unknown[]): void {
  for (let i = 0; i < row.length; i += 1) columns[i]?.push(row[i])
}

/**
 * Streams events into the outbox by COPY, in one transaction: all or nothing. Memory stays flat; about twice as fast as
 * `publishEncoded`. Returns how many there were.
 */
export async function copyEvents(
  store: Store,
  events: AsyncIterable<EncodedEvent> | Iterable<EncodedEvent>,
  options: OutboxOptions = {},
): Promise<number> {
  const client = await store.pool.connect()
  let broken = true
  let count = 0
  async function* lines(classOf: (type: string) => string): AsyncGenerator<string> {
    let block = ''
    for await (const event of events) {
      block += copyLine(rowOf(event, { class: classOf(event.type), ...options }))
      count += 1
      if (block.length < 65_536) continue
      yield block
      block = ''
    }
    if (block) yield block
  }
  try {
    const classOf = classifier(await readTypeClasses(client))
    const copy = client.query(copyFrom(`copy evt.outbox (${outboxColumns.join(', ')}) from stdin`))
    await pipeline(Readable.from(lines(classOf)), copy)
    broken = false
    return count
  } catch (error) {
    throw translateError(error, placeOf(store.connectionString))
  } finally {
    // After an error in the middle of a COPY the connection's state is anybody's guess.
    client.release(broken)
  }
}

function rowOf(event: EncodedEvent, options: OutboxOptions): readonly (string | number | null)[] {
  return [
    options.class ?? null,
    event.id,
    event.type,
    event.version,
    event.source,
    event.time,
    event.subject ?? null,
    event.sequence ?? null,
    event.tenant ?? null,
    event.correlationId ?? null,
    event.causationId ?? null,
    event.traceparent ?? null,
    event.actor?.userId ?? null,
    event.actor?.sessionId ?? null,
    event.priority,
    metadataText(event),
    event.dataText,
    event.checksum,
    isKeyed(event.id, options) ? keyOf(event.id) : null,
  ]
}

function metadataText(event: EncodedEvent): string | null {
  for (const _ in event.metadata) return JSON.stringify(event.metadata)
  return null
}

const isKeyed = (id: string, { keyed }: OutboxOptions): boolean =>
  typeof keyed === 'object' ? keyed.has(id) : keyed === true

/** Those that whoever published gave, of events that were given: what `keyed` takes. */
export function givenIds(events: readonly { readonly id?: string }[]): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { id } of events) if (id !== undefined) ids.add(id)
  return ids
}

/** The id's bytes in bytea's input format. */
function keyOf(id: string): string {
  return `\\x${Buffer.from(id, 'utf8').toString('hex')}`
}
