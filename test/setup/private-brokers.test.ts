import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Kafka } from 'kafkajs'
import { Connection } from 'rabbitmq-client'
import { expect, it, onTestFinished, vi } from 'vitest'
import { isRunning } from '../../src/store/embedded/process.ts'
import { bareKafka } from './bare-kafka.ts'
import { startPrivateKafka } from './private-kafka.ts'
import { startPrivateRabbit } from './private-rabbitmq.ts'
import { startPrivateRedis, startPrivateRedisCluster } from './private-redis.ts'
import { processesOf, sweepLeftovers } from './server-directory.ts'
import { canStart, describeWithOwn } from './shared-servers.ts'
import { until } from './until.ts'

// A broker starts in seconds, unless the machine is busy.
vi.setConfig({ testTimeout: 120_000 })

function redisClient(url: string, options = {}): Redis {
  const client = new Redis(url, { retryStrategy: () => 20, ...options })
  client.on('error', () => undefined)
  onTestFinished(() => client.disconnect())
  return client
}

describeWithOwn('redis', 'a private server', () => {
  it('keeps its data and port over kill -9 and over a restart', async () => {
    await using redis = await startPrivateRedis()
    await redis.command('set', 'key', 'one')
    const { pid, port } = redis
    await redis.kill('SIGKILL')
    expect(isRunning(pid)).toBe(false)
    await redis.restart()
    await redis.restart()
    expect(redis.port).toBe(port)
    expect(redis.pid).not.toBe(pid)
    expect(await redis.command('get', 'key')).toBe('one')
  })

  it('answers nobody between SIGSTOP and SIGCONT', async () => {
    await using redis = await startPrivateRedis()
    const client = redisClient(redis.url)
    await client.ping()
    await redis.kill('SIGSTOP')
    let answered = false
    const late = client.ping().then(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    await redis.kill('SIGCONT')
    await late
  })

  it('ends the connections of its clients and goes on', async () => {
    await using redis = await startPrivateRedis()
    const client = redisClient(redis.url)
    await client.ping()
    let closed = 0
    client.on('close', () => {
      closed += 1
    })
    await redis.disconnectClients()
    await until(() => closed === 1)
    expect(await client.ping()).toBe('PONG')
  })

  it('has users with rights of their own, TLS, and replicas', async () => {
    await using redis = await startPrivateRedis({ tls: true, users: ['user bob on >secret ~bob:* +@all'] })
    const bob = redisClient(`rediss://bob:secret@127.0.0.1:${redis.tls?.port}`, { tls: { ca: redis.tls?.ca } })
    await bob.set('bob:1', 'x')
    await expect(bob.set('other', 'x')).rejects.toThrow('NOPERM')
    await using plain = await startPrivateRedis()
    await using replica = await startPrivateRedis({ replicaOf: plain.port })
    await plain.command('set', 'key', 'one')
    await until(async () => (await replica.command('get', 'key')) === 'one')
  })

  it('stops, leaves nothing, and stops again', async () => {
    const redis = await startPrivateRedis()
    await redis.stop()
    await redis.stop()
    expect(isRunning(redis.pid) || existsSync(redis.directory)).toBe(false)
  })

  it('says why it cannot start, and leaves nothing', async () => {
    await expect(startPrivateRedis({ args: ['--nonsense', '1'] })).rejects.toThrow(/Redis ended:[\s\S]*nonsense/)
  })

  it('is a cluster of three masters that serve all slots', async () => {
    await using cluster = await startPrivateRedisCluster()
    const [first, second] = cluster.nodes
    expect(await Promise.all(cluster.nodes.map((node) => node.command('cluster', 'myid')))).toHaveLength(3)
    // The slot of `foo` is 12182, on the third.
    await expect(first?.command('get', 'foo')).rejects.toThrow(`MOVED 12182 127.0.0.1:${cluster.nodes[2]?.port}`)
    await second?.kill('SIGKILL')
    await second?.restart()
    await until(async () => String(await first?.command('cluster', 'info')).includes('cluster_slots_ok:16384'))
  })
})

function rabbitClient(url: string, options = {}): Connection {
  const client = new Connection({ url, retryLow: 20, retryHigh: 100, ...options })
  client.on('error', () => undefined)
  onTestFinished(() => client.unsafeDestroy())
  return client
}

describeWithOwn('rabbitmq', 'a private server', () => {
  it('keeps its data over kill -9, ends connections, has TLS and its command line', async () => {
    await using rabbit = await startPrivateRabbit({ tls: true })
    const client = rabbitClient(rabbit.url)
    await client.queueDeclare({ queue: 'kept', durable: true, arguments: { 'x-queue-type': 'quorum' } })
    const publisher = client.createPublisher({ confirm: true })
    await publisher.send({ routingKey: 'kept', durable: true }, 'one')
    await publisher.close()
    await rabbit.kill('SIGKILL')
    await rabbit.restart()
    await client.onConnect(5_000)
    await until(async () => (await client.basicGet({ queue: 'kept' }))?.body === 'one')

    let connected = 0
    client.on('connection', () => {
      connected += 1
    })
    await rabbit.disconnectClients()
    await until(() => connected === 1, { what: 'a new connection' })

    const secure = rabbitClient(rabbit.tls?.url ?? '', { tls: { ca: rabbit.tls?.ca } })
    await secure.onConnect(5_000)
    expect(await rabbit.ctl('list_queues', 'name')).toContain('kept')
  })
})

function kafkaClient(port: number, options: object = {}): Kafka {
  return bareKafka(port, { retry: { initialRetryTime: 20, retries: 20 }, ...options })
}

async function endOffset(kafka: Kafka, topic: string): Promise<string | undefined> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const [lane] = await admin.fetchTopicOffsets(topic)
    return lane?.high
  } finally {
    await admin.disconnect()
  }
}

