import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRabbit, rabbitCapabilities } from '../../../src/transports/rabbitmq/index.ts'
import { findRabbit } from '../../setup/broker-binaries.ts'
import { type PrivateRabbit, startPrivateRabbit } from '../../setup/private-rabbitmq.ts'
import { consume, createWorld, idsOf, until } from '../conformance/world.ts'

const timeoutMs = 2_500

describe.skipIf(findRabbit() === undefined)('RabbitMQ that takes back what is unacknowledged for too long', () => {
  let server: PrivateRabbit
  beforeAll(async () => {
    server = await startPrivateRabbit()
    // Looked at each second: by default once a minute.
    const settings = { consumer_timeout: timeoutMs, channel_tick_interval: 1_000 }
    for (const [name, value] of Object.entries(settings))
      await server.ctl('eval', `application:set_env(rabbit, ${name}, ${value}).`)
  }, 60_000)
  afterAll(() => server?.stop())

  function openWorld(lanes: number) {
    const problems: Error[] = []
    const open = () => openRabbit(server.url, { onProblem: (error) => problems.push(error) })
    return { world: createWorld({ open, capabilities: rabbitCapabilities }, lanes), problems }
  }

  it('leaves lanes where they are, idle or at work, and each message comes once', async () => {
    const { world, problems } = openWorld(4)
    const transport = await world.open()
    const consumer = consume(world, transport, {
      prefetch: 10,
      async onBatch(batch, lane) {
        for (const message of batch) {
          await sleep(50)
          await lane.settle([message])
        }
      },
    })
    await until('it has its lanes', () => consumer.lanes.length === 4)
    const idleUntil = performance.now() + 2 * timeoutMs + 2_000
    await until('twice the timeout has passed', () => performance.now() > idleUntil, 20_000)
    expect([consumer.lanes.length, consumer.owned.length]).toEqual([4, 4])
    const messages = world.messages(300, 20)
    await world.publish(transport, messages)
    await until('all arrived', () => consumer.received.length >= 300, 30_000)
    expect(idsOf(consumer.received).toSorted()).toEqual(idsOf(messages).toSorted())
    expect([consumer.lanes.length, problems]).toEqual([4, []])
    await consumer.stop()
  }, 60_000)

  it('says what happened to a message that is settled too late', async () => {
    const { world, problems } = openWorld(1)
    const transport = await world.open()
    const consumer = consume(world, transport, { onBatch: async () => {} })
    await world.publish(transport, world.messages(1, 1))
    await until('its lane is lost', () => consumer.lanes[0]?.lost.aborted === true, 15_000)
    expect(problems[0]).toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/cannot keep lane .*consumer_timeout of 2.5 s/),
      hint: expect.stringContaining('prefetch'),
    })
    expect(String(consumer.lanes[0]?.lost.reason)).toContain('acknowledgement')
    await consumer.stop()
  }, 40_000)
})
