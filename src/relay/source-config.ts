import { parseDialect } from '../core/codec/encode-as.ts'
import { compilePatterns, type Pattern } from '../core/pattern.ts'
import { assertNames, checked } from './sink-config.ts'

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
  /** What it must be; default: whatever is recognised. */
  readonly dialect?: string | undefined
  /** Where a group that never existed starts; default `latest`. */
  readonly start?: 'earliest' | 'latest' | undefined
}

export interface SourceConfig extends Omit<SourceOptions, 'topic'> {
  readonly topics: readonly string[]
  readonly group: string
  readonly wanted: Pattern
  readonly start: 'earliest' | 'latest'
}

/** Throws `config` naming the source. */
export function resolveSources(sources: readonly SourceOptions[]): SourceConfig[] {
  assertNames(sources, 'source')
  return sources.map(({ topic, ...source }) => {
    const wanted = checked('source', source.name, () => {
      if (source.dialect !== undefined) parseDialect(source.dialect)
      return compilePatterns(source.patterns ?? ['*'])
    })
    const topics = topic === undefined ? [] : [topic].flat()
    return { ...source, topics, wanted, group: source.group ?? `evt-${source.name}`, start: source.start ?? 'latest' }
  })
}
