// A table of another system in which it keeps what it gave up, as `event_store.dead_letter_queue` of the event bus guide. Columns are
// known by the names that such tables commonly have; what a row does not say is not made up.
import { toHeaders } from '../../core/codec.ts'
import { EvtError, toError } from '../../core/errors.ts'
import { toUtcTime } from '../../core/instant.ts'
import { formatJson } from '../../core/json-text.ts'
import type { Store } from '../../store/connection.ts'
import { checkSchema } from '../../store/migrate.ts'
import { publishEncoded } from '../../store/outbox.ts'
import { nothingPromised } from '../nothing-promised.ts'
import type {
  BuriedMessage,
  Capabilities,
  DeadLetterTopics,
  Message,
  Published,
  SqlExecutor,
  Transport,
} from '../transport.ts'
import { inspectLog } from './inspect.ts'
import { toEncoded } from './publish.ts'

export const tableCapabilities: Capabilities = { ...nothingPromised, durable: true, deadLetters: true }

/** What a row may say, each under the names it goes by, the likeliest first. */
const columnNames = {
  id: ['id', 'dlq_id', 'dead_letter_id'],
  eventId: ['event_id', 'message_id'],
  type: ['event_name', 'event_type', 'type'],
  version: ['event_version', 'schema_version'],
  key: ['aggregate_id', 'subject', 'entity_id', 'message_key'],
  data: ['event_data', 'payload', 'event_payload', 'data', 'body'],
  source: ['source_service', 'service_name', 'source'],
  handler: ['handler_name', 'handler', 'consumer', 'subscriber'],
  error: ['error_message', 'last_error', 'failure_reason', 'error'],
  errorClass: ['error_type', 'error_class', 'exception_type'],
  attempts: ['retry_count', 'failure_count', 'attempts', 'attempt_count'],
  at: ['last_failed_at', 'failed_at', 'updated_at', 'created_at'],
} as const
type Field = keyof typeof columnNames
type Columns = Readonly<Partial<Record<Field, string>>>

const pageRows = 500
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/** Only its dead letters can be used: `postgres://…?table=schema.name`. */
export function createTableTransport(store: Store, table: string): Transport {
  const name = parseTable(table)
  const unsupported = () =>
    new EvtError('unsupported', `cannot use table ${table} as a topic: it holds dead letters, for \`evt dlq\``)
  return {
    name: 'postgres',
    capabilities: tableCapabilities,
    named: [table],
    observes: 'a table of dead letters',
    deadLetters: createDeadLetterTable(store, { table, name }),
    ensure: async () => [],
    publish: async (_topic, batch) => batch.map((): Published => ({ state: 'refused', error: unsupported() })),
    observe() {
      throw unsupported()
    },
    // Replayed rows go into this database's log.
    inspect: async (topics) => (topics.includes('log') ? inspectLog(store) : { topics: [], groups: [] }),
    close: () => store.close(),
  }
}

interface Table {
  readonly table: string
  /** For SQL. */
  readonly name: string
}

function createDeadLetterTable(store: Store, { table, name }: Table): DeadLetterTopics {
  const columnsOf = () => findColumns(store, { table, name })

  return {
    nameOf: (topic) => topic,
    replaysInto: `the log of the store in ${store.url}`,
    bury: async (_topic, burials) => {
      const error = new EvtError('unsupported', `cannot bury in ${table}: it belongs to another system`)
      return burials.map((): Published => ({ state: 'refused', error }))
    },
    async *list(_topic, signal) {
      const columns = await columnsOf()
      let after: string | undefined
      while (!signal.aborted) {
        const rows = await readPage(store, { name, columns, after })
        if (rows.length === 0) return
        after = String(rows.at(-1)?.id)
        yield rows.map((row) => toBuried(row))
      }
    },
    async replay(_topic, ids, { to = 'log' }) {
      if (to !== 'log')
        throw new EvtError('usage', `cannot replay ${table} to ${to}: its rows go to the log of this database`)
      const columns = await columnsOf()
      await assertStore(store, table)
      const results: Published[] = []
      for (const id of ids) results.push(await replayRow(store, { table, name, columns, id }))
      return results
    },
  }
}

/** Nobody wants evt's schema in the database of another system only because a table lies there. */
async function assertStore(store: Store, table: string): Promise<void> {
  const { rows } = await store.query("select to_regnamespace('evt') is null as missing")
  if (rows[0]?.missing !== true) return checkSchema(store)
  throw new EvtError('usage', `cannot replay ${table}: its rows go to the log of ${store.url}, which holds no store`, {
    hint: 'only a table beside the store can be replayed; publish its events into yours with `evt gen --input FILE` (EVT_STORE)',
  })
}

function parseTable(table: string): string {
  const parts = table.split('.')
  if (parts.length <= 2 && parts.every((part) => /^[\p{L}_][\p{L}\p{N}_$]*$/u.test(part)))
    return parts.map(quoted).join('.')
  throw new EvtError('usage', `cannot read table ${JSON.stringify(table)}: it is no name`, {
    hint: 'such as ?table=event_store.dead_letter_queue',
  })
}

