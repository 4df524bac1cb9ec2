import { expect, it } from 'vitest'
import type { Lane, Received } from '../../../src/transports/transport.ts'
import { never } from './waiting.ts'
import {
  consume,
  counted,
  createWorld,
  type Doomed,
  firstLanes,
  idsOf,
  means,
  type Setup,
  sequences,
  takeExactly,
  until,
  type World,
} from './world.ts'

/** Fails as soon as two members hold messages of one key at the same time. */
function createHolders() {
  const holders = new Map<string | null, { member: string; count: number }>()
  const clashes: string[] = []
  return {
    clashes,
    hold: (member: string, onHeld: () => Promise<unknown>) => async (batch: readonly Received[], lane: Lane) => {
      for (const { key } of batch) {
        const held = holders.get(key) ?? { member, count: 0 }
        if (held.count > 0 && held.member !== member) clashes.push(`${key}: ${held.member} and ${member}`)
        holders.set(key, { member, count: held.count + 1 })
      }
      await onHeld()
      for (const { key } of batch) {
        const held = holders.get(key)
        if (held) holders.set(key, { ...held, count: held.count - 1 })
      }
      await lane.settle(batch)
    },
  }
}

const tick = () => new Promise((resolve) => setImmediate(resolve))

async function doom(world: World, take: number, settle: number, suspects = 1): Promise<Doomed> {
  const { signal: _, ...options } = world.options({ member: 'doomed', suspects })
  return means(world.setup, 'doom')({ topic: world.topic, group: world.group, options, take, settle })
}

