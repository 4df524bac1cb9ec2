import type { PublisherSample } from '../publisher-sample.ts'
import { counter, gauge, histogram, type MetricFamily, one } from './family.ts'

/** What the publishers of this process did. */
export function publisherFamilies(publishers: readonly PublisherSample[]): readonly MetricFamily[] {
  if (publishers.length === 0) return []
  const labelsOf = ({ publisher }: PublisherSample) => ({ publisher })
  const of = (field: Exclude<keyof PublisherSample, 'publisher' | 'latency'>) =>
    publishers.map((sample) => one(sample[field], labelsOf(sample)))
  return [
    counter('evt_publisher_published_total', 'Events that were confirmed.', of('published')),
    counter('evt_publisher_duplicated_total', 'Events that had been published before.', of('duplicated')),
    counter('evt_publisher_refused_total', 'Events that cannot be published as they are.', of('refused')),
    counter('evt_publisher_dead_total', 'Refused events that are kept as dead letters.', of('dead')),
    counter('evt_publisher_failed_total', 'Events without an answer in time.', of('failed')),
    counter('evt_publisher_retried_total', 'Tries beyond an event’s first.', of('retried')),
    counter('evt_publisher_rate_limited_total', 'Events that waited for the rate.', of('rateLimited')),
    counter('evt_publisher_bypassed_total', 'Critical events that left beyond the rate.', of('bypassed')),
    counter('evt_publisher_sequence_gaps_total', 'Gaps in the numbers of a subject.', of('sequenceGaps')),
    counter('evt_publisher_sequence_late_total', 'Events whose number had passed.', of('sequenceLate')),
    counter('evt_publisher_compressed_total', 'Events that travelled as gzip.', of('compressed')),
    counter('evt_publisher_batches_total', 'Batches.', of('batches')),
    gauge('evt_publisher_batch_average', 'Events of a batch, on average.', of('averageBatch')),
    gauge('evt_publisher_queued', 'Events that wait or are on their way.', of('queued')),
    gauge('evt_publisher_queued_bytes', 'Their bytes.', of('queuedBytes')),
    histogram(
      'evt_publisher_seconds',
      'From the call to the outcome.',
      publishers.map((sample) => ({ labels: labelsOf(sample), encoded: sample.latency })),
    ),
  ]
}
