import { fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openRabbit, rabbitCapabilities } from '../../../src/transports/rabbitmq/index.ts'
import type { Lane, Transport } from '../../../src/transports/transport.ts'
import { findRabbit } from '../../setup/broker-binaries.ts'
import { type PrivateRabbit, startPrivateRabbit } from '../../setup/private-rabbitmq.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { consume, createWorld, idsOf, type Setup, until } from '../conformance/world.ts'
import { depthOf, foreignChannel } from './foreign.ts'

const mebibyte = 1024 * 1024

describe.skipIf(findRabbit() === undefined)('RabbitMQ under faults', () => {
  let server: PrivateRabbit
  beforeAll(async () => {
    // The limit that RabbitMQ 4 has by default.
    server = await startPrivateRabbit({ settings: [`max_message_size = ${16 * mebibyte}`] })
  }, 60_000)
  afterAll(() => server?.stop())

  const setup = (): Setup => ({ open: () => openRabbit(server.url), capabilities: rabbitCapabilities })

  async function open(url = server.url, onProblem?: (error: Error) => void): Promise<Transport> {
    const transport = await openRabbit(url, { onProblem })
    onTestFinished(() => transport.close())
    return transport
  }

  it('refuses what no queue is bound for: it would be lost', async () => {
    const world = createWorld(setup())
    const transport = await world.open()
    const [result] = await transport.publish(world.topic, world.messages(1, 1), AbortSignal.timeout(5_000))
    expect(result).toMatchObject({ state: 'refused', error: { message: expect.stringContaining('no queue is bound') } })
  })

  it('refuses a topic that does not exist, and takes it when it does', async () => {
    const transport = await open()
    const world = createWorld(setup())
    const [missing] = await transport.publish(world.topic, world.messages(1, 1), AbortSignal.timeout(5_000))
    expect(missing).toMatchObject({
      state: 'refused',
      error: { code: 'usage', message: expect.stringContaining('there is no topic') },
    })
    await world.open()
    await world.publish(transport, world.messages(1, 1))
  })

  it('refuses what is bigger than the server takes, and nothing else of other lanes', async () => {
    const world = createWorld(setup())
    const transport = await world.open()
    const consumer = consume(world, transport)
    await until('it has its lanes', () => consumer.lanes.length === 4)
    const batch = [...world.messages(6, 6), world.message('big', null, { body: Buffer.alloc(20 * mebibyte, 'x') })]
    const results = await transport.publish(world.topic, batch, AbortSignal.timeout(20_000))
    expect(results.at(-1)).toMatchObject({
      state: 'refused',
      error: { code: 'too-large', hint: expect.stringContaining('max_message_size') },
    })
    expect(results.slice(0, -1).map(({ state }) => state)).toEqual(Array(6).fill('stored'))
    await until('the small ones arrived', () => new Set(idsOf(consumer.received)).size === 6)
    await consumer.stop()
  })

  it('carries 15 MiB in one message', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const consumer = consume(world, transport)
    const body = Buffer.alloc(15 * mebibyte, 'x')
    await world.publish(transport, [world.message('s', null, { body })])
    await until('it arrived', () => consumer.received.length === 1)
    expect(Buffer.from(consumer.received[0]?.body ?? []).equals(body)).toBe(true)
    await consumer.stop()
  })

  it('keeps the bytes of bodies that say they are JSON or text', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const consumer = consume(world, transport)
    const bodies = ['{"n": 12345678901234567890, "a":1.0}', 'gr\u00fc\u00dfe', 'no json'].map((text) =>
      Buffer.from(text),
    )
    bodies.push(Buffer.from([0xff, 0xfe]))
    await world.publish(
      transport,
      ['application/json', 'text/plain', 'application/json', 'text/plain'].map((type, i) => {
        const message = world.message('s', null, { body: bodies[i] ?? Buffer.alloc(0) })
        return { ...message, headers: { ...message.headers, 'content-type': type } }
      }),
    )
    await until('all arrived', () => consumer.received.length === 4)
    expect(consumer.received.map(({ body }) => Buffer.from(body))).toEqual(bodies)
    await consumer.stop()
  })

  it('publishes again what was not confirmed when the connection is cut: nothing is lost, and order holds', async () => {
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    const world = createWorld(setup(), 1)
    const direct = await world.open()
    const consumer = consume(world, direct, { prefetch: 1_000 })
    await world.publish(direct, world.messages(1, 1))
    const through = await open(proxy.through(server.url))
    await world.publish(through, world.messages(1, 1))
    const messages = world.messages(500, 5)
    proxy.freeze()
    const publishing = through.publish(world.topic, messages, AbortSignal.timeout(20_000))
    // Let it write into the frozen connection.
    await new Promise((resolve) => setTimeout(resolve, 100))
    proxy.cut()
    proxy.thaw()
    expect(new Set((await publishing).map(({ state }) => state))).toEqual(new Set(['stored']))
    const ids = new Set(idsOf(messages))
    const first = () => [...new Set(idsOf(consumer.received).filter((id) => ids.has(id)))]
    await until('all arrived', () => first().length === 500)
    expect(first()).toEqual(idsOf(messages))
    await consumer.stop()
  })

  it('notices a connection that is silent, and goes on over another one', async () => {
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    const url = `${proxy.through(server.url)}?heartbeat=1`
    const world = createWorld({ ...setup(), open: () => openRabbit(url) }, 1)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await world.publish(transport, world.messages(3, 1))
    await until('it consumes', () => consumer.received.length === 3)
    const [lane] = consumer.owned
    proxy.freeze()
    await until('its lane is lost', () => lane?.lost.aborted === true, 10_000)
    proxy.cut()
    proxy.thaw()
    await world.publish(transport, world.messages(3, 1))
    await until('it consumes again', () => consumer.received.length >= 6)
    await consumer.stop()
  }, 40_000)

  it('answers within its deadline when nothing is confirmed', async () => {
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    // Silence that heartbeats do not notice before.
    const url = `${proxy.through(server.url)}?heartbeat=60`
    const world = createWorld(setup(), 1)
    const direct = await world.open()
    await world.publish(direct, world.messages(1, 1))
    const transport = await open(url)
    await world.publish(transport, world.messages(1, 1))
    proxy.freeze()
    const results = await transport.publish(world.topic, world.messages(5, 1), new AbortController().signal)
    expect(results.map(({ state }) => state)).toEqual(Array(5).fill('unknown'))
    expect(results[0]).toMatchObject({
      error: { code: 'timeout', message: expect.stringContaining('confirmed nothing') },
    })
    const startedAt = performance.now()
    await transport.close()
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    proxy.thaw()
  }, 40_000)

  it('waits while the server is short of memory; lanes move all the same, and it closes', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const messages = world.messages(40, 4)
    const first = consume(world, transport, { onBatch: async () => {} })
    await world.publish(transport, messages)
    await until('it holds them', () => first.received.length === 40)
    await server.ctl('set_vm_memory_high_watermark', '0.0000001')
    onTestFinished(async () => void (await server.ctl('set_vm_memory_high_watermark', '0.4')))
    const blocked = await transport.publish(world.topic, world.messages(3, 1), AbortSignal.timeout(1_500))
    expect(blocked.map(({ state }) => state)).toEqual(['unknown', 'unknown', 'unknown'])
    const other = await open()
    const heir = consume(world, other, { member: 'heir' })
    await first.stop()
    await until('the heir has all', () => heir.received.length >= 40)
    expect(idsOf(heir.received).slice(0, 40)).toEqual(idsOf(messages))
    const startedAt = performance.now()
    await transport.close()
    expect(performance.now() - startedAt).toBeLessThan(6_000)
    await server.ctl('set_vm_memory_high_watermark', '0.4')
    await until('it takes messages again', async () => {
      const [result] = await other.publish(world.topic, world.messages(1, 1), AbortSignal.timeout(2_000))
      return result?.state === 'stored'
    })
    await heir.stop()
  }, 60_000)

  it('makes a queue again that was deleted under its consumer, and tells that something is missing', async () => {
    const problems: string[] = []
    const world = createWorld(setup(), 1)
    const transport = await open(server.url, (error) => problems.push(error.message))
    await transport.ensure([{ name: world.topic, lanes: 1 }], 'create')
    const consumer = consume(world, transport)
    await world.publish(transport, world.messages(1, 1))
    await until('it consumes', () => consumer.received.length === 1)
    const foreign = await foreignChannel(server.url)
    await foreign.queueDelete({ queue: `${world.topic}/${world.group}/0` })
    await until('it has another lane', () => consumer.owned.length === 1 && consumer.lanes.length === 2)
    await world.publish(transport, world.messages(1, 1))
    await until('it consumes again', () => consumer.received.length === 2)
    expect(problems).toEqual([expect.stringContaining('was deleted: it is made again')])
    await consumer.stop()
  })

  it('makes a group again whose queues were deleted', async () => {
    const world = createWorld(setup(), 2)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await until('it has its lanes', () => consumer.owned.length === 2)
    const [before] = consumer.lanes
    const foreign = await foreignChannel(server.url)
    for (const queue of ['epoch', 'members'])
      await foreign.queueDelete({ queue: `${world.topic}/${world.group}/${queue}` })
    await until('it has both again', () => consumer.lanes.length === 4 && consumer.owned.length === 2)
    expect(consumer.lanes.find(({ id, lost }) => id === before?.id && !lost.aborted)?.epoch).toBeGreaterThan(
      before?.epoch ?? 0n,
    )
    await world.publish(transport, world.messages(4, 4))
    await until('all arrived', () => consumer.received.length === 4)
    await consumer.stop()
  })

  it('removes what earlier versions made for a group, when it is made and when its topic is removed', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const foreign = await foreignChannel(server.url)
    const former = { queue: `${world.topic}/${world.group}/owners`, durable: true }
    await foreign.queueDeclare(former)
    await world.publish(transport, world.messages(1, 1))
    expect(await depthOf(server.url, former.queue)).toBeUndefined()
    await foreign.queueDeclare(former)
    await transport.remove?.([world.topic])
    expect(await server.ctl('list_queues', 'name')).not.toContain(world.topic)
  })

  it('holds and gives back many lanes without a warning', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => void warnings.push(warning)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const [world, leaving] = [createWorld(setup(), 16), new AbortController()]
    const transport = await world.open()
    const lanes: Lane[] = []
    for await (const lane of transport.lanes?.([world.topic], world.group, world.options({ signal: leaving.signal })) ??
      []) {
      if (lanes.push(lane) < 16) continue
      leaving.abort()
    }
    const members = async () => (await transport.inspect([world.topic])).groups[0]?.members
    await until('it is no member', async () => (await members()) === 0)
    for (const lane of lanes) await lane.release()
    await transport.close()
    expect(warnings).toEqual([])
  })

  it('ends with what differs when a queue of its names has other arguments', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const foreign = await foreignChannel(server.url)
    const queue = `${world.topic}/${world.group}/0`
    await foreign.queueDeclare({ queue, durable: true, arguments: { 'x-queue-type': 'quorum', 'x-max-length': 10 } })
    const consumer = consume(world, transport)
    await expect(consumer.done).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(new RegExp(`${queue}.*it exists with another x-`)),
      hint: expect.stringContaining('nothing was changed'),
    })
  })

  it('compares an exchange of the name with what it would make', async () => {
    const world = createWorld(setup())
    const transport = await open()
    const foreign = await foreignChannel(server.url)
    await foreign.exchangeDeclare({ exchange: world.topic, type: 'fanout', durable: true })
    const spec = { name: world.topic, lanes: 4 }
    expect(await transport.ensure([spec], 'create')).toMatchObject([
      { problem: expect.stringContaining('evt did not make') },
    ])
    const own = { name: `${world.topic}.own`, lanes: 4 }
    expect(await transport.ensure([own], 'check')).toMatchObject([{ problem: 'missing' }])
    expect(await transport.ensure([own], 'create')).toEqual([])
    expect(await transport.ensure([{ ...own, lanes: 5 }], 'create')).toMatchObject([
      { problem: 'it has 4 lanes, not 5' },
    ])
    await foreign.exchangeDelete({ exchange: own.name })
    expect(await transport.ensure([own], 'check')).toMatchObject([{ problem: 'its exchange is missing' }])
  })

  it('dead-letters what was delivered too often, and never drops it', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    await world.publish(transport, world.messages(1, 1))
    await server.ctl('set_policy', 'limit', `^${world.topic}/`, '{"delivery-limit":2}', '--apply-to', 'queues')
    onTestFinished(async () => void (await server.ctl('clear_policy', 'limit')))
    const foreign = await foreignChannel(server.url)
    const queue = `${world.topic}/${world.group}/0`
    const { consumerTag } = await foreign.basicConsume({ queue }, ({ deliveryTag }) =>
      foreign.basicNack({ deliveryTag, requeue: true }),
    )
    await until('it was given up', async () => (await depthOf(server.url, `${world.topic}.dlq`)) === 1)
    await foreign.basicCancel(consumerTag)
    const letters = transport.deadLetters
    const found = []
    for await (const batch of letters?.list(`${world.topic}.dlq`, AbortSignal.timeout(5_000)) ?? [])
      found.push(...batch)
    expect(found).toMatchObject([
      {
        origin: { topic: world.topic, group: world.group },
        error: { class: 'delivery_limit' },
        message: { key: 's/0' },
      },
    ])
    const [result] =
      (await letters?.replay(`${world.topic}.dlq`, [found[0]?.id ?? ''], { signal: AbortSignal.timeout(5_000) })) ?? []
    expect(result?.state).toBe('stored')
    expect(await depthOf(server.url, queue)).toBe(1)
  })

  it('leaves no private queue behind when an observer is killed', async () => {
    const world = createWorld(setup())
    await world.open()
    const program = new URL('./observer-process.ts', import.meta.url)
    const child = fork(program, [server.url, world.topic], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const observers = async () =>
      (await server.ctl('list_queues', 'name')).split('\n').filter((name) => name.startsWith('evt.observer.'))
    await until('its queue is there', async () => (await observers()).length === 1, 20_000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await until('its queue is gone', async () => (await observers()).length === 0, 10_000)
  }, 40_000)

  it('does not keep the process when it is closed', async () => {
    const program = new URL('./observer-process.ts', import.meta.url)
    const child = fork(program, [server.url, 'amq.topic', 'close'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(15_000) })
    expect(code).toBe(0)
  }, 20_000)
})
