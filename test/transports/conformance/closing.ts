import { expect, it } from 'vitest'
import { consume, createWorld, firstLanes, idsOf, type Setup, takeExactly, until } from './world.ts'

const forever = () => new AbortController().signal

export function closing(setup: Setup): void {
  it('has the methods that its capabilities declare, and no others of these', async () => {
    const { capabilities } = setup
    const transport = await createWorld(setup).open()
    expect(transport.capabilities).toEqual(capabilities)
    expect({
      transactional: transport.settleIn !== undefined,
      ownMark: transport.openLog !== undefined,
      deadLetters: transport.deadLetters !== undefined,
      removes: transport.remove !== undefined,
    }).toEqual({
      transactional: capabilities.transactional,
      ownMark: capabilities.ownMark,
      deadLetters: capabilities.deadLetters,
      removes: capabilities.removes,
    })
  })

  it('closes twice without harm, and refuses to publish afterwards', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    await Promise.all([transport.close(), transport.close()])
    await transport.close()
    const late = transport.publish(world.topic, world.messages(1, 1), forever())
    await expect(late).rejects.toMatchObject({ code: 'closed' })
  })

  it('ends a blocked observe when it closes', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const selector = { topics: [world.topic], patterns: [world.type] }
    const observed = transport.observe(selector, { from: 'now', follow: true, signal: forever() })
    const next = observed[Symbol.asyncIterator]().next()
    await transport.close()
    expect((await next).done).toBe(true)
  })
}

export function closingLanes(setup: Setup): void {
  it('ends blocked takes and the iteration of lanes when it closes', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const consumer = consume(world, transport, { signal: forever() })
    await until('it has its lanes', () => consumer.lanes.length === 4)
    await transport.close()
    await consumer.done
    expect(consumer.owned).toEqual([])
  })

  it('leaves no lane to a member that went away while it was getting more', async () => {
    for (let round = 0; round < 3; round++) {
      const world = createWorld(setup, 16)
      const [one, other] = [await world.open(), await world.open()]
      // It ends its iteration at the first lane, on the way to the others.
      const [lane] = await firstLanes(world, one, 1)
      await lane?.release()
      const consumer = consume(world, other, { member: 'm2' })
      await until('the one that stays has all', () => consumer.owned.length === 16)
      await consumer.stop()
    }
  })

  it('ends the iteration of lanes with its signal; lanes in hand work until they are released', async () => {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    const [lane] = await firstLanes(world, transport, 1)
    if (lane === undefined) throw new Error('no lane')
    const messages = world.messages(3, 1)
    await world.publish(transport, messages)
    const taken = await takeExactly(lane, 3)
    expect(idsOf(taken)).toEqual(idsOf(messages))
    await lane.settle(taken)
    await lane.release()
  })

  it.skipIf(!setup.capabilities.shared)('gives its lanes to others when it closes, and not as started', async () => {
    const world = createWorld(setup, 1)
    const [one, two] = [await world.open(), await world.open()]
    const messages = world.messages(6, 1)
    await world.publish(one, messages)
    const [lane] = await firstLanes(world, one, 1)
    const taken = lane && (await takeExactly(lane, 4))
    await lane?.settle(taken?.slice(0, 2) ?? [])
    await one.close()
    const heir = consume(world, two, { member: 'm2' })
    await until('the heir has the rest', () => heir.received.length >= 4)
    expect(idsOf(heir.received)).toEqual(idsOf(messages.slice(2)))
    if (setup.capabilities.marksStarted) expect(heir.received.every(({ deliveries }) => deliveries === 1)).toBe(true)
    await heir.stop()
  })
}
