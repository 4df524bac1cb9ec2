import { expect, it } from 'vitest'
import { consume, createWorld, idsOf, type Setup, until } from './world.ts'

export function groups(setup: Setup): void {
  const { capabilities } = setup

  it('gives every group all messages, whatever another one does', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const stuck = consume(world, transport, { group: `${world.group}.stuck`, prefetch: 1, onBatch: async () => {} })
    const swift = consume(world, transport, { group: `${world.group}.swift` })
    await until('both have lanes', () => stuck.lanes.length === 4 && swift.lanes.length === 4)
    const messages = world.messages(300, 10)
    await world.publish(transport, messages)
    await until('the swift one has all', () => swift.received.length >= 300)
    expect(idsOf(swift.received).toSorted()).toEqual(idsOf(messages).toSorted())
    expect(stuck.received.length).toBeLessThanOrEqual(4)
    await Promise.all([stuck.stop(), swift.stop()])
  })

  it.skipIf(!capabilities.history)('starts a new group at the earliest message or after the latest', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const before = world.messages(8, 4)
    await world.publish(transport, before)
    await setup.settled?.()
    const latest = consume(world, transport, { group: `${world.group}.latest`, start: 'latest' })
    await until('latest has its lanes', () => latest.lanes.length === 4)
    const earliest = consume(world, transport, { group: `${world.group}.earliest`, start: 'earliest' })
    const after = world.messages(4, 4)
    await world.publish(transport, after)
    await until('both have what came later', () => earliest.received.length >= 12 && latest.received.length >= 4)
    expect(idsOf(latest.received).toSorted()).toEqual(idsOf(after).toSorted())
    expect(idsOf(earliest.received).toSorted()).toEqual(idsOf([...before, ...after]).toSorted())
    await Promise.all([latest.stop(), earliest.stop()])
  })

  it('goes on where the group stopped, also over a new connection', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const first = consume(world, transport)
    await world.publish(transport, world.messages(20, 4))
    await until('the first has all', () => first.received.length === 20)
    await first.stop()
    const later = world.messages(8, 4)
    await world.publish(transport, later)
    const second = consume(world, await world.open(), { start: 'latest' })
    await until('the second has the rest', () => second.received.length >= 8)
    expect(idsOf(second.received).toSorted()).toEqual(idsOf(later).toSorted())
    await second.stop()
  })

  it('hands out every wanted message among unwanted ones, and lets none of them hold the group back', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const wanted = world.messages(10, 5)
    const unwanted = world.messages(50, 5).map((message) => ({
      ...message,
      headers: { ...message.headers, 'ce-type': `${world.type}.elsewhere` },
    }))
    const consumer = consume(world, transport)
    await world.publish(transport, [...unwanted.slice(0, 25), ...wanted, ...unwanted.slice(25)])
    await until('the wanted ones arrived', () => wanted.every(({ id }) => idsOf(consumer.received).includes(id)))
    await until('nothing lags', async () => {
      const { groups } = await transport.inspect([world.topic])
      return groups.find(({ group }) => group === world.group)?.lagMessages === 0
    })
    const order = idsOf(consumer.received.filter(({ headers }) => headers['ce-type'] === world.type))
    expect(order.toSorted()).toEqual(idsOf(wanted).toSorted())
    await consumer.stop()
  })

  it('tells lag, age and members of a group', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const state = async () => (await transport.inspect([world.topic])).groups.find(({ group }) => group === world.group)
    expect(await state()).toBeUndefined()
    const held = consume(world, transport, { onBatch: async () => {} })
    await until('it has its lanes', () => held.lanes.length === 4)
    await world.publish(transport, world.messages(12, 12))
    await until('it lags', async () => ((await state())?.lagMessages ?? 0) > 0)
    expect(await state()).toMatchObject({ topic: world.topic, members: 1 })
    expect((await state())?.oldestAgeMs).toBeGreaterThanOrEqual(0)
    await held.stop()
    const consumer = consume(world, transport)
    await until('nothing lags', async () => (await state())?.lagMessages === 0)
    expect((await state())?.oldestAgeMs).toBeUndefined()
    await consumer.stop()
  })
}
