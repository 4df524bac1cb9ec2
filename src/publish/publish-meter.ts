import { createHistogram, type Histogram } from '../core/histogram.ts'

/** What one publisher did since it was made. */
export interface PublisherSample {
  readonly publisher: string
  readonly published: number
  /** Seen before: by the publisher, or by where it publishes to. */
  readonly duplicated: number
  /** Not published, and trying again would not help; those that were kept as dead letters among them. */
  readonly refused: number
  readonly dead: number
  /** No answer came in time: nobody knows. */
  readonly failed: number
  readonly retried: number
  /** Had to wait for the rate. */
  readonly rateLimited: number
  /** Critical ones that left beyond the rate. */
  readonly bypassed: number
  readonly sequenceGaps: number
  readonly sequenceLate: number
  readonly compressed: number
  readonly batches: number
  readonly averageBatch: number
  /** What waits, or is on its way. */
  readonly queued: number
  readonly queuedBytes: number
  /** Encoded histogram, microseconds: from the call to the outcome. */
  readonly latency: string
}

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
