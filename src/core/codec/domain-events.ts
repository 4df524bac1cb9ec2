// The platform's VersionedDomainEvent (seed 4). The document shows its builder, not its JSON; this is the builder's JSON as
// Rust's serde would write it, also inside the container that it names (`{ "Versioned": {…} }`, `{ "Legacy": {…} }`):
//
//   { "event_id", "event_type": "OrderCreated", "aggregate_id", "aggregate_type": "Order", "tenant_id", "version": "2.0.0",
//     "timestamp": "2025-08-23T10:00:00Z", "user_context"?: { "user_id", "session_id"? }, "location_id"?,
//     "correlation_id"?, "causation_id"?, "sequence_number"?, "priority"?: "High", "checksum"?, "metadata"?: {…}, "data": … }
//
// `OrderCreated` is `order.created` here, and aggregate `Order` with id 17 the subject `order/17`, wherever the way back is
// exact; other names stay as they are. `location_id` and `checksum` are metadata: that checksum is over bytes that only their
// publisher knows, so nobody verifies it, and none is made for events of ours. What has no member of its own travels in
// `metadata` as `evt_source` and so on; without it the source is `domain-events`. The shape has no place for: our checksum;
// nested metadata of others (it becomes its JSON text). The container, versions as `{ major, minor, patch }`, user ids
// outside `user_context` and members it does not know (they go into `metadata`) are read, and not written again so.
import { type EvtEvent, priorities } from '../event.ts'
import { formatJson } from '../json-text.ts'
import { isMetadataValue, type MetadataValue, setOwn } from './attributes.ts'
import type { Dialect, FullContext, Wire } from './dialect.ts'
import {
  addMetadata,
  isObject,
  requiredText,
  restored,
  shortTime,
  textOf,
  timeIn,
  versionIn,
  versionText,
  withRest,
} from './members.ts'

export const domainEvents: Dialect = {
  name: 'domain-events',
  marks: 'event_id, event_type, aggregate_id and aggregate_type',

  lacks(wire) {
    const inner = unpacked(wire)
    return (
      ['event_type', 'event_id'].find((name) => textOf(inner[name]) === undefined) ??
      ['aggregate_id', 'aggregate_type'].find((name) => !Object.hasOwn(inner, name))
    )
  },

  decode: (wire, context) => decode(unpacked(wire), context),

  encode(event, data) {
    const [version, { location_id, checksum, ...metadata }] = versionText(event, writeVersion)
    const { actor } = event
    const wire = {
      event_id: event.id,
      event_type: classNameOf(event.type),
      ...aggregateOf(event.subject),
      tenant_id: event.tenant ?? null,
      version,
      timestamp: shortTime(event.time),
      ...(actor && { user_context: { user_id: actor.userId, session_id: actor.sessionId } }),
      ...(location_id === undefined ? {} : { location_id }),
      ...(event.correlationId === undefined ? {} : { correlation_id: event.correlationId }),
      ...(event.causationId === undefined ? {} : { causation_id: event.causationId }),
      ...(event.sequence === undefined ? {} : { sequence_number: event.sequence }),
      ...(event.priority === 'normal' ? {} : { priority: capitalised(event.priority) }),
      ...(checksum === undefined ? {} : { checksum }),
      data,
    }
    return withRest(wire, metadata, event, (said) => decode(said, nowhere))
  },
}

const nowhere: FullContext = { topic: '', time: '', id: '' }
const writeVersion = (version: number): string => `${version}.0.0`

function unpacked(wire: Wire): Wire {
  const inner = wire.Versioned ?? wire.Legacy
  return isObject(inner) && Object.keys(wire).length === 1 ? inner : wire
}

function decode(wire: Wire, context: FullContext): EvtEvent {
  const { event_id, event_type, aggregate_id, aggregate_type, tenant_id, version, timestamp, ...more } = wire
  const { user_context, user_id, session_id, correlation_id, causation_id, ...others } = more
  const { sequence_number, priority, metadata: given, data, ...unknown } = others
  const metadata: Record<string, MetadataValue> = {}
  addMetadata(metadata, given)
  for (const [name, value] of Object.entries(unknown)) {
    if (value !== null) setOwn(metadata, name, isMetadataValue(value) ? value : formatJson(value))
  }
  const who = isObject(user_context) ? user_context : { user_id, session_id }
  const sequence =
    Number.isSafeInteger(sequence_number) && Number(sequence_number) >= 1 ? Number(sequence_number) : undefined
  const event: EvtEvent = {
    id: requiredText(wire, 'event_id'),
    type: typeOf(requiredText(wire, 'event_type')),
    version: versionIn(version, metadata, writeVersion),
    source: 'domain-events',
    time: timeIn(wire, 'timestamp', context),
    ...present('subject', subjectOf(textOf(aggregate_type), textOf(aggregate_id))),
    ...present('sequence', sequence),
    ...present('tenant', textOf(tenant_id)),
    ...present('correlationId', textOf(correlation_id)),
    ...present('causationId', textOf(causation_id)),
    ...actorOf(textOf(who.user_id), textOf(who.session_id)),
    priority: priorities.find((known) => known === String(textOf(priority)).toLowerCase()) ?? 'normal',
    metadata,
    data: data ?? null,
  }
  return restored(event, given)
}

const present = <K extends string, V>(name: K, value: V | undefined): { readonly [Key in K]?: V } =>
  (value === undefined ? {} : { [name]: value }) as { readonly [Key in K]?: V }

function actorOf(userId: string | undefined, sessionId: string | undefined): Pick<EvtEvent, 'actor'> {
  if (userId === undefined && sessionId === undefined) return {}
  return { actor: { ...present('userId', userId), ...present('sessionId', sessionId) } }
}

/** `OrderCreated` → `order.created`; a name that would not come back the same stays as it is. */
const typeOf = (name: string): string =>
  /^(?:[A-Z][a-z0-9]+)+$/.test(name) ? (name.match(/[A-Z][a-z0-9]+/g) ?? []).join('.').toLowerCase() : name

const classNameOf = (type: string): string =>
  /^[a-z][a-z0-9]+(?:\.[a-z][a-z0-9]+)*$/.test(type) ? type.split('.').map(capitalised).join('') : type

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

function subjectOf(kind: string | undefined, id: string | undefined): string | undefined {
  if (id === undefined || kind === undefined) return id
  return `${/^[A-Z][a-z0-9]*$/.test(kind) ? kind.toLowerCase() : kind}/${id}`
}

/** Both are always there: they are what the shape is known by. */
function aggregateOf(subject: string | undefined): Wire {
  const [, kind, id] = /^([^/]+)\/(.+)$/s.exec(subject ?? '') ?? []
  if (kind === undefined) return { aggregate_id: subject ?? null, aggregate_type: null }
  return { aggregate_id: id, aggregate_type: /^[a-z][a-z0-9]*$/.test(kind) ? capitalised(kind) : kind }
}
