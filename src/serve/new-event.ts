import { isMetadataValue } from '../core/codec/attributes.ts'
import { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import { suggestion } from '../core/suggest.ts'

type Given = Readonly<Record<string, unknown>>

/** Every field that an event may have, and what it must be. The rest is checked where its bytes are fixed. */
const fields: Readonly<Record<keyof NewEvent, (value: unknown) => string | undefined>> = {
  id: text,
  type: text,
  version: number,
  source: text,
  time: text,
  subject: text,
  sequence: number,
  tenant: text,
  correlationId: text,
  causationId: text,
  traceparent: text,
  actor: (value) => {
    if (!isObject(value)) return 'is no object'
    const odd = Object.keys(value).find((key) => key !== 'userId' && key !== 'sessionId')
    if (odd !== undefined) return 'has other members than userId and sessionId'
    return Object.values(value).every((id) => typeof id === 'string') ? undefined : 'has a member that is no text'
  },
  priority: text,
  metadata: (value) =>
    isObject(value) && Object.values(value).every(isMetadataValue)
      ? undefined
      : 'is no flat object of texts, numbers and booleans',
  data: () => undefined,
  checksum: text,
  deliverAt: text,
}

/** What `/openapi.json` has to tell of. */
export const eventFields: readonly string[] = Object.keys(fields)

/** Reads an event of evt's own shape. Null stands for what is not given. Throws `contract` naming the field, and never a value. */
export function newEventOf(given: Given): NewEvent {
  const event: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(fields, name))
      throw unfit(`there is no field ${name.slice(0, 80)}`, suggestion(name, [...eventFields]))
    if (name === 'data') event.data = value
    if (name === 'data' || value === null) continue
    const wrong = fields[name as keyof NewEvent](value)
    if (wrong) throw unfit(`${name} ${wrong}`)
    event[name] = value
  }
  if (event.type === undefined) throw unfit('type is missing', 'such as { "type": "user.created", "data": { … } }')
  if (!('data' in event)) throw unfit('data is missing', 'send null for an event without any')
  return event as unknown as NewEvent
}

const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/

/** The same event. Throws `contract` naming the field that nothing could use later: a time of the year 0, a traceparent that is none. */
export function usable(event: NewEvent): NewEvent {
  for (const name of ['time', 'deliverAt'] as const)
    if (event[name]?.startsWith('0000')) throw unfit(`${name} lies before the year 1`)
  if (event.traceparent !== undefined && !traceparent.test(event.traceparent))
    throw unfit('traceparent is none', 'as W3C Trace Context has it, 00-<32 hex>-<16 hex>-01; or leave it out')
  return event
}

export const isObject = (value: unknown): value is Given =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? undefined : 'is no text'
}

function number(value: unknown): string | undefined {
  return typeof value === 'number' ? undefined : 'is no number'
}

function unfit(reason: string, hint?: string): EvtError {
  return new EvtError('contract', `cannot accept event: ${reason}`, hint === undefined ? {} : { hint })
}
