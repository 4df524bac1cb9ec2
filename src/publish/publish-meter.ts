import { createHistogram, type Histogram } from '../core/histogram.ts'
import type { PublisherSample } from '../watch/publisher-sample.ts'

type Counter = Exclude<keyof PublisherSample, 'publisher' | 'averageBatch' | 'latency'> | 'sent'

/** Counters are plain members: counting costs an addition. */
export interface PublishMeter extends Record<Counter, number> {
  readonly latency: Histogram
}

export const createPublishMeter = (): PublishMeter => ({
  published: 0,
  duplicated: 0,
  refused: 0,
  dead: 0,
  failed: 0,
  retried: 0,
  rateLimited: 0,
  bypassed: 0,
  sequenceGaps: 0,
  sequenceLate: 0,
  compressed: 0,
  batches: 0,
  sent: 0,
  queued: 0,
  queuedBytes: 0,
  latency: createHistogram(),
})

export function samplePublisher(publisher: string, { latency, sent, ...counters }: PublishMeter): PublisherSample {
  const averageBatch = counters.batches === 0 ? 0 : sent / counters.batches
  return { publisher, ...counters, averageBatch, latency: latency.encode() }
}
