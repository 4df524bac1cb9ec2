import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { whatAnswers } from '../../src/transports/what-answers.ts'
import { freeServerPorts } from '../setup/ports.ts'
import { startPrivateKafka } from '../setup/private-kafka.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import type { ServerName } from '../setup/server-names.ts'
import { canStart, describeWith, hasServer, serverUrl } from '../setup/shared-servers.ts'

// The first test that asks for a broker waits for its start.
vi.setConfig({ testTimeout: 120_000 })

const named: readonly (readonly [ServerName, string])[] = [
  ['postgres-18', 'PostgreSQL'],
  ['redis', 'Redis'],
  ['rabbitmq', 'RabbitMQ'],
  ['kafka', 'Kafka'],
]

for (const [name, answer] of named) {
  it.skipIf(!hasServer(name))(`the port of ${answer} is known for what it is`, async () => {
    const { hostname, port } = new URL(await serverUrl(name))
    expect(await whatAnswers(hostname, Number(port))).toBe(answer)
  })
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

it('a web server is HTTP', async () => {
  const port = await listening(createHttpServer((_, response) => response.end('hello')))
  expect(await whatAnswers('127.0.0.1', port)).toBe('HTTP')
})

it.skipIf(!canStart('redis'))('a Redis that wants a password is Redis, and its TLS port is TLS', async () => {
  await using redis = await startPrivateRedis({ tls: true, users: ['user default off'] })
  expect(await whatAnswers('127.0.0.1', redis.port)).toBe('Redis')
  expect(await whatAnswers('127.0.0.1', redis.tls?.port ?? 0)).toBe('TLS')
})

it.skipIf(!canStart('kafka'))('a Kafka that wants a password is Kafka', async () => {
  await using kafka = await startPrivateKafka({ users: { alice: 'secret' } })
  expect(await whatAnswers('127.0.0.1', kafka.sasl?.port ?? 0)).toBe('Kafka')
})

it('where nobody listens there is no answer', async () => {
  const [port = 0] = await freeServerPorts(1)
  expect(await whatAnswers('127.0.0.1', port)).toBeUndefined()
})

it('a host without an address is no answer', async () => {
  expect(await whatAnswers('nowhere.invalid', 1)).toBeUndefined()
})

it('a port that says nothing is no answer, soon', async () => {
  const port = await listening(createServer(() => undefined))
  const began = performance.now()
  expect(await whatAnswers('127.0.0.1', port)).toBeUndefined()
  expect(performance.now() - began).toBeLessThan(10_000)
})

it('a greeting that begins like the answer of PostgreSQL is not PostgreSQL', async () => {
  const port = await listening(
    createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.2\r\n')),
  )
  expect(await whatAnswers('127.0.0.1', port)).toBeUndefined()
})

describeWith('redis', 'asking a port', () => {
  it('changes nothing and leaves no connection', async () => {
    await using redis = await startPrivateRedis()
    await whatAnswers('127.0.0.1', redis.port)
    expect(await redis.command('dbsize')).toBe(0)
    await expect.poll(async () => String(await redis.command('client', 'list')).split('id=').length - 1).toBe(1)
  })
})
