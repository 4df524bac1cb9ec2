import { parseDialect } from '../core/codec/encode-as.ts'
import { compilePatterns, type Pattern } from '../core/pattern.ts'
import type { SourceOptions } from '../core/sinks-and-sources.ts'
import { assertNames, checked } from './sink-config.ts'

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