export function ownership(setup: Setup): void {
  const { capabilities } = setup

  it.skipIf(!capabilities.shared)('shares lanes among members; no key is ever held by two at once', async () => {
    const world = createWorld(setup)
    const [one, two] = [await world.open(), await world.open()]
    const holders = createHolders()
    const first = consume(world, one, { member: 'm1', max: 5, onBatch: holders.hold('m1', tick) })
    await until('m1 has all lanes', () => first.owned.length === 4)
    const messages = world.messages(900, 30)
    await world.publish(one, messages.slice(0, 300))
    const second = consume(world, two, { member: 'm2', max: 5, onBatch: holders.hold('m2', tick) })
    await until('both have two lanes', () => first.owned.length === 2 && second.owned.length === 2)
    await world.publish(two, messages.slice(300, 600))
    await first.stop()
    await until('m2 has all lanes', () => second.owned.length === 4)
    await world.publish(two, messages.slice(600))
    await until('all arrived', () => first.received.length + second.received.length >= messages.length)
    expect(holders.clashes).toEqual([])
    for (const n of sequences([...first.received, ...second.received]).values()) expect(n).toEqual(counted(30))
    await second.stop()
  })

  it.skipIf(!capabilities.shared)('waits for what is unsettled before it moves a lane to a new member', async () => {
    const world = createWorld(setup)
    const [one, two] = [await world.open(), await world.open()]
    const held: { batch: readonly Received[]; lane: Lane }[] = []
    const first = consume(world, one, { member: 'm1', onBatch: async (batch, lane) => void held.push({ batch, lane }) })
    const messages = world.messages(40, 40)
    await world.publish(one, messages)
    await until('m1 holds all', () => first.received.length === 40)
    const second = consume(world, two, { member: 'm2' })
    await never('m2 gets a lane', () => second.lanes.length > 0, 1_200)
    for (const { batch, lane } of held) await lane.settle(batch)
    await until('both have two lanes', () => first.owned.length === 2 && second.owned.length === 2)
    expect(second.received).toEqual([])
    await Promise.all([first.stop(), second.stop()])
  })

  it.skipIf(!capabilities.shared)('leaves a member without lanes when there are more members than lanes', async () => {
    const world = createWorld(setup, 2)
    const members = [await world.open(), await world.open(), await world.open()]
    const consumers = members.map((transport, i) => consume(world, transport, { member: `m${i}` }))
    const owned = () => consumers.map((consumer) => consumer.owned.length)
    await until('two of three have one', () => owned().toSorted().join() === '0,1,1')
    const owner = consumers.findIndex((consumer) => consumer.owned.length === 1)
    await consumers[owner]?.stop()
    await until('the third steps in', () => owned().filter((count) => count === 1).length === 2)
    await Promise.all(consumers.map((consumer) => consumer.stop()))
  })

  it.skipIf(!capabilities.shared)('grows the epoch of a lane with every owner', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    let last = new Map<string, bigint>()
    for (let round = 0; round < 3; round++) {
      const consumer = consume(world, transport, { member: `m${round}` })
      await until('it has all lanes', () => consumer.owned.length === 4)
      const epochs = new Map(consumer.lanes.map((lane) => [lane.id, lane.epoch]))
      for (const [id, epoch] of epochs) expect(epoch).toBeGreaterThan(last.get(id) ?? -1n)
      last = epochs
      await consumer.stop()
    }
  })

  // From here on most of the time is the silence after which a member is dead: they wait for it together.
  it.skipIf(!capabilities.shared).concurrent(
    "moves a dead member's lane within seconds, in order and with a higher epoch",
    async () => {
      const world = createWorld(setup, 1)
      const transport = await world.open()
      const messages = world.messages(20, 1)
      await world.publish(transport, messages)
      const doomed = await doom(world, 10, 4)
      expect(idsOf(doomed.taken)).toEqual(idsOf(messages.slice(0, 10)))
      const heir = consume(world, transport, { member: 'heir' })
      await doomed.kill()
      await until('the heir has the rest', () => heir.received.some(({ id }) => id === messages[19]?.id), 10_000)
      const ids = idsOf(heir.received)
      expect(ids).toEqual(idsOf(messages.slice(messages.length - ids.length)))
      expect(ids.length).toBeGreaterThanOrEqual(16)
      expect(heir.lanes[0]?.epoch).toBeGreaterThan(1n)
      await heir.stop()
    },
  )

  it.skipIf(!capabilities.marksStarted).concurrent(
    'hands out what a dead owner may have started alone and with its deliveries counted; nothing else',
    async () => {
      const world = createWorld(setup, 1)
      const transport = await world.open()
      const messages = world.messages(12, 1)
      await world.publish(transport, messages)
      for (let death = 1; death <= 2; death++) {
        const doomed = await doom(world, 3, 0)
        const expected = death === 1 ? [1, 1, 1] : [2]
        expect(doomed.taken.map(({ deliveries }) => deliveries)).toEqual(expected)
        await doomed.kill()
      }
      const sizes: number[] = []
      const heir = consume(world, transport, {
        async onBatch(batch, lane) {
          sizes.push(batch.length)
          await lane.settle(batch)
        },
      })
      await until('the heir has all', () => heir.received.length === 12)
      expect(heir.received.map(({ deliveries }) => deliveries)).toEqual([3, 2, 2, ...Array(9).fill(1)])
      expect(sizes.slice(0, 3)).toEqual([1, 1, 1])
      await heir.stop()
    },
  )

  it.skipIf(!capabilities.marksStarted).concurrent(
    'hands out together what one dead owner may have started where a member says so, and alone what two had in hand',
    async () => {
      const world = createWorld(setup, 1)
      const transport = await world.open()
      const messages = world.messages(12, 1)
      await world.publish(transport, messages)
      await (await doom(world, 6, 0)).kill()
      const second = await doom(world, 4, 0, 4)
      expect(second.taken.map(({ deliveries }) => deliveries)).toEqual([2, 2, 2, 2])
      await second.kill()
      const batches: (readonly Received[])[] = []
      const heir = consume(world, transport, {
        suspects: 4,
        async onBatch(batch, lane) {
          batches.push(batch)
          await lane.settle(batch)
        },
      })
      await until('the heir has all', () => heir.received.length === 12)
      expect(idsOf(heir.received)).toEqual(idsOf(messages))
      const counts = batches.map((batch) => batch.map(({ deliveries }) => (deliveries > 2 ? 'alone' : deliveries)))
      expect(counts.slice(0, 4)).toEqual(Array(4).fill(['alone']))
      expect(counts.slice(4).flat()).toEqual([2, 2, ...Array(6).fill(1)])
      for (const batch of counts.slice(4)) expect(new Set(batch).size).toBe(1)
      await heir.stop()
    },
  )

  // Where ids are known again, and in the log, where one id is one event, none comes a second time.
  it.skipIf(!capabilities.marksStarted || capabilities.deduplicates || capabilities.content === 'events').concurrent(
    'forgets what was settled: an id that comes again begins anew, and one death counts once',
    async () => {
      const world = createWorld(setup, 1)
      const transport = await world.open()
      const messages = world.messages(1, 1)
      const take = async (lane?: Lane) => (lane === undefined ? [] : takeExactly(lane, 1))
      for (let pass = 0; pass < 3; pass++) {
        await world.publish(transport, messages)
        const [lane] = await firstLanes(world, transport, 1)
        const taken = await take(lane)
        expect(taken.map(({ deliveries }) => deliveries)).toEqual([1])
        await lane?.settle(taken)
        await lane?.release()
      }
      await world.publish(transport, messages)
      const doomed = await doom(world, 1, 0)
      expect(doomed.taken.map(({ deliveries }) => deliveries)).toEqual([1])
      await doomed.kill()
      const [heir] = await firstLanes(world, transport, 1)
      expect((await take(heir)).map(({ deliveries }) => deliveries)).toEqual([2])
    },
  )

  it.skipIf(!capabilities.shared || !capabilities.durable).concurrent(
    'fences a member that was stopped and goes on later',
    async () => {
      const world = createWorld(setup, 1)
      const transport = await world.open()
      const messages = world.messages(10, 1)
      await world.publish(transport, messages)
      const doomed = await doom(world, 6, 0)
      if (doomed.freeze === undefined || doomed.thaw === undefined) throw new Error('its members cannot be frozen')
      doomed.freeze()
      const held: Received[] = []
      const heir = consume(world, transport, {
        member: 'heir',
        onBatch: async (batch) => void held.push(...batch),
      })
      await until('the heir has the first', () => held.length > 0, 15_000)
      expect(await doomed.thaw()).toEqual({ lost: 1 })
      // It is a member again, and would compete for the lane.
      await doomed.kill()
      await heir.stop()
      const next = consume(world, transport, { member: 'next' })
      await until('all come again', () => next.received.length === 10)
      expect(idsOf(next.received)).toEqual(idsOf(messages))
      await next.stop()
    },
    40_000,
  )
}