async function createTopic(kafka: Kafka, topic: string): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic }], waitForLeaders: true })
  await admin.disconnect()
}

async function produce(kafka: Kafka, topic: string, value: string): Promise<void> {
  const producer = kafka.producer({ createPartitioner: () => () => 0 })
  await producer.connect()
  try {
    await producer.send({ topic, messages: [{ value }] })
  } finally {
    await producer.disconnect()
  }
}

describeWithOwn('kafka', 'a private server', () => {
  it('keeps its data over kill -9 and takes bodies of 1 MiB', async () => {
    await using server = await startPrivateKafka()
    const kafka = kafkaClient(server.port)
    await createTopic(kafka, 'kept')
    await produce(kafka, 'kept', 'x'.repeat(1_048_576))
    await server.kill('SIGKILL')
    await server.restart()
    expect(await endOffset(kafka, 'kept')).toBe('1')
    await produce(kafka, 'kept', 'two')
    expect(await endOffset(kafka, 'kept')).toBe('2')
  })

  it('has a way in through a proxy that cuts and freezes', async () => {
    await using server = await startPrivateKafka()
    const proxy = await server.proxied()
    const kafka = kafkaClient(proxy.port)
    const admin = kafka.admin()
    await admin.connect()
    onTestFinished(() => admin.disconnect())
    const { brokers } = await admin.describeCluster()
    // Nobody is led past the proxy.
    expect(brokers.map(({ port }) => port)).toEqual([proxy.port])
    expect(proxy.connections).toBeGreaterThan(0)
    await server.disconnectClients()
    expect(proxy.connections).toBe(0)
  })

  it('has users who log in, with TLS, and may do only what an ACL says', async () => {
    await using server = await startPrivateKafka({ tls: true, users: { alice: 'secret' } })
    const ssl = { ca: [server.tls?.ca ?? ''] }
    await createTopic(kafkaClient(server.port), 'mine')
    for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
      // An object for each client: kafkajs keeps the first one's login in it.
      const login = (password: string) => ({ sasl: { mechanism, username: 'alice', password }, retry: { retries: 0 } })
      const alice = kafkaClient(server.sasl?.port ?? 0, { ssl, ...login('secret') })
      await expect(produce(alice, 'mine', 'x'), mechanism).rejects.toThrow(/authoriz/i)
      const wrong = kafkaClient(server.sasl?.port ?? 0, { ssl, ...login('no') })
      await expect(produce(wrong, 'mine', 'x'), mechanism).rejects.toThrow(/authentication/i)
    }
  })
})

const program = `
import { startPrivateRedis } from './private-redis.ts'
import { startPrivateRabbit } from './private-rabbitmq.ts'
import { startPrivateKafka } from './private-kafka.ts'
const servers = await Promise.all([startPrivateRedis(), startPrivateRabbit(), startPrivateKafka()])
process.stdout.write(JSON.stringify(servers.map(({ directory }) => directory)) + '\\n')
setInterval(() => {}, 1000)
`

it.skipIf(!(['redis', 'rabbitmq', 'kafka'] as const).every(canStart))(
  'what a run that was killed with -9 leaves is swept by the next one, with every child process',
  async () => {
    const owner = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void owner.kill('SIGKILL'))
    const line = await new Promise<string>((resolve) => owner.stdout.once('data', (chunk) => resolve(String(chunk))))
    const directories = JSON.parse(line) as string[]
    owner.kill('SIGKILL')
    await until(() => owner.signalCode === 'SIGKILL')
    const left = directories.flatMap(processesOf)
    // redis-server, beam.smp with its erl_child_setup, epmd, java.
    expect(left.length).toBeGreaterThanOrEqual(5)
    expect(left.every(isRunning)).toBe(true)
    const names = left.map((pid) => readFileSync(join('/proc', String(pid), 'comm'), 'utf8').trim())
    expect(names).toEqual(expect.arrayContaining(['redis-server', 'epmd', 'java']))
    await sweepLeftovers()
    expect(left.filter(isRunning)).toEqual([])
    expect(directories.filter(existsSync)).toEqual([])
  },
)
