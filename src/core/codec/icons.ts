// The icon service's payload (seed 1), as its triggers send it on `user_events`, `document_events` and `system_events`:
//
//   { "event_type": "document.updated", "document_id", "user_id", "document_data": {…}, "changes": ["content"],
//     "timestamp": "2025-08-23T10:00:00Z", "correlation_id"? }
//
// Everything but the type, time and correlation is the event's data, as it stands. The subject is what the type names
// (`document/<document_id>`), the actor of a document's event its `user_id`. The shape has no place for: id, version, source
// (read as `icon-service`), any other subject, sequence, tenant, causation, trace, other actors, priority, metadata.
import type { EvtEvent } from '../event.ts'
import { undecodable } from './attributes.ts'
import type { Dialect, Wire } from './dialect.ts'
import { flatData, shortTime, textOf, timeIn } from './members.ts'

export const icons: Dialect = {
  name: 'icons',
  marks: 'event_type, timestamp or one of user_data, document_data, system_data, and no event_id',

  lacks(wire) {
    if (typeof wire.event_type !== 'string') return 'event_type'
    if (Object.hasOwn(wire, 'event_id') || Object.hasOwn(wire, 'event_version'))
      return 'it has an event_id or event_version'
    const hasPayload = ['user_data', 'document_data', 'system_data'].some((name) => Object.hasOwn(wire, name))
    return hasPayload || typeof wire.timestamp === 'string' ? undefined : 'timestamp'
  },

  decode(wire, context): EvtEvent {
    const { event_type: type, timestamp: _, correlation_id: correlation, ...data } = wire
    if (typeof type !== 'string' || type === '') throw undecodable('event_type is empty')
    const subject = subjectOf(type, data)
    const correlationId = textOf(correlation)
    const actor = subject?.startsWith('document/') ? textOf(data.user_id) : undefined
    return {
      id: context.id,
      type,
      version: 1,
      source: 'icon-service',
      time: timeIn(wire, 'timestamp', context),
      ...(subject === undefined ? {} : { subject }),
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(actor === undefined ? {} : { actor: { userId: actor } }),
      priority: 'normal',
      metadata: {},
      data,
    }
  },

  encode(event, data) {
    const members = flatData('icons', event, data, [
      'event_type',
      'timestamp',
      'correlation_id',
      'event_id',
      'event_version',
    ])
    return {
      event_type: event.type,
      ...members,
      timestamp: shortTime(event.time),
      ...(event.correlationId === undefined ? {} : { correlation_id: event.correlationId }),
    }
  },
}

/** The aggregate is what the type names; whoever changed a document is its actor. */
function subjectOf(type: string, data: Wire): string | undefined {
  const aggregate = type.split('.')[0] ?? ''
  if (aggregate === 'system') return undefined
  const kind = aggregate === 'document' ? 'document' : 'user'
  const id = textOf(data[`${kind}_id`])
  return id === undefined ? undefined : `${kind}/${id}`
}
