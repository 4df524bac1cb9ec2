import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type MemoryTransport, memoryCapabilities, openMemory } from '../../src/transports/memory/index.ts'
import { createWorld, firstLanes, idsOf, takeExactly } from './conformance/world.ts'
import { type Doomed, type DoomedPlan, describeTransport } from './conformance.ts'

const url = `memory://conformance-${randomUUID()}`
const open = async () => openMemory(url)

/** Memory has one process only: a member dies when its transport does. */
async function doom({ topic, group, options, take, settle }: DoomedPlan): Promise<Doomed> {
  const transport: MemoryTransport = await open()
  const signal = new AbortController().signal
  for await (const lane of transport.lanes?.([topic], group, { ...options, signal }) ?? []) {
    const taken = [...(await lane.take(take, signal))]
    if (taken[0]?.deliveries === 1 || options.suspects !== 1)
      while (taken.length < take) taken.push(...(await lane.take(take - taken.length, signal)))
    await lane.settle(taken.slice(0, settle))
    return { taken, kill: async () => transport.die() }
  }
  throw new Error('no lane')
}

describeTransport('memory', { open, capabilities: memoryCapabilities, doom })

describe('memory', () => {
  it('refuses what would pass its limit, and takes more when the group has settled', async () => {
    const limited = `memory://limited-${randomUUID()}?retain=10&limit=20`
    const world = createWorld({ open: async () => openMemory(limited), capabilities: memoryCapabilities }, 1)
    const transport = await world.open()
    const [lane] = await firstLanes(world, transport, 1)
    const messages = world.messages(25, 1)
    const results = await transport.publish(world.topic, messages, AbortSignal.timeout(1_000))
    expect(results.map(({ state }) => state)).toEqual([...Array(20).fill('stored'), ...Array(5).fill('refused')])
    const taken = (lane && (await takeExactly(lane, 20))) ?? []
    await lane?.settle(taken)
    await world.publish(transport, messages.slice(20))
    expect(lane && idsOf(await takeExactly(lane, 5))).toEqual(idsOf(messages.slice(20)))
  })

  it('knows types that headers carry encoded', async () => {
    const transport = openMemory('memory://')
    await transport.ensure([{ name: 'a', lanes: 1 }], 'create')
    const message = { id: '1', key: null, headers: { 'ce-type': 'gr%C3%B6%C3%9Fe.100%25' }, body: new Uint8Array() }
    const signal = AbortSignal.timeout(1_000)
    await transport.publish('a', [message], signal)
    for (const [pattern, expected] of [['größe.*', 1] as const, ['gr%C3%B6%C3%9Fe.*', 0] as const]) {
      const selector = { topics: ['a'], patterns: [pattern] }
      let seen = 0
      for await (const batch of transport.observe(selector, { from: 'start', follow: false, signal }))
        seen += batch.length
      expect(seen).toBe(expected)
    }
    await transport.close()
  })

  it('keeps topics to one transport when its URL has no name', async () => {
    const [one, two] = [openMemory('memory://'), openMemory('memory://')]
    await one.ensure([{ name: 'a', lanes: 1 }], 'create')
    expect(await one.ensure([{ name: 'a', lanes: 1 }], 'check')).toEqual([])
    expect(await two.ensure([{ name: 'a', lanes: 1 }], 'check')).toMatchObject([{ topic: 'a', problem: 'missing' }])
    await Promise.all([one.close(), two.close()])
  })

  it('names the parameter that is wrong', () => {
    expect(() => openMemory('memory://x?limit=many')).toThrow('?limit=many is not a whole number')
  })
})
