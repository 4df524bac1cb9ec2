import { expect, it } from 'vitest'
import { consume, counted, createWorld, idsOf, type Setup, sequences, until } from './world.ts'

export function order(setup: Setup): void {
  it.skipIf(setup.capabilities.order !== 'per-key')(
    'hands out the messages of one key in the order of publishing',
    async () => {
      const world = createWorld(setup)
      const transport = await world.open()
      const consumer = consume(world, transport, { max: 7 })
      const messages = world.messages(600, 12)
      for (let i = 0; i < messages.length; i += 50) await world.publish(transport, messages.slice(i, i + 50))
      await until('all arrived', () => consumer.received.length >= messages.length)
      for (const sequence of sequences(consumer.received).values()) expect(sequence).toEqual(counted(50))
      await consumer.stop()
    },
  )

  it.skipIf(setup.capabilities.order !== 'per-key')('keeps one key to one lane', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const laneOf = new Map<string | null, Set<string>>()
    const consumer = consume(world, transport, {
      async onBatch(batch, lane) {
        for (const { key } of batch) laneOf.set(key, (laneOf.get(key) ?? new Set()).add(lane.id))
        await lane.settle(batch)
      },
    })
    await world.publish(transport, world.messages(200, 20))
    await until('all arrived', () => consumer.received.length >= 200)
    expect([...laneOf.values()].map((lanes) => lanes.size)).toEqual(Array(20).fill(1))
    expect(new Set([...laneOf.values()].flatMap((lanes) => [...lanes])).size).toBeGreaterThan(1)
    await consumer.stop()
  })

  it.skipIf(setup.capabilities.order !== 'per-key')(
    'keeps the order of ten thousand keys, and each message once',
    async () => {
      const world = createWorld(setup)
      const transport = await world.open()
      const consumer = consume(world, transport, { max: 500, prefetch: 1_000 })
      const messages = world.messages(20_000, 10_000)
      for (let i = 0; i < messages.length; i += 1_000) await world.publish(transport, messages.slice(i, i + 1_000))
      await until('all arrived', () => consumer.received.length >= messages.length, 50_000)
      const inOrder = [...sequences(consumer.received).values()].filter(([one, two, ...rest]) => {
        return one === 1 && two === 2 && rest.length === 0
      })
      expect(inOrder.length).toBe(10_000)
      await consumer.stop()
    },
    60_000,
  )

  it('hands out messages without a key too, each once', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const consumer = consume(world, transport)
    const messages = Array.from({ length: 40 }, (_, n) => world.message(null, { key: 0, n }))
    await world.publish(transport, messages)
    await until('all arrived', () => consumer.received.length >= 40)
    expect(idsOf(consumer.received).toSorted()).toEqual(idsOf(messages).toSorted())
    expect(consumer.received.every(({ key }) => key === null)).toBe(true)
    await consumer.stop()
  })

  it('names a position that differs from message to message', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await world.publish(transport, world.messages(20, 4))
    await until('all arrived', () => consumer.received.length >= 20)
    expect(new Set(consumer.received.map(({ at, key }) => `${key} ${at}`)).size).toBe(20)
    await consumer.stop()
  })
}
