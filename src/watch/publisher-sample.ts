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
