import { fromCloudEvent, toCloudEvent } from './cloudevents.ts'
import type { Dialect } from './dialect.ts'
import { domainEvents } from './domain-events.ts'
import { eventBus } from './event-bus.ts'
import { icons } from './icons.ts'
import { registry } from './registry.ts'
import { typedEvents, untypedEvents } from './typed-events.ts'

/** CloudEvents 1.0 as one JSON object: `cloudevents.ts` has its shape. */
const structured: Dialect = {
  name: 'cloudevents-structured',
  marks: 'specversion',
  lacks: (wire) => (typeof wire.specversion === 'string' ? undefined : 'specversion'),
  decode: (wire, { time }) => fromCloudEvent(wire, { time }),
  encode: (event, data) => toCloudEvent({ ...event, data }),
}

/** The shapes of one JSON object, in the order in which they are tried: what says most comes first. */
export const dialects = [
  structured,
  domainEvents,
  eventBus,
  registry,
  typedEvents,
  icons,
  untypedEvents,
] as const satisfies readonly Dialect[]

/** Every dialect that can be written. `cloudevents`, the binary mode, is evt's own. */
export const dialectNames = [
  'cloudevents',
  'cloudevents-structured',
  'cloudevents-batch',
  'icons',
  'event-bus',
  'registry',
  'domain-events',
  'typed-events',
  'untyped-events',
] as const
export type DialectName = (typeof dialectNames)[number]
