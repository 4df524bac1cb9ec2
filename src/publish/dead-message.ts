import { encodeAs } from '../core/codec/encode-as.ts'
import { headerText, withheldName } from '../core/codec/headers.ts'
import { maxDataBytes } from '../core/event.ts'
import { formatCount } from '../core/quantity.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'
import type { Message } from '../transports/transport.ts'
import type { DeadEvent } from './publish-end.ts'
import type { PrepareOptions } from './publisher.ts'

/**
 * What was refused, as far as it can be written down. What its contract encrypts is not: it was refused before that, and plain text may not
 * lie around; nor is what is far too large. Its headers say so.
 */
export function deadMessageOf({ id, event }: DeadEvent, { registry, source }: PrepareOptions): Message {
  const contract = registry.get(event.type, event.version) ?? registry.get(event.type)
  const isSecret = contract !== undefined && sensitiveFields(contract).some(({ encrypt }) => encrypt !== false)
  const key = typeof event.subject === 'string' ? event.subject : null
  const data = isSecret ? null : event.data
  const kept = (message: Message) => (isSecret ? withheld(message, 'its contract encrypts') : withinBounds(message))
  try {
    const { deliverAt: _, checksum: __, ...plain } = event
    const time = event.time ?? new Date().toISOString()
    const filled = {
      ...plain,
      id,
      source: event.source ?? source,
      time,
      version: event.version ?? contract?.version ?? 1,
      data,
    }
    const whole = { ...filled, priority: event.priority ?? 'normal', metadata: event.metadata ?? {} } as const
    return kept({ id, key, ...encodeAs('cloudevents', whole) })
  } catch {
    const headers = { 'ce-id': headerText(id), 'ce-type': headerText(event.type), 'content-type': 'application/json' }
    const message = { id: id.slice(0, 255), key, headers }
    const text = textOf(data)
    if (text === undefined) return withheld({ ...message, body: Buffer.from('null') }, 'it cannot be written as JSON')
    return kept({ ...message, body: Buffer.from(text) })
  }
}

function withinBounds(message: Message): Message {
  if (message.body.length <= maxDataBytes) return message
  return withheld({ ...message, body: Buffer.from('null') }, `${formatCount(message.body.length)} bytes are too many`)
}

const withheld = (message: Message, why: string): Message => ({
  ...message,
  headers: { ...message.headers, [withheldName]: why },
})

function textOf(data: unknown): string | undefined {
  try {
    return JSON.stringify(data)
  } catch {
    return undefined
  }
}
