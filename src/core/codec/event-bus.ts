// The event bus's domain events (seed 2). The document shows `UserRegistered(user_id=…, email=…, username=…)` and the name
// `user.registered` in `event_name`; the envelope around them is silent there, and this is what evt takes it to be:
//
//   { "event_id", "event_name": "user.registered", "event_version"?: 2, "occurred_at": "2025-08-23T10:00:00Z",
//     "correlation_id"?, "causation_id"?, "metadata"?: {…}, …payload }
//
// The payload is the event's data; the subject is what the name names (`user/<user_id>`). What has no member of its own
// travels in `metadata` as `evt_source`, `evt_subject` and so on; without it the source is `event-bus`. The shape has no
// place for: the checksum; data that is no object or uses one of the names above; nested metadata of others (it becomes
// its JSON text); members that are null (they are left out).
import type { EvtEvent } from '../event.ts'
import type { MetadataValue } from './attributes.ts'
import type { Dialect, FullContext, Wire } from './dialect.ts'
import {
  addMetadata,
  flatData,
  requiredText,
  restored,
  shortTime,
  subjectByType,
  textOf,
  timeIn,
  versionIn,
  versionText,
  withRest,
} from './members.ts'

export const eventBus: Dialect = {
  name: 'event-bus',
  marks: 'event_id and event_name',

  lacks: (wire) => ['event_name', 'event_id'].find((name) => textOf(wire[name]) === undefined),

  decode,

  encode(event, data) {
    const payload = flatData('event-bus', event, data, taken)
    const [version, metadata] = versionText(event, String)
    const wire = {
      event_id: event.id,
      event_name: event.type,
      ...(version === '1' ? {} : { event_version: version === String(event.version) ? event.version : version }),
      occurred_at: shortTime(event.time),
      ...(event.correlationId === undefined ? {} : { correlation_id: event.correlationId }),
      ...(event.causationId === undefined ? {} : { causation_id: event.causationId }),
      ...payload,
    }
    return withRest(wire, metadata, event, (said) => decode(said, nowhere))
  },
}

const taken = ['event_id', 'event_name', 'event_version', 'occurred_at', 'correlation_id', 'causation_id', 'metadata']
const nowhere: FullContext = { topic: '', time: '', id: '' }

function decode(wire: Wire, context: FullContext): EvtEvent {
  const {
    event_id,
    event_name,
    event_version,
    occurred_at,
    correlation_id,
    causation_id,
    metadata: given,
    ...data
  } = wire
  const type = requiredText(wire, 'event_name')
  const metadata: Record<string, MetadataValue> = {}
  addMetadata(metadata, given)
  const subject = subjectByType(type, data)
  const correlationId = textOf(correlation_id)
  const causationId = textOf(causation_id)
  const event: EvtEvent = {
    id: requiredText(wire, 'event_id'),
    type,
    version: versionIn(event_version, metadata, String),
    source: 'event-bus',
    time: timeIn(wire, 'occurred_at', context),
    ...(subject === undefined ? {} : { subject }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(causationId === undefined ? {} : { causationId }),
    priority: 'normal',
    metadata,
    data,
  }
  return restored(event, given)
}
