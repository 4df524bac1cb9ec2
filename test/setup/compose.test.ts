import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { kafkaVersion } from './broker-binaries.ts'
import { serverFacts, serverNames } from './server-names.ts'

interface Service {
  readonly image: string
  readonly profiles?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly depends_on?: Readonly<Record<string, unknown>>
  readonly healthcheck?: unknown
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly include?: readonly string[]
  readonly volumes?: Readonly<Record<string, unknown>>
}

const root = join(import.meta.dirname, '..', '..')
const read = (name: string): Compose => parse(readFileSync(join(root, name), 'utf8')) as Compose
const { services, volumes } = read('compose.yaml')

it('has PostgreSQL without a profile, and a profile for each broker and for the tools', () => {
  expect(Object.fromEntries(Object.entries(services).map(([name, { profiles }]) => [name, profiles]))).toEqual({
    postgres: undefined,
    redis: ['redis'],
    rabbitmq: ['rabbitmq'],
    // Whoever starts the tools alone has what they look at.
    kafka: ['kafka', 'tools'],
    'kafka-ui': ['tools'],
  })
})

it('shows Kafka on port 8090', () => {
  expect(services['kafka-ui']?.ports).toEqual([expect.stringContaining('_PORT:-8090}:8080')])
})

it('listens on this machine only', () => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? [])
  expect(ports.length).toBeGreaterThan(4)
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
})

it('says of every server when it is ready, and declares every volume', () => {
  const servers = Object.entries(services).filter(([name]) => name !== 'kafka-ui')
  expect(servers.filter(([, { healthcheck }]) => !healthcheck)).toEqual([])
  const used = Object.values(services)
    .flatMap((service) => service.volumes ?? [])
    .map((volume) => volume.split(':')[0])
  expect(Object.keys(volumes ?? {})).toEqual(used)
})

it('has the service and the port variable by which the tests start it', () => {
  for (const { compose } of serverNames.map((name) => serverFacts[name])) {
    if (compose) expect(services[compose.service]?.ports?.[0], compose.service).toContain(`\${${compose.port}:-`)
  }
})

it('has the Kafka that the tests fetch', () => {
  expect(services.kafka?.image).toBe(`apache/kafka:${kafkaVersion}`)
})

it('is also found under the name that guides use, with the zookeeper that they start', () => {
  const { include, services: more } = read('docker-compose.events.yml')
  expect(include).toEqual(['compose.yaml'])
  expect(Object.keys(more)).toEqual(['zookeeper'])
})
