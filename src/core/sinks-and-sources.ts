import type { Layout } from './layout.ts'
import type { RenameMap } from './rename.ts'

/** Where the log is carried to, as a person says it. */
export interface SinkOptions {
  /** Stands for its position in the store: another name is another sink. */
  readonly name: string
  readonly url: string
  /** Default: what the URL names, else `events`. */
  readonly topic?: string | undefined
  /** Of layout `per-type`, before the type. */
  readonly prefix?: string | undefined
  /** Default `shards`: one topic, ordered by subject. */
  readonly layout?: Layout | undefined
  readonly lanes?: number | undefined
  /** Types to carry; default all. */
  readonly patterns?: readonly string[] | undefined
  /** What types are called there: `{ 'requests.user.*': 'user.*' }`. `patterns` speak of types here. */
  readonly rename?: RenameMap | undefined
  /** Default: CloudEvents in binary mode. */
  readonly dialect?: string | undefined
  /** Where a sink that never existed starts; default `latest`. */
  readonly start?: 'earliest' | 'latest' | undefined
}

/** Foreign traffic that is brought into the store, as a person says it. */
export interface SourceOptions {
  readonly name: string
  readonly url: string
  /** Default: what the URL names. */
  readonly topic?: string | readonly string[] | undefined
  /** The consumer group there; default `evt-<name>`. Another group reads all again. */
  readonly group?: string | undefined
  /** Types to take in; default all. */
  readonly patterns?: readonly string[] | undefined
  /** Types here to what they are called there, as of a sink: `{ 'shop.*': '*' }`. `patterns` speak of types here. */
  readonly rename?: RenameMap | undefined
  /** What it must be; default: whatever is recognised. */
  readonly dialect?: string | undefined
  /** Where a group that never existed starts; default `latest`. */
  readonly start?: 'earliest' | 'latest' | undefined
}
