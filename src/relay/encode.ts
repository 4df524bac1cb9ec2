import { encodeAs, parseDialect } from '../core/codec/encode-as.ts'
import { fromHeaders } from '../core/codec.ts'
import { originNames } from '../core/origin.ts'
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
}

/** Throws EvtError('contract') or ('decode') for an event that the dialect cannot hold. */
export type EncodeForSink = (entry: LogEntry) => Message

/**
 * In evt's own dialect the bytes of the log as they are. In any, headers say which stores the event has passed. Throws `usage` for
 * an unknown dialect.
 */
export function createEncoder({ dialect = 'cloudevents', storeId, sink, content }: EncoderOptions): EncodeForSink {
  const name = parseDialect(dialect)
  const logId = logIdOf(storeId, sink)
  const encoded = (entry: LogEntry): { readonly headers: Headers; readonly body: Uint8Array } => {
    const body = Buffer.from(entry.dataText)
    if (name === 'cloudevents') return { headers: entry.headers, body }
    return encodeAs(name, { ...fromHeaders(entry.headers, body), dataText: entry.dataText })
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

/** Positions of different sinks of one store are never compared: one may have begun anew. */
export const logIdOf = (storeId: string, sink: string): string => `${storeId}/${sink}`

const viaHeader = `ce-${originNames.via}`
