import { findKafka, findRabbit, findRedis, installKafka } from './broker-binaries.ts'
import { findPostgres } from './postgres-binaries.ts'
import { startPrivateKafka } from './private-kafka.ts'
import { startPrivateRabbit } from './private-rabbitmq.ts'
import { startPrivateRedis } from './private-redis.ts'
import { startPrivateServer } from './private-server.ts'
import type { ServerName } from './server-names.ts'

export interface StartedServer {
  readonly url: string
  readonly directory: string
}

/** How a server is found and started from the programs of this machine. */
export interface LocalServer {
  isHere(): boolean
  /** `owner` as a server directory's. The server lasts until `removeServer` of its directory. */
  /** Fetches what would make the first start slow, once per machine. */
  prepare?(): Promise<void>
  start(options: { readonly owner?: string }): Promise<StartedServer>
}

export const localServers: Readonly<Record<ServerName, LocalServer>> = {
  'postgres-18': {
    isHere: () => findPostgres(18) !== undefined,
    start: (options) => startPrivateServer({ version: 18, ...options }),
  },
  'postgres-15': {
    isHere: () => findPostgres(15) !== undefined,
    start: (options) => startPrivateServer({ version: 15, ...options }),
  },
  redis: { isHere: () => findRedis() !== undefined, start: startPrivateRedis },
  rabbitmq: { isHere: () => findRabbit() !== undefined, start: startPrivateRabbit },
  kafka: { isHere: () => findKafka() !== undefined, prepare: installKafka, start: startPrivateKafka },
}
