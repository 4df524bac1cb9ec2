import { EvtError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import type { ServerProblem, Transport, TransportOptions } from './transport.ts'

type Open = (url: string, options: TransportOptions) => Promise<Transport> | Transport

/** URL scheme → transport. A driver is loaded when its transport is first opened, and not before. */
const transports = {
  amqp: async () => (await import('./rabbitmq/index.ts')).openRabbit,
  amqps: async () => (await import('./rabbitmq/index.ts')).openRabbit,
  kafka: async () => (await import('./kafka/index.ts')).openKafka,
  memory: async () => (await import('./memory/index.ts')).openMemory,
  noop: async () => (await import('./noop/index.ts')).openNoop,
  postgres: async () => (await import('./postgres/index.ts')).openPostgres,
  postgresql: async () => (await import('./postgres/index.ts')).openPostgres,
  redis: async () => (await import('./redis/index.ts')).openRedis,
  rediss: async () => (await import('./redis/index.ts')).openRedis,
} as const satisfies Record<string, () => Promise<Open>>

export const transportSchemes = Object.keys(transports) as readonly (keyof typeof transports)[]

/**
 * Connects to what the URL names. Throws `usage` for an unknown scheme, `connect` for a server that does not answer.
 */
export async function openTransport(url: string, options: TransportOptions = {}): Promise<Transport> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? ''
  const load = Object.entries(transports).find(([name]) => name === scheme)?.[1]
  if (load === undefined) {
    throw new EvtError('usage', `cannot open ${redactUrl(url)}: no transport for ${scheme || 'a URL without scheme'}`, {
      hint: `known: ${transportSchemes.map((name) => `${name}://`).join(', ')}`,
    })
  }
  const open: Open = await load()
  const transport = await open(url, options)
  if (options.onServerProblem) void tellServerProblems(transport, options.onServerProblem)
  return transport
}

/** Nothing waits for it, and what may not be asked is not known. */
async function tellServerProblems(transport: Transport, tell: (problem: ServerProblem) => void): Promise<void> {
  for (const problem of (await transport.checkServer?.().catch(() => [])) ?? []) tell(problem)
}
