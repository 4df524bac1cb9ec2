import { encodeAs, parseDialect } from '../core/codec/encode-as.ts'
import { headerText } from '../core/codec/headers.ts'
import { fromHeaders, typeIn } from '../core/codec.ts'
import { originNames } from '../core/origin.ts'
import type { Renames } from '../core/rename.ts'
import type { LogEntry } from '../store/log.ts'
import type { Capabilities, Headers, Message } from '../transports/transport.ts'
import { originIn } from './origin-in.ts'

/** When the event was committed and when it was sequenced, ms since the epoch: `1763712000000.5/1763712000002.1`. */
export const timesHeader = 'evt-times'

export interface EncoderOptions {
  /** Default: CloudEvents in binary mode. */
  readonly dialect: string | undefined
  readonly storeId: string
  /** Its name: with the store's id it says which log an entry's position is of. */
  readonly sink: string
  readonly content: Capabilities['content']
  /** Default: types are called as here. */
  readonly renames?: Renames | undefined
}

/** Throws EvtError('contract') or ('decode') for an event that the dialect cannot hold. */
export type EncodeForSink = (entry: LogEntry) => Message

/**
 * In evt's own dialect the bytes of the log as they are. In any, headers say which stores the event has passed. Throws `usage` for
 * an unknown dialect.
 */
export function createEncoder(options: EncoderOptions): EncodeForSink {
  const { dialect = 'cloudevents', storeId, sink, content, renames } = options
  const name = parseDialect(dialect)
  const logId = logIdOf(storeId, sink)
  const encoded = (entry: LogEntry): { readonly headers: Headers; readonly body: Uint8Array } => {
    const body = Buffer.from(entry.dataText)
    const headers = renames ? renamedHeaders(entry.headers, renames) : entry.headers
    if (name === 'cloudevents') return { headers, body }
    return encodeAs(name, { ...fromHeaders(headers, body), dataText: entry.dataText })
  }
  return (entry) => {
    const { headers: own, body } = encoded(entry)
    const { via } = originIn(entry.headers)
    const headers: Record<string, string> = { ...own }
    headers[viaHeader] = via.length === 0 ? storeId : `${via.join('.')}.${storeId}`
    if (content === 'bytes') headers[timesHeader] = `${entry.recordedMs}/${entry.sequencedMs}`
    return { id: entry.id, key: entry.subject, headers, body, log: entry.position, logId }
  }
}

/** The headers of an event as it is called there. */
export function renamedHeaders(headers: Headers, renames: Renames): Headers {
  const type = typeIn(headers)
  const there = renames.there(type)
  return there === type ? headers : { ...headers, 'ce-type': headerText(there) }
}

/** Positions of different sinks of one store are never compared: one may have begun anew. */
export const logIdOf = (storeId: string, sink: string): string => `${storeId}/${sink}`

const viaHeader = `ce-${originNames.via}`
