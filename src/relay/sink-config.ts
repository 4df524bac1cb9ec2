import { parseDialect } from '../core/codec/encode-as.ts'
import { EvtError } from '../core/errors.ts'
import { layouts, planTopics } from '../core/layout.ts'
import { compilePatterns, type Pattern } from '../core/pattern.ts'
import { assertApart, parseRenames, type Renames } from '../core/rename.ts'
import type { SinkOptions } from '../core/sinks-and-sources.ts'
import { samePlace } from './same-place.ts'

export interface SinkConfig extends SinkOptions {
  readonly wanted: Pattern
  readonly renames: Renames
  readonly start: 'earliest' | 'latest'
}

const nameForm = /^[a-z0-9][\w.-]{0,62}$/i

/** Throws `config` naming the sink, also for two that write to one place. */
export function resolveSinks(sinks: readonly SinkOptions[]): SinkConfig[] {
  assertNames(sinks, 'sink')
  const configs = sinks.map((sink) => {
    if (sink.layout !== undefined && !layouts.includes(sink.layout))
      throw wrong('sink', sink.name, `layout ${sink.layout} is none of ${layouts.join(', ')}`)
    const compiled = checked('sink', sink.name, () => {
      planTopics(sink)
      if (sink.dialect !== undefined) parseDialect(sink.dialect)
      const wanted = compilePatterns(sink.patterns ?? ['*'])
      assertApart(sink.rename, sink.patterns)
      return { wanted, renames: parseRenames(sink.rename) }
    })
    return { ...sink, ...compiled, start: sink.start ?? ('latest' as const) }
  })
  for (const [at, config] of configs.entries()) assertAlone(config, configs.slice(0, at))
  return configs
}

/** Where two write, neither knows which part of what is there it has sent. */
function assertAlone(config: SinkConfig, others: readonly SinkConfig[]): void {
  for (const other of others) {
    const place = samePlace(other, config)
    if (place === undefined) continue
    const hint =
      'give one of them another topic (layout per-type: another prefix), or make them one sink with all patterns'
    throw new EvtError('config', `cannot use sink ${config.name}: it writes to ${place}, as sink ${other.name} does`, {
      hint,
    })
  }
}

/** The sink that handlers read. Throws `config` when there is none of that name. */
export function findSink(sinks: readonly SinkOptions[], name: string): SinkConfig {
  const found = resolveSinks(sinks).find((sink) => sink.name === name)
  if (found) return found
  const known = sinks.map((sink) => sink.name).join(', ') || 'none is configured'
  throw new EvtError('config', `cannot read sink ${name}: there is no sink of that name`, { hint: `known: ${known}` })
}

export function assertNames(all: readonly { readonly name: string }[], kind: 'sink' | 'source'): void {
  for (const [at, { name }] of all.entries()) {
    if (!nameForm.test(name)) throw wrong(kind, name, 'a name is letters, digits, dots, dashes and underscores')
    if (all.findIndex((other) => other.name === name) < at) throw twice(kind, name)
  }
}

/** An error of what a person wrote, with the name of the sink or source. */
export function checked<T>(kind: 'sink' | 'source', name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { message, hint } = error as EvtError
    throw new EvtError('config', `cannot use ${kind} ${name}: ${message}`, { cause: error, ...(hint ? { hint } : {}) })
  }
}

function twice(kind: string, name: string): EvtError {
  return new EvtError('config', `cannot use ${kind} ${name}: there are two of that name`, {
    hint: `give each a name: --${kind} name=url; \`evt config show\` shows those of the configuration`,
  })
}

function wrong(kind: string, name: string, reason: string): EvtError {
  return new EvtError('config', `cannot use ${kind} ${name}: ${reason}`, { hint: 'see `evt config show`' })
}
