// The typed event system's events (seed 5), as `json.dumps(asdict(self), default=str)` writes them:
//
//   { "event_id", "event_type": "performance.phase.start", "timestamp": "2025-09-26 10:30:00.250000+00:00", "context_id"?,
//     "field_path", "operation", "duration_ms": 0, "resource_usage": {…}, "phase", "status": "started" }
//
// Everything but the first three is the event's data, as it stands. `context_id` is also the correlation, and the subject is
// `context/<context_id>`: the phases of one context stay in order. `trace_id` and `span_id` in the data are the traceparent.
// The shape has no place for: version, source (read as `typed-events`), any other subject or correlation, sequence, tenant,
// causation, actor, priority, metadata; parts of a second below a microsecond.
import type { EvtEvent } from '../event.ts'
import { undecodable } from './attributes.ts'
import type { Dialect, FullContext, Wire } from './dialect.ts'
import { flatData, requiredText, secondsOf, textOf, timeIn } from './members.ts'

export const typedEvents: Dialect = {
  name: 'typed-events',
  marks: 'event_id, event_type and timestamp, and none of aggregate_id, source_service',

  lacks(wire) {
    const missing = ['event_id', 'event_type'].find((name) => textOf(wire[name]) === undefined)
    return missing ?? (typeof wire.timestamp === 'string' ? undefined : 'timestamp as text')
  },

  decode(wire, context): EvtEvent {
    const { event_id, event_type, timestamp, ...data } = wire
    return {
      ...monitored(requiredText(wire, 'event_type'), timeIn(wire, 'timestamp', context), data),
      id: requiredText(wire, 'event_id'),
    }
  },

  encode(event, data) {
    const members = flatData('typed-events', event, data, [...taken, 'event_id'])
    return { event_id: event.id, event_type: event.type, timestamp: pythonTime(event.time), ...members }
  },
}

// The same system before its migration to types, with no id and `time.time()` for its time:
//
//   { "event_type": "performance.phase.start", "phase", "timestamp": 1758882600.25 }
//
// The shape has no place for what typed events have none for, and for no id.
export const untypedEvents: Dialect = {
  name: 'untyped-events',
  marks: 'event_type, timestamp as a number, and no event_id',

  lacks(wire) {
    if (textOf(wire.event_type) === undefined) return 'event_type'
    if (Object.hasOwn(wire, 'event_id')) return 'it has an event_id'
    return typeof wire.timestamp === 'number' ? undefined : 'timestamp as a number'
  },

  decode(wire, context: FullContext): EvtEvent {
    const { event_type, timestamp, ...data } = wire
    if (textOf(event_type) === undefined) throw undecodable('event_type is missing')
    return { ...monitored(String(event_type), timeIn(wire, 'timestamp', context), data), id: context.id }
  },

  encode(event, data) {
    const members = flatData('untyped-events', event, data, [...taken, 'event_id'])
    return { event_type: event.type, ...members, timestamp: secondsOf(event.time) }
  },
}

const taken = ['event_type', 'timestamp']

function monitored(type: string, time: string, data: Wire): Omit<EvtEvent, 'id'> {
  const context = textOf(data.context_id)
  const traceparent = `00-${data.trace_id}-${data.span_id}-01`
  return {
    type,
    version: 1,
    source: 'typed-events',
    time,
    ...(context === undefined ? {} : { subject: `context/${context}`, correlationId: context }),
    ...(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/.test(traceparent) ? { traceparent } : {}),
    priority: 'normal',
    metadata: {},
    data,
  }
}

/** As `str(datetime)`: a space, no fraction or six digits, `+00:00`. */
function pythonTime(time: string): string {
  const [, date, clock, fraction = ''] = /^(.{10})T(.{8})(?:\.(\d+))?Z$/.exec(time) ?? []
  const micros = fraction.slice(0, 6).padEnd(6, '0')
  return `${date} ${clock}${micros === '000000' ? '' : `.${micros}`}+00:00`
}
