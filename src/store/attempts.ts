/** One attempt that did not succeed, as it is kept: bounded and printable, whatever was thrown. */
export interface AttemptRecord {
  /** 1 for the first. */
  readonly attempt: number
  /** When it began, RFC 3339. */
  readonly at: string
  readonly durationMs: number
  /** Class of the error; `TimeoutError`, `ProcessEnded` for what the runtime found. */
  readonly class: string
  readonly code?: string
  readonly message: string
  readonly stack?: string
  readonly instance: string
}

/** Why an event was given up. */
export type DeadReason =
  | 'retries-exhausted'
  | 'non-retryable'
  | 'undecodable'
  | 'contract'
  | 'checksum'
  | 'process-ended'
  /** Its row in the store is damaged, and not even its type is known. */
  | 'unreadable'
  /** A publisher could not publish it. */
  | 'publish'
  /** It failed or waited, and an operator let its subject go on without it. */
  | 'skipped'
