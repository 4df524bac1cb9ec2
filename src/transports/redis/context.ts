import type { TransportOptions } from '../transport.ts'
import type { RedisConnections } from './connect.ts'
import type { RedisOptions } from './options.ts'
import type { Topics } from './topic.ts'
import type { Trimmer } from './trim.ts'

/** What everything in this folder works with: one transport. */
export interface RedisContext extends TransportOptions {
  readonly options: RedisOptions
  readonly connections: RedisConnections
  readonly topics: Topics
  readonly trimmer: Trimmer
  /** Aborts when the transport closes. */
  readonly closing: AbortSignal
}
