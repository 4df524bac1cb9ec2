import type { BridgeOptions } from '../../bridge.ts'
import { busOf } from '../../config/bus.ts'
import { redactUrl } from '../../core/mask.ts'
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

/** Sinks and sources of the command line, the configuration and the bus of the seed systems. A flag replaces what has its name. */
export function connectionsOf(given: GivenConnections, { config, output }: Runtime): Connections {
  const bus = busOf(config)
  const ofBus = bus?.stored
    ? [{ name: bus.type, url: bus.url, layout: bus.layout, topic: bus.topic, prefix: bus.prefix }]
    : []
  if (bus && !bus.stored)
    output.warn(
      `events do not go to ${redactUrl(bus.url)}: a bridge stores them first; with ENABLE_EVENT_STORE=true it carries them there`,
    )
  const sinks = merged(merged(ofBus, config.get('sinks').value), given.sink)
  const sources = merged(config.get('sources').value, given.source)
  const { consume } = given
  return {
    settings: { sinks, sources, ...(consume === undefined ? {} : { consume }) },
    lines: [
      ...sinks.map(({ name, url }) => `sink ${name}: ${redactUrl(url)}${name === consume ? ', read by handlers' : ''}`),
      ...sources.map(({ name, url }) => `source ${name}: ${redactUrl(url)}`),
    ],
  }
}

function merged<A extends Named, B extends Named>(before: readonly A[], later: readonly B[]): (A | B)[] {
  const names = new Set(later.map(({ name }) => name))
  return [...before.filter(({ name }) => !names.has(name)), ...later]
}
