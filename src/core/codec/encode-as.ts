import { type EncodedEvent, encodeEvent, encodeWithText } from '../codec.ts'
import { EvtError } from '../errors.ts'
import type { EvtEvent } from '../event.ts'
import { formatJson, mayLoseDigits, parseExactly } from '../json-text.ts'
import { suggestion } from '../suggest.ts'
import { formatCloudEvent } from './cloudevents.ts'
import { type DialectName, dialectNames, dialects } from './dialects.ts'
import { type Headers, headerText, relayNames, toHeaders } from './headers.ts'

/** An event with the bytes of its data, where it has some: they are written as they stand. */
export type Encodable = EvtEvent & Partial<Pick<EncodedEvent, 'dataText'>>

export interface Encoded {
  readonly headers: Headers
  readonly body: Uint8Array
}

/** Throws EvtError('usage') that lists the dialects there are. */
export function parseDialect(name: string): DialectName {
  const found = dialectNames.find((known) => known === name)
  if (found !== undefined) return found
  throw new EvtError('usage', `cannot use dialect '${name}': there is none`, {
    hint: suggestion(name, dialectNames) ?? `known: ${dialectNames.join(', ')}`,
  })
}

/**
 * One event in the bytes of a dialect, and the headers that belong to them. Numbers keep the digits that `dataText` gives them.
 * What the shape has no place for is said above each dialect; whatever the dialect, the id, the type and where a relayed event
 * came from (`originNames`) are in the headers, and `decodeAll` takes them from there.
 *
 * Throws EvtError('contract') for an event that the shape cannot hold or that `encodeEvent` refuses: publish it in another
 * dialect or not at all, trying again does not help.
 */
export function encodeAs(dialect: DialectName, event: Encodable): Encoded {
  const encoded = withBytes(event)
  const { dataText, ...plain } = encoded
  if (dialect === 'cloudevents') return { headers: toHeaders(plain), body: Buffer.from(dataText) }
  const hints = hintsOf(plain)
  if (dialect === 'cloudevents-structured' || dialect === 'cloudevents-batch') {
    const line = formatCloudEvent(plain, { dataText })
    const isBatch = dialect === 'cloudevents-batch'
    const contentType = `application/cloudevents${isBatch ? '-batch' : ''}+json`
    return { headers: { 'content-type': contentType, ...hints }, body: Buffer.from(isBatch ? `[${line}]` : line) }
  }
  const shape = dialects.find(({ name }) => name === dialect)
  if (shape === undefined) throw new EvtError('internal', `cannot write ${dialect}: it has no line in the table`)
  const data = mayLoseDigits(dataText) ? parseExactly(dataText) : JSON.parse(dataText)
  return {
    headers: { 'content-type': 'application/json', ...hints },
    body: Buffer.from(formatJson(shape.encode(plain, data))),
  }
}

/** Several events in one body. Throws as `encodeAs`. */
export function encodeBatch(events: readonly Encodable[]): Encoded {
  const lines = events.map((event) => {
    const { dataText, ...plain } = withBytes(event)
    return formatCloudEvent(plain, { dataText })
  })
  return {
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: Buffer.from(`[${lines.join(',')}]`),
  }
}

function withBytes(event: Encodable): EncodedEvent {
  if (event.dataText === undefined) return encodeEvent(event)
  return event.checksum === undefined ? encodeWithText(event, event.dataText) : (event as EncodedEvent)
}

function hintsOf({ id, type, metadata }: EncodedEvent | Omit<EncodedEvent, 'dataText'>): Headers {
  const hints: Record<string, string> = { 'ce-id': headerText(id), 'ce-type': headerText(type) }
  for (const name of relayNames) {
    const value = metadata[name]
    if (value !== undefined) hints[`ce-${name}`] = headerText(String(value))
  }
  return hints
}
