// The schema registry's BaseEvent (seed 3), in streams `events:user.created` and on channels `events.user.created`:
//
//   { "event_id", "event_type": "user.created", "version": "v1", "timestamp": "2025-09-26T10:30:00Z", "source_service",
//     "correlation_id", "user_id": 12345, "metadata": {…}, …payload }
//
// or the fields of a stream entry, whose values are all text: `"user_id": "12345", "metadata": "{\"a\":1}"`. The payload is
// the event's data, together with `user_id`, which is also the actor; the subject is what the type names
// (`request.created` → `request/<request_id>`). What has no member of its own travels in `metadata` as `evt_subject`,
// `evt_tenant` and so on. The shape has no place for: the checksum; data that is no object or uses one of the names above;
// an actor beside data without `user_id` (it comes back in the data too); nested metadata of others (it becomes its JSON
// text); members that are null (they are left out).
import type { EvtEvent } from '../event.ts'
import type { MetadataValue } from './attributes.ts'
import type { Dialect, FullContext, Wire } from './dialect.ts'
import {
  addMetadata,
  flatData,
  isObject,
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

export const registry: Dialect = {
  name: 'registry',
  marks: 'event_id, event_type, and source_service or a version such as v1',

  lacks(wire) {
    if (textOf(wire.event_id) === undefined) return 'event_id'
    if (textOf(wire.event_type) === undefined) return 'event_type'
    const says = typeof wire.source_service === 'string' || /^"?v\d/.test(String(textOf(wire.version)))
    return says ? undefined : 'source_service'
  },

  decode: (wire, context) => decode(Object.values(wire).every(isText) ? parsedFields(wire) : wire, context),

  encode(event, data) {
    const payload = flatData('registry', event, data, taken)
    const [version, metadata] = versionText(event, writeVersion)
    const { user_id: userId = numberOrText(event.actor?.userId), ...others } = payload
    const wire = {
      event_id: event.id,
      event_type: event.type,
      version,
      timestamp: shortTime(event.time),
      source_service: event.source,
      ...(event.correlationId === undefined ? {} : { correlation_id: event.correlationId }),
      ...(userId === undefined ? {} : { user_id: userId }),
      metadata: {},
      ...others,
    }
    return withRest(wire, metadata, event, (said) => decode(said, nowhere))
  },
}

const taken = ['event_id', 'event_type', 'version', 'timestamp', 'source_service', 'correlation_id', 'metadata']
const nowhere: FullContext = { topic: '', time: '', id: '' }
const writeVersion = (version: number): string => `v${version}`
const isText = (value: unknown): boolean => typeof value === 'string'

function decode(wire: Wire, context: FullContext): EvtEvent {
  const { event_id, event_type, version, timestamp, source_service, correlation_id, metadata: given, ...data } = wire
  const type = requiredText(wire, 'event_type')
  const metadata: Record<string, MetadataValue> = {}
  addMetadata(metadata, given)
  const subject = subjectByType(type, data)
  const correlationId = textOf(correlation_id)
  const userId = textOf(data.user_id)
  const event: EvtEvent = {
    id: requiredText(wire, 'event_id'),
    type,
    version: versionIn(version, metadata, writeVersion),
    source: textOf(source_service) ?? 'registry',
    time: timeIn(wire, 'timestamp', context),
    ...(subject === undefined ? {} : { subject }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(userId === undefined ? {} : { actor: { userId } }),
    priority: 'normal',
    metadata,
    data,
  }
  return restored(event, given)
}

/**
 * Every value as JSON when all of them are; else texts stay texts, and what is plainly something else is that: an object, an
 * array, a number in its usual form, true, false and null.
 */
function parsedFields(wire: Wire): Wire {
  const entries = Object.entries(wire) as [string, string][]
  const values = entries.map(([, text]) => parsed(text))
  const areAll = values.every((value) => value !== undefined)
  return Object.fromEntries(
    entries.map(([name, text], i) => {
      const value = values[i]
      const isPlain = areAll || isObject(value) || Array.isArray(value) || String(value) === text
      return [name, value !== undefined && isPlain ? value : text]
    }),
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Their ids are numbers. */
function numberOrText(id: string | undefined): string | number | undefined {
  return id !== undefined && /^[1-9]\d{0,14}$/.test(id) ? Number(id) : id
}
