import { expect, it } from 'vitest'
import type { ObserveOptions, Received, Transport } from '../../../src/transports/transport.ts'
import { consume, createWorld, idsOf, type Setup, until, type World } from './world.ts'

function observe(world: World, transport: Transport, options: Omit<ObserveOptions, 'signal'>) {
  const seen: Received[] = []
  const stopping = new AbortController()
  const selector = { topics: [world.topic], patterns: [world.type] }
  const run = async () => {
    for await (const batch of transport.observe(selector, { ...options, signal: stopping.signal })) seen.push(...batch)
  }
  const done = run()
  done.catch(() => {})
  const stop = () => {
    stopping.abort()
    return done
  }
  return { seen, done, stop }
}

export function observing(setup: Setup): void {
  const { history } = setup.capabilities

  it.skipIf(!history)('shows what is there, then ends, when it is not asked to follow', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const messages = world.messages(30, 3)
    await world.publish(transport, messages)
    const observer = observe(world, transport, { from: 'start', follow: false })
    await observer.done
    expect(idsOf(observer.seen).toSorted()).toEqual(idsOf(messages).toSorted())
  })

  it('follows: what is published later is shown, and the end of its signal ends it', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    await world.publish(transport, world.messages(5, 1))
    await setup.settled?.()
    const observer = observe(world, transport, { from: 'now', follow: true })
    const sent: string[] = []
    await until('it sees something', async () => {
      const [message] = world.messages(1, 1)
      if (message) sent.push(message.id)
      if (message) await world.publish(transport, [message])
      return observer.seen.length > 2
    })
    await observer.stop()
    expect(sent).toEqual(expect.arrayContaining(idsOf(observer.seen)))
  })

  it.skipIf(!history)('starts at a position or at a time', async () => {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    await world.publish(transport, world.messages(5, 1))
    const all = observe(world, transport, { from: 'start', follow: false })
    await all.done
    const third = all.seen[2]
    const some = observe(world, transport, { from: { position: third?.at ?? '' }, follow: false })
    const recent = observe(world, transport, { from: { timeMs: Date.now() - 60_000 }, follow: false })
    const none = observe(world, transport, { from: { timeMs: Date.now() + 60_000 }, follow: false })
    await Promise.all([some.done, recent.done, none.done])
    expect(idsOf(some.seen)).toEqual(idsOf(all.seen.slice(2)))
    expect([recent.seen.length, none.seen.length]).toEqual([5, 0])
  })

  it('leaves the server as it found it', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    await world.publish(transport, world.messages(20, 4))
    await setup.settled?.()
    const asker = await world.open()
    const before = await asker.footprint?.([world.topic])
    if (before !== undefined) expect(Object.keys(before).length).toBeGreaterThan(0)
    const observer = observe(
      world,
      transport,
      history ? { from: 'start', follow: true } : { from: 'now', follow: true },
    )
    if (history) await until('it sees all', () => observer.seen.length >= 20)
    await observer.stop()
    await until('nothing is left', async () => {
      const after = await asker.footprint?.([world.topic])
      return JSON.stringify(after) === JSON.stringify(before)
    })
  })

  it.skipIf(!history)('leaves no trace: groups are as they were, and get everything', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const messages = world.messages(20, 4)
    await world.publish(transport, messages)
    const mine = async () =>
      (await transport.inspect([world.topic])).groups.filter(({ group }) => group === world.group)
    const before = await mine()
    const observer = observe(world, transport, { from: 'start', follow: false })
    await observer.done
    expect(await mine()).toEqual(before)
    if (transport.lanes === undefined) return
    const consumer = consume(world, transport)
    await until('the group has all', () => consumer.received.length >= 20)
    expect(consumer.received.every(({ deliveries }) => deliveries === 1)).toBe(true)
    await consumer.stop()
  })
}
