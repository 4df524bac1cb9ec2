import { EvtError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import type { ServerProblem, Transport, TransportOptions } from './transport.ts'

type Open = (url: string, options: TransportOptions) => Promise<Transport> | Transport

interface Kind {
  open(): Promise<Open>
  /** Topics that a URL names. Throws `usage`; connects to nothing. */
  named(url: string): Promise<readonly string[]>
}

const kafka: Kind = {
  open: async () => (await import('./kafka/index.ts')).openKafka,
  named: async (url) => (await import('./kafka/options.ts')).parseKafkaUrl(url).topics,
}
const memory: Kind = {
  open: async () => (await import('./memory/index.ts')).openMemory,
  named: async (url) => (await import('./memory/index.ts')).parseMemoryUrl(url).named,
}
const noop: Kind = {
  open: async () => (await import('./noop/index.ts')).openNoop,
  named: async () => [],
}
const postgres: Kind = {
  open: async () => (await import('./postgres/index.ts')).openPostgres,
  named: async (url) => [(await import('./postgres/options.ts')).parsePostgresUrl(url).channel ?? 'log'],
}
const rabbit: Kind = {
  open: async () => (await import('./rabbitmq/index.ts')).openRabbit,
  named: async (url) => {
    const { exchange, queue } = (await import('./rabbitmq/options.ts')).parseRabbitUrl(url)
    return [exchange ?? queue ?? []].flat()
  },
}
const redis: Kind = {
  open: async () => (await import('./redis/index.ts')).openRedis,
  named: async (url) => {
    const { channels, streams } = (await import('./redis/options.ts')).parseRedisUrl(url)
    return channels.length > 0 ? channels : streams
  },
}

/** URL scheme → transport. A driver is loaded when its transport is first opened, and not before. */
const transports = {
  amqp: rabbit,
  amqps: rabbit,
  kafka,
  memory,
  noop,
  postgres,
  postgresql: postgres,
  redis,
  rediss: redis,
} as const satisfies Record<string, Kind>

export const transportSchemes = Object.keys(transports) as readonly (keyof typeof transports)[]

/**
 * Connects to what the URL names. Throws `usage` for an unknown scheme, `connect` for a server that does not answer.
 */
export async function openTransport(url: string, options: TransportOptions = {}): Promise<Transport> {
  const open = await kindOf(url).open()
  const transport = await open(url, options)
  if (options.onServerProblem) void tellServerProblems(transport, options.onServerProblem)
  return transport
}

/** Nothing waits for it, and what may not be asked is not known. */
async function tellServerProblems(transport: Transport, tell: (problem: ServerProblem) => void): Promise<void> {
  for (const problem of (await transport.checkServer?.().catch(() => [])) ?? []) tell(problem)
}

/** Topics that the URL names. Throws `usage` for what no transport could open, without connecting. */
export async function topicsNamedBy(url: string): Promise<readonly string[]> {
  return kindOf(url).named(url)
}

function kindOf(url: string): Kind {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  const kind = Object.entries(transports).find(([name]) => name === scheme)?.[1]
  if (kind === undefined) {
    throw new EvtError('usage', `cannot open ${redactUrl(url)}: no transport for ${scheme || 'a URL without scheme'}`, {
      hint: `known: ${transportSchemes.map((name) => `${name}://`).join(', ')}`,
    })
  }
  return kind
}
