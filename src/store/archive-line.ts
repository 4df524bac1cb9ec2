// One archived event is one line, a CloudEvents 1.0 object:
// {"specversion":"1.0","id":…,"type":…,…,"data":<the stored text, byte for byte>,"evt":{"position":"7","slot":"3",
//  "sequenced_at":…,"row":{<the other columns, as PostgreSQL prints them in UTC>},"text"?:…,"unsound"?:true}}
// `text` is the data where it holds line breaks; `unsound` says that its checksum was wrong already in the store.
import { checksumOf } from '../core/checksum.ts'
import { rfc3339 } from './event-row.ts'

/** Columns that an attribute holds as they are. */
const attributes: Readonly<Record<string, string>> = {
  id: 'id',
  type: 'type',
  source: 'source',
  subject: 'subject',
  tenant: 'tenant',
  correlation_id: 'correlationid',
  causation_id: 'causationid',
  traceparent: 'traceparent',
  user_id: 'userid',
  session_id: 'sessionid',
  priority: 'priority',
  metadata: 'evtmetadata',
  checksum: 'checksum',
}

/** An event's place in the log, and all columns of its row, as text. */
export interface ArchivedRow {
  readonly position: string
  readonly slot: string
  readonly sequencedAt: string
  readonly columns: Readonly<Record<string, string | null>>
}

export function formatArchiveLine({ position, slot, sequencedAt, columns }: ArchivedRow): string {
  const event: Record<string, unknown> = { specversion: '1.0', datacontenttype: 'application/json' }
  const row: Record<string, string> = {}
  for (const column in columns) {
    const value = columns[column]
    if (value == null || column === 'data') continue
    const attribute = attributes[column]
    if (attribute === undefined) row[column] = value
    else event[attribute] = value
  }
  if (columns.time) event.time = rfc3339(columns.time)
  event.evtversion = Number(columns.version)
  if (columns.sequence != null) event.sequence = Number(columns.sequence)
  const text = columns.data as string
  const broken = /[\r\n]/.test(text)
  const sound = columns.checksum == null || checksumOf(text) === columns.checksum
  const evt = {
    position,
    slot,
    sequenced_at: sequencedAt,
    row,
    ...(broken ? { text } : {}),
    ...(sound ? {} : { unsound: true }),
  }
  // Between tokens a line break is white space, and within strings there is none.
  const data = broken ? text.replace(/[\r\n]/g, ' ') : text
  return `${JSON.stringify(event).slice(0, -1)}${dataMark}${data}${evtMark}${JSON.stringify(evt)}}\n`
}

/** Quotes within strings are escaped: the first of these ends the attributes, the last one the data. */
const dataMark = ',"data":'
const evtMark = ',"evt":'

/** Throws an Error with the reason alone. */
export function parseArchiveLine(line: string): ArchivedRow {
  const parsed = (JSON.parse(line) ?? {}) as Record<string, unknown>
  const evt = parsed.evt as ({ readonly text?: string; readonly unsound?: true } & Record<string, unknown>) | undefined
  const start = line.indexOf(dataMark)
  const end = line.lastIndexOf(evtMark)
  if (typeof evt !== 'object' || typeof evt?.row !== 'object' || !/^\d+$/.test(String(evt.position)) || end < start)
    throw new Error('it is no archived event')
  const data = evt.text ?? line.slice(start + dataMark.length, end)
  const columns: Record<string, string | null> = { ...(evt.row as Record<string, string>), data }
  for (const column in attributes)
    columns[column] = (parsed[attributes[column] as string] as string | undefined) ?? null
  if (columns.checksum !== null && !evt.unsound && checksumOf(data) !== columns.checksum)
    throw new Error(`the data of event ${columns.id} is not what was archived: its checksum differs`)
  return {
    position: String(evt.position),
    slot: String(evt.slot),
    sequencedAt: String(evt.sequenced_at),
    columns,
  }
}
