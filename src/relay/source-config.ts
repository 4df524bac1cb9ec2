import { parseDialect } from '../core/codec/encode-as.ts'
import { compilePatterns, type Pattern } from '../core/pattern.ts'
import { parseRenames, type Renames } from '../core/rename.ts'
import type { SourceOptions } from '../core/sinks-and-sources.ts'
import { assertNames, checked } from './sink-config.ts'

export interface SourceConfig extends Omit<SourceOptions, 'topic'> {
  readonly topics: readonly string[]
  readonly group: string
  readonly wanted: Pattern
  readonly renames: Renames
  readonly start: 'earliest' | 'latest'
}

/** Throws `config` naming the source. */
export function resolveSources(sources: readonly SourceOptions[]): SourceConfig[] {
  assertNames(sources, 'source')
  return sources.map(({ topic, ...source }) => {
    const compiled = checked('source', source.name, () => {
      if (source.dialect !== undefined) parseDialect(source.dialect)
      return { wanted: compilePatterns(source.patterns ?? ['*']), renames: parseRenames(source.rename) }
    })
    const topics = topic === undefined ? [] : [topic].flat()
    return {
      ...source,
      ...compiled,
      topics,
      group: source.group ?? `evt-${source.name}`,
      start: source.start ?? 'latest',
    }
  })
}
