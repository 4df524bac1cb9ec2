import { expect, it } from 'vitest'
import { consume, createWorld, type Setup, until } from './world.ts'

export function removing(setup: Setup): void {
  it.skipIf(!setup.capabilities.removes)(
    'removes a topic with all that belongs to it, once is as good as twice, and nothing of another topic',
    async () => {
      const world = createWorld(setup)
      const other = createWorld(setup)
      const transport = await world.open()
      await transport.ensure([{ name: other.topic, lanes: 4 }], 'create')
      const consumer = consume(world, transport)
      await until('it has its lanes', () => consumer.owned.length === 4)
      await world.publish(transport, world.messages(10, 4))
      await until('it has all', () => consumer.received.length === 10)
      await consumer.stop()
      await transport.remove?.([world.topic])
      await transport.remove?.([world.topic])
      const checked = await transport.ensure(
        [
          { name: world.topic, lanes: 4 },
          { name: other.topic, lanes: 4 },
        ],
        'check',
      )
      expect(checked).toMatchObject([{ topic: world.topic, problem: 'missing' }])
      await transport.ensure([{ name: world.topic, lanes: 2 }], 'create')
      const { topics, groups } = await transport.inspect([world.topic])
      expect(topics.reduce((sum, { messages }) => sum + messages, 0)).toBe(0)
      expect(groups).toEqual([])
      await transport.remove?.([world.topic, other.topic])
    },
  )
}
