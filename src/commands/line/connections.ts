import type { BridgeOptions } from '../../bridge.ts'
import { busOf } from '../../config/bus.ts'
import { planTopics } from '../../core/layout.ts'
import { redactUrl } from '../../core/mask.ts'
import type { SinkOptions } from '../../core/sinks-and-sources.ts'
import type { SourceConfig } from '../../relay/source-config.ts'
import { topicsNamedBy } from '../../transports/registry.ts'
import type { Runtime } from '../runtime.ts'

interface Named {
  readonly name: string
  readonly url: string
}

export interface GivenConnections {
  readonly sink: readonly Named[]
  readonly source: readonly Named[]
  readonly consume: string | undefined
}

export interface Connections {
  readonly settings: Pick<BridgeOptions, 'sinks' | 'sources' | 'consume'>
  /** For the operator, at the start. */
  readonly lines: readonly string[]
}

/**
 * Sinks and sources of the command line, the configuration and the bus of the seed systems. A flag replaces what has its name.
 * Throws `usage` and `config` for what could never be opened; connects to nothing.
 */
export async function connectionsOf(given: GivenConnections, { config, output }: Runtime): Promise<Connections> {
  const bus = busOf(config)
  // A bus that is switched off is the business of who publishes to it: the store goes on.
  const isCarriedTo = bus?.stored && bus.type !== 'noop'
  const ofBus = isCarriedTo
    ? [{ name: bus.type, url: bus.url, layout: bus.layout, topic: bus.topic, prefix: bus.prefix }]
    : []
  if (bus && !bus.stored && bus.type !== 'noop')
    output.warn(
      `events do not go to ${redactUrl(bus.url)}: a bridge stores them first; with ENABLE_EVENT_STORE=true it carries them there`,
    )
  const sinks = merged(merged(ofBus, config.get('sinks').value), given.sink)
  const sources = merged(config.get('sources').value, given.source)
  const { consume } = given
  const { findSink, resolveSinks } = await import('../../relay/sink-config.ts')
  const { resolveSources } = await import('../../relay/source-config.ts')
  if (consume !== undefined) findSink(sinks, consume)
  const written = await Promise.all(resolveSinks(sinks).map(topicsWritten))
  const read = await Promise.all(resolveSources(sources).map(topicsRead))
  return {
    settings: { sinks, sources, ...(consume === undefined ? {} : { consume }) },
    lines: [
      ...sinks.map(
        ({ name, url }, i) =>
          `sink ${name}: ${redactUrl(url)}, ${written[i]}${name === consume ? ', read by handlers' : ''}`,
      ),
      ...sources.map(({ name, url }, i) => `source ${name}: ${redactUrl(url)}${read[i]}`),
    ],
  }
}

async function topicsWritten(sink: SinkOptions): Promise<string> {
  const [named] = await topicsNamedBy(sink.url)
  const { fixed } = planTopics({ ...sink, topic: sink.topic ?? named })
  if (fixed) return `topic ${fixed.join(', ')}`
  return `layout per-type, a topic for each type after ${sink.prefix ?? 'events'}`
}

async function topicsRead({ url, topics }: SourceConfig): Promise<string> {
  const named = await topicsNamedBy(url)
  const all = topics.length > 0 ? topics : named
  return all.length > 0 ? `, topic ${all.join(', ')}` : ''
}

function merged<A extends Named, B extends Named>(before: readonly A[], later: readonly B[]): (A | B)[] {
  const names = new Set(later.map(({ name }) => name))
  return [...before.filter(({ name }) => !names.has(name)), ...later]
}
