// The icon service's payload (seeds/1-icon-service-events.md), as its triggers send it on `user_events`,
// `document_events` and `system_events`:
//
//   { "event_type": "document.updated", "document_id", "user_id", "document_data": {…}, "changes": ["content"],
//     "timestamp": "2025-08-23T10:00:00Z", "correlation_id" }
//
// It has no id and no source. Everything but the type, time and correlation is the event's data, as it stands.
import type { EvtEvent } from '../event.ts'
import { toUtcTime } from '../instant.ts'
import { undecodable } from './attributes.ts'
import type { Dialect } from './dialect.ts'

export const seedIcons: Dialect = {
  name: 'seed-icons',

  recognises: (value) =>
    typeof value.event_type === 'string' &&
    // Seed 3 has `event_type` too, and says `event_id` and `event_version`.
    !('event_id' in value) &&
    !('event_version' in value) &&
    ['user_data', 'document_data', 'system_data', 'timestamp'].some((key) => Object.hasOwn(value, key)),

  decode(value, context): EvtEvent {
    const { event_type: type, timestamp, correlation_id: correlationId, ...data } = value
    if (typeof type !== 'string' || type === '') throw undecodable('event_type is empty')
    const time = timestamp === undefined ? context.time : toUtcTime(String(timestamp))
    if (time === undefined) throw undecodable('timestamp is not an RFC 3339 time')
    const subject = subjectOf(type, data)
    return {
      id: context.id,
      type,
      version: 1,
      source: 'icon-service',
      time,
      ...(subject === undefined ? {} : { subject }),
      ...(typeof correlationId === 'string' ? { correlationId } : {}),
      ...(typeof data.user_id === 'string' && subject?.startsWith('document/')
        ? { actor: { userId: data.user_id } }
        : {}),
      priority: 'normal',
      metadata: {},
      data,
    }
  },
}

/** The aggregate is what the type names; whoever changed a document is its actor. */
function subjectOf(type: string, data: Readonly<Record<string, unknown>>): string | undefined {
  const aggregate = type.split('.')[0] ?? ''
  const id = data[`${aggregate === 'document' ? 'document' : 'user'}_id`]
  if (aggregate === 'system' || (typeof id !== 'string' && typeof id !== 'number')) return undefined
  return `${aggregate === 'document' ? 'document' : 'user'}/${id}`
}
