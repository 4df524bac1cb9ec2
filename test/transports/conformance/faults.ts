import { expect, it } from 'vitest'
import type { Message } from '../../../src/transports/transport.ts'
import { consume, createWorld, idsOf, means, type Setup, sequences, until, type World } from './world.ts'

/** Publishes again what was not confirmed: after a fault the outcome of a publish may be unknown. */
async function publishStubbornly(world: World, messages: readonly Message[]): Promise<void> {
  const transport = await world.open()
  await until('it is confirmed', async () => {
    const results = await transport.publish(world.topic, messages, AbortSignal.timeout(5_000)).catch(() => [])
    return results.length > 0 && results.every(({ state }) => state === 'stored' || state === 'duplicate')
  })
}

async function survives(world: World, fault: () => Promise<void>): Promise<void> {
  const transport = await world.open()
  const consumer = consume(world, transport, { max: 10 })
  const [before, after] = [world.messages(100, 5), world.messages(100, 5)]
  await world.publish(transport, before)
  await until('it is under way', () => consumer.received.length >= 10)
  await fault()
  await publishStubbornly(world, after)
  const all = idsOf([...before, ...after])
  await until('all arrived', () => new Set(idsOf(consumer.received)).size === all.length, 25_000)
  // At least once: what was unsettled may come twice, but a key never goes back behind what was settled.
  for (const sequence of sequences(consumer.received).values()) expect(new Set(sequence).size).toBe(20)
  await consumer.stop()
}

export function faults(setup: Setup): void {
  // What keeps nothing outside this process has no server to lose.
  const { durable } = setup.capabilities

  it.skipIf(!durable)(
    'goes on after every connection was cut',
    async () => {
      const world = createWorld(setup)
      await survives(world, means(setup, 'disconnect'))
    },
    60_000,
  )

  it.skipIf(!durable)(
    'keeps whatever it called stored when the server is killed in the middle of publishing',
    async () => {
      const restart = means(setup, 'restart')
      const world = createWorld(setup)
      const transport = await world.open()
      const consumer = consume(world, transport, { max: 50 })
      await world.publish(transport, world.messages(1, 1))
      await until('it consumes', () => consumer.received.length > 0)
      const stored = new Set<string>()
      let over = false
      const publishing = (async () => {
        while (!over) {
          const batch = world.messages(100, 10)
          const results = await transport.publish(world.topic, batch, AbortSignal.timeout(2_000)).catch(() => [])
          for (const [i, { state }] of results.entries()) if (state === 'stored') stored.add(batch[i]?.id ?? '')
          // Also where it is refused at once, as it is when the test has failed and its transport is closed.
          if (results.length < batch.length || results.some(({ state }) => state !== 'stored'))
            await new Promise((resolve) => setTimeout(resolve, 20))
        }
      })()
      try {
        await until('it publishes', () => stored.size > 500)
        await restart()
        const before = stored.size
        await until('it publishes again', () => stored.size > before + 500, 20_000)
      } finally {
        over = true
        await publishing
      }
      const isAllThere = () => {
        const arrived = new Set(idsOf(consumer.received))
        return [...stored].every((id) => arrived.has(id))
      }
      await until('all that was stored arrived', isAllThere, 25_000)
      await consumer.stop()
    },
    90_000,
  )

  it.skipIf(!durable)(
    'goes on after the server was killed and started again',
    async () => {
      const world = createWorld(setup)
      await survives(world, means(setup, 'restart'))
    },
    60_000,
  )
}
