import { encodeAs } from '../core/codec/encode-as.ts'
import { headerText } from '../core/codec/headers.ts'
import { maxDataBytes } from '../core/event.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'
import type { Message } from '../transports/transport.ts'
import type { DeadEvent } from './publish-end.ts'
import type { PrepareOptions } from './publisher.ts'

/**
 * What was refused, as far as it can be written down. What its contract encrypts is not: it was refused before that, and plain text may not
 * lie around. Throws for data that is far too large to keep.
 */
export function deadMessageOf({ id, event }: DeadEvent, { registry, source }: PrepareOptions): Message {
  const contract = registry.get(event.type, event.version) ?? registry.get(event.type)
  const isSecret = contract !== undefined && sensitiveFields(contract).some(({ encrypt }) => encrypt !== false)
  const key = typeof event.subject === 'string' ? event.subject : null
  const data = isSecret ? null : event.data
  try {
    const { deliverAt: _, checksum: __, ...plain } = event
    const time = event.time ?? new Date().toISOString()
    const filled = { ...plain, id, source: event.source ?? source, time, version: event.version ?? 1, data }
    const whole = { ...filled, priority: event.priority ?? 'normal', metadata: event.metadata ?? {} } as const
    return withinBounds({ id, key, ...encodeAs('cloudevents', whole) })
  } catch {
    const headers = { 'ce-id': headerText(id), 'ce-type': headerText(event.type), 'content-type': 'application/json' }
    return withinBounds({ id: id.slice(0, 255), key, headers, body: Buffer.from(textOf(data)) })
  }
}

function withinBounds(message: Message): Message {
  if (message.body.length <= maxDataBytes) return message
  return { ...message, body: Buffer.from(JSON.stringify({ tooLarge: message.body.length })) }
}

function textOf(data: unknown): string {
  try {
    return JSON.stringify(data) ?? 'null'
  } catch {
    return JSON.stringify(String(data))
  }
}
