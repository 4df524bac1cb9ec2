/** A value, and where it was set. */
export interface Sourced<T> {
  readonly value: T
  /** `--store`, `EVT_STORE`, a file's path, or `default`. */
  readonly origin: string
}
