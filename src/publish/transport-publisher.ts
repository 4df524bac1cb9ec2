import type { DialectName } from '../core/codec.ts'
import type { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { TopicPlan } from '../core/layout.ts'
import { type PublishOptions, resolvePublish } from '../core/publish-options.ts'
import type { Registry } from '../core/registry.ts'
import type { PublisherSample } from '../watch/publisher-sample.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { createPublishMeter, type PublishMeter, samplePublisher } from './publish-meter.ts'
import { createTransportEnd, type PublishTarget } from './transport-end.ts'

export interface TransportPublisherOptions {
  readonly transport: PublishTarget
  /** Which topic an event goes to; topics of types are made when the first event of a type comes. */
  readonly plan: TopicPlan
  /** Events of its types must fit their contracts; others pass. */
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** What `source` says when an event does not. */
  readonly source: string
  /** The shape of the bytes; default `cloudevents`, evt's own. */
  readonly dialect?: DialectName | undefined
  /** Everything that was not published, whatever the caller does with the outcome. */
  readonly onError: (error: EvtError, event: NewEvent) => void
  /** Bytes of `data`; default 1 MiB. */
  readonly maxBytes?: number
  readonly publish?: PublishOptions | undefined
  /** Counts; default: one of its own. */
  readonly meter?: PublishMeter
}

/**
 * Publishes to a transport, outside of any transaction. Keeps the order of each subject, sends what comes together in one batch, and tries
 * again with the same bytes. The wait for an outcome is the backpressure: who does not wait is refused above a bound.
 */
export interface TransportPublisher extends Pipeline {
  /** What waits for an answer. */
  readonly pending: number
  stats(): PublisherSample
}

/** Throws `config` for settings that cannot be. */
export function createTransportPublisher(options: TransportPublisherOptions): TransportPublisher {
  const { transport, plan, registry, source, onError, dialect = 'cloudevents', maxBytes } = options
  const meter = options.meter ?? createPublishMeter()
  const config = resolvePublish(options.publish)
  const preparing = {
    registry: {
      get: registry.get,
      guard: registry.guard,
      validate: (event: EvtEvent) => void (registry.get(event.type) && registry.validate(event)),
    },
    source,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  }
  const end = createTransportEnd({ transport, plan, dialect, compressBytes: config.compressBytes, preparing, meter })
  const pipeline = createPipeline({ end, preparing, config, meter, onError })
  return {
    ...pipeline,
    get pending() {
      return meter.queued
    },
    stats: () => samplePublisher(source, meter),
  }
}
