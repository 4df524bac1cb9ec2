import { EvtError, toError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { HistoryEntry } from '../core/history.ts'
import type { Registry } from '../core/registry.ts'
import type { AnyHandlerDefinition, HandlerLog } from '../handle/handler.ts'
import { type HandlerConfig, isBatchHandler, resolveHandler } from '../handle/handler-config.ts'
import { createPreparer, type Prepared, type Preparer } from '../handle/prepare.ts'
import { placeOf, type Store } from '../store/connection.ts'
import { translateError } from '../store/errors.ts'
import {
  beginCapture,
  capturedRows,
  captureRows,
  deferredError,
  generatedColumns,
  prepareCapture,
  type TouchedTable,
  touchedTables,
  type WrittenRow,
} from '../store/row-capture.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { type OutsideWatch, openOutsideWatch } from './outside.ts'
import { openShadowContext } from './shadow-context.ts'

/** What one handler would have done with one event. */
export interface ShadowedEvent {
  readonly handler: string
  readonly position: string
  readonly id: string
  readonly type: string
  readonly subject: string | null
  readonly rows: readonly WrittenRow[]
  /** Tables that it wrote to and whose rows could not be seen: this role may not put triggers on them, or they were busy. */
  readonly unseen: readonly TouchedTable[]
  readonly published: readonly NewEvent[]
  readonly error?: string
  /** What it reached beyond its transaction: that happened for real. */
  readonly outside: readonly string[]
}

export interface ShadowOptions {
  readonly store: Store
  readonly handlers: readonly AnyHandlerDefinition[]
  readonly registry: Registry
  readonly log: HandlerLog
  /** In the order of the log. */
  readonly history: AsyncIterable<readonly HistoryEntry[]>
  readonly signal: AbortSignal
  /**
   * What is looked at of what is written. `rows` (default): by triggers, which hold up other writers of the tables, and by a second run where
   * tables were not known. `tables`: only which, and how many rows; `rows` of an event is empty then, and nobody else is held up by it.
   */
  readonly detail?: 'rows' | 'tables'
  /** With the event as the handler saw it, decrypted; undefined when it could not be read. */
  onEvent(event: ShadowedEvent, seen: EvtEvent | undefined): void
}

interface Shadowed {
  readonly config: HandlerConfig
  readonly preparer: Preparer
  readonly isBatch: boolean
}

/**
 * Runs handlers over events for real, one at a time, each in a transaction that is rolled back: every one sees the tables as they are now.
 * What would have been written is read before. Numbers of sequences are used up. Throws `usage` for a handler without a transaction, and
 * `connect` when the server goes away meanwhile: that says nothing about a handler.
 */
export async function shadowHandlers(options: ShadowOptions): Promise<void> {
  const { store, registry, history, signal } = options
  const shadowed = options.handlers.map((definition): Shadowed => {
    const config = resolveHandler(definition)
    if (config.transaction === 'none')
      throw new EvtError(
        'usage',
        `cannot shadow ${config.name}: it declares transaction 'none', so nothing could be taken back`,
      )
    return { config, preparer: createPreparer(config, registry), isBatch: isBatchHandler(definition) }
  })
  const place = placeOf(store.connectionString)
  const client = await store.pool.connect().catch((error: unknown) => {
    throw translateError(error, place, 'connect to')
  })
  const watch = openOutsideWatch()
  const sql: SqlExecutor = { query: (text, values) => watch.unseen(() => client.query(text, values as unknown[])) }
  try {
    await prepareCapture(sql)
    const run = createRun(sql, watch, options)
    for await (const entries of history) {
      for (const entry of entries) {
        for (const one of shadowed) {
          if (signal.aborted) return
          if (!one.config.wanted.matches(entry.type)) continue
          const prepared = await prepare(one, entry)
          options.onEvent(await run(one, entry, prepared), 'event' in prepared ? prepared.event : undefined)
        }
      }
    }
  } catch (error) {
    throw translateError(error, place)
  } finally {
    watch.close()
    // Also what the session has made for itself.
    client.release(true)
  }
}

async function prepare({ preparer }: Shadowed, entry: HistoryEntry): Promise<Prepared> {
  const { id, subject, headers, dataText } = entry
  const message = { id, key: subject, headers, body: Buffer.from(dataText), topic: 'log', at: '', deliveries: 1 }
  await preparer.load?.([message])
  return preparer.prepare(message)
}

/** A second run of a handler by its type: then it is known which tables to look at. */
function createRun(
  sql: SqlExecutor,
  watch: OutsideWatch,
  { log, signal, detail = 'rows' }: Pick<ShadowOptions, 'log' | 'signal' | 'detail'>,
) {
  const tablesOf = new Map<string, Set<string>>()
  const generated = new Map<string, readonly string[]>()

  async function attempt(one: Shadowed, event: EvtEvent, position: bigint) {
    const published: NewEvent[] = []
    const outside = new Set<string>()
    const { config, isBatch } = one
    const { context, close } = openShadowContext({ handler: config.name, event, position, sql, published, log, signal })
    const work = async () => (isBatch ? config.handleBatch([event], context) : config.handle(event, context))
    const onLate = (error: Error) => close('its time is over', error)
    const error = await within(config, () => watch.watch(outside, work), onLate).then(
      () => undefined,
      (thrown: unknown) => `${toError(thrown).name}: ${toError(thrown).message}`,
    )
    close('the handler has returned')
    return { published, outside, error }
  }

  return async (one: Shadowed, entry: HistoryEntry, prepared: Prepared): Promise<ShadowedEvent> => {
    const { position, id, type, subject } = entry
    const facts = { handler: one.config.name, position: String(position), id, type, subject }
    const nothing = { rows: [], unseen: [], published: [], outside: [] }
    if (prepared.kind === 'held')
      return { ...facts, ...nothing, error: `it waits for the contract ${prepared.heldFor}` }
    if (prepared.kind === 'bad') return { ...facts, ...nothing, error: toError(prepared.thrown).message }
    const key = `${one.config.name} ${type}`
    const known = tablesOf.get(key) ?? new Set()
    tablesOf.set(key, known)
    for (let tries = 1; ; tries += 1) {
      await beginCapture(sql)
      try {
        const before = await touchedTables(sql)
        const unwatched = await captureRows(sql, [...known])
        const { published, outside, error } = await attempt(one, prepared.event, position)
        // A statement that failed would hide what was written before it; deferred checks speak now.
        const failed = error ?? (await deferredError(sql))?.message
        const touched = failed === undefined ? await touchedTables(sql, before) : []
        const fresh = touched.filter(({ table }) => !known.has(table))
        // Learnt by a run; what reaches outside does not run twice.
        if (detail === 'rows' && fresh.length > 0 && outside.size === 0 && tries < 3) {
          for (const { table } of fresh) known.add(table)
          continue
        }
        const rows = detail === 'rows' && failed === undefined ? await capturedRows(sql) : []
        for (const { table } of rows)
          if (!generated.has(table)) generated.set(table, await generatedColumns(sql, table))
        const unseen = touched.filter(({ table }) => unwatched.includes(table) || !known.has(table))
        if (detail === 'rows') for (const { table } of fresh) known.add(table)
        return {
          ...facts,
          rows: rows.map((row) => withoutGenerated(row, generated.get(row.table) ?? [])),
          unseen,
          published,
          outside: [...outside],
          ...(failed === undefined ? {} : { error: failed }),
        }
      } finally {
        await sql.query('rollback')
      }
    }
  }
}

/** What the database makes up is different each time, and says nothing about the handler. */
function withoutGenerated(row: WrittenRow, columns: readonly string[]): WrittenRow {
  if (columns.length === 0 || !row.new || row.op !== 'insert') return row
  const now = { ...row.new }
  for (const column of columns) if (column in now) now[column] = '(generated)'
  return { ...row, new: now }
}

async function within(
  config: HandlerConfig,
  work: () => Promise<unknown>,
  onLate: (error: Error) => void,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new EvtError('timeout', `${config.name} did not finish within ${config.timeoutMs} ms`)
    timer = setTimeout(() => {
      onLate(error)
      reject(error)
    }, config.timeoutMs)
  })
  try {
    await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}