async function findColumns(store: Store, { table, name }: Table): Promise<Columns & { readonly id: string }> {
  const { rows } = await store.query(
    `select a.attname as name from pg_attribute a
     where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped`,
    [name],
  )
  const hint = 'such as ?table=event_store.dead_letter_queue'
  if (rows.length === 0)
    throw new EvtError('usage', `cannot read table ${table} on ${store.url}: it does not exist`, { hint })
  const present = new Set(rows.map((row) => String(row.name)))
  const found = Object.entries(columnNames).flatMap(([field, names]) => {
    const column = names.find((candidate) => present.has(candidate))
    return column === undefined ? [] : [[field, column] as const]
  })
  const columns: Columns = Object.fromEntries(found)
  const missing = (['id', 'type', 'data'] as const).filter((field) => columns[field] === undefined)
  if (columns.id !== undefined && missing.length === 0) return { ...columns, id: columns.id }
  throw new EvtError(
    'usage',
    `cannot read table ${table}: it has no column ${missing.map((field) => columnNames[field].join(' or ')).join(', nor ')}`,
    { hint: 'a view with these names over the table will do' },
  )
}

interface Page {
  readonly name: string
  readonly columns: Columns & { readonly id: string }
  readonly after?: string | undefined
  readonly only?: string
}

/** By id, in its own order, as text: numbers keep their digits. */
async function readPage(sql: SqlExecutor, { name, columns, after, only }: Page): Promise<readonly Row[]> {
  const selected = Object.entries(columns).map(([field, column]) => `${quoted(column)}::text as ${quoted(field)}`)
  // With its table: the bare name would be the text that is selected.
  const id = `t.${quoted(columns.id)}`
  const [where, values] =
    only !== undefined
      ? [`where ${id}::text = $1 for update`, [only]]
      : after === undefined
        ? ['', []]
        : [`where ${id} > (select ${id} from ${name} t where ${id}::text = $1)`, [after]]
  const order = only === undefined ? `order by ${id} limit ${pageRows}` : ''
  const { rows } = await sql.query(`select ${selected.join(', ')} from ${name} t ${where} ${order}`, values)
  return rows as unknown as readonly Row[]
}

type Row = Readonly<Partial<Record<Field, string | null>>> & { readonly id: string }

function toBuried(row: Row): BuriedMessage {
  const deadMs = row.at ? Date.parse(toUtcTime(row.at.replace(' ', 'T')) ?? row.at) : Number.NaN
  const attempts = Number.parseInt(row.attempts ?? '', 10)
  return {
    id: row.id,
    message: toMessage(row),
    origin: { topic: 'log', at: row.id, ...(row.handler ? { group: row.handler } : {}) },
    ...(row.error || row.errorClass ? { error: { class: row.errorClass ?? 'Error', message: row.error ?? '' } } : {}),
    ...(Number.isNaN(attempts) ? {} : { attempts }),
    ...(Number.isNaN(deadMs) ? {} : { deadMs }),
  }
}

function toMessage(row: Row): Message {
  const body = row.data ?? 'null'
  const version = Number.parseInt((row.version ?? '1').replace(/^v/i, ''), 10)
  const id = row.eventId ?? `dead-letter-${row.id}`
  const headers = toHeaders({
    id,
    type: row.type ?? 'unknown',
    version: version >= 1 ? version : 1,
    source: row.source ?? 'dead-letter-table',
    time: (row.at && toUtcTime(row.at.replace(' ', 'T'))) || new Date(0).toISOString(),
    ...(row.key ? { subject: row.key } : {}),
    priority: 'normal',
    metadata: {},
  })
  return { id, key: row.key ?? null, headers, body: Buffer.from(isJson(body) ? body : formatJson(body)) }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The event and the removal of its row commit together. */
async function replayRow(
  store: Store,
  { table, name, columns, id }: Table & Page & { readonly id: string },
): Promise<Published> {
  try {
    return await store.transaction(async (sql): Promise<Published> => {
      const [row] = await readPage(sql, { name, columns, only: id })
      if (row === undefined) return refused(`cannot replay ${id}: it does not lie in ${table}`)
      await publishEncoded(sql, [toEncoded(toMessage(row))], { keyed: false })
      await sql.query(`delete from ${name} where ${quoted(columns.id)}::text = $1`, [id])
      return { state: 'stored' }
    })
  } catch (thrown) {
    const error =
      thrown instanceof EvtError
        ? thrown
        : new EvtError('refused', `cannot replay ${id} of ${table}: ${toError(thrown).message}`)
    return { state: error.code === 'connect' ? 'unknown' : 'refused', error }
  }
}

const refused = (message: string): Published => ({ state: 'refused', error: new EvtError('refused', message) })
