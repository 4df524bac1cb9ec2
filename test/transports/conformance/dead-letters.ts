import { expect, it } from 'vitest'
import type { Burial, BuriedMessage, DeadLetterTopics, Received } from '../../../src/transports/transport.ts'
import { consume, createWorld, firstLanes, idsOf, means, type Setup, takeExactly, until, type World } from './world.ts'

const signal = () => AbortSignal.timeout(10_000)

async function dead(world: World, letters: DeadLetterTopics): Promise<readonly BuriedMessage[]> {
  const found: BuriedMessage[] = []
  for await (const batch of letters.list(letters.nameOf(world.topic), signal())) found.push(...batch)
  return found
}

const burial = (world: World, message: Received): Burial => ({
  message,
  group: world.group,
  error: { class: 'TypeError', message: `cannot read ${message.id}` },
  attempts: 3,
})

export function deadLetters(setup: Setup): void {
  /** Three messages, the second and third of which were given up. */
  async function withTwoDead() {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    const letters = transport.deadLetters
    if (letters === undefined) throw new Error('no dead letters, against its capabilities')
    const messages = world.messages(3, 1)
    await world.publish(transport, messages)
    const [lane] = await firstLanes(world, transport, 1)
    const taken = lane === undefined ? [] : await takeExactly(lane, 3)
    const buried = await letters.bury(
      world.topic,
      taken.slice(1).map((message) => burial(world, message)),
      signal(),
    )
    expect(buried.map(({ state }) => state)).toEqual(['stored', 'stored'])
    await lane?.settle(taken)
    await lane?.release()
    return { world, transport, letters, messages }
  }

  it('keeps what was given up: where it came from, why, and every byte', async () => {
    const { world, letters, messages } = await withTwoDead()
    const found = await dead(world, letters)
    expect(found.map(({ message }) => message.id)).toEqual(idsOf(messages.slice(1)))
    expect(found[0]).toMatchObject({
      message: { key: 's/0', headers: messages[1]?.headers },
      origin: { topic: world.topic, group: world.group },
      error: { class: 'TypeError', message: `cannot read ${messages[1]?.id}` },
      attempts: 3,
    })
    expect(Buffer.from(found[0]?.message.body ?? [])).toEqual(Buffer.from(messages[1]?.body ?? []))
    expect(Math.abs(Date.now() - (found[0]?.deadMs ?? 0))).toBeLessThan(60_000)
    expect(new Set(found.map(({ id }) => id)).size).toBe(2)
  })

  it('is not shortened or changed by looking, thirty times', async () => {
    const { world, letters } = await withTwoDead()
    const first = await dead(world, letters)
    for (let look = 2; look <= 30; look++) expect(await dead(world, letters)).toEqual(first)
  })

  it('replays exactly those that it is told to, with their ids, and keeps the others', async () => {
    const { world, transport, letters, messages } = await withTwoDead()
    const consumer = consume(world, transport)
    const [, second] = await dead(world, letters)
    const ids = [second?.id ?? '', 'no such letter']
    const results = await letters.replay(letters.nameOf(world.topic), ids, {
      headers: { 'ce-evtreplayid': 'r1' },
      signal: signal(),
    })
    expect(results.map(({ state }) => state)).toEqual(['stored', 'refused'])
    await until('it came again', () => consumer.received.some(({ id }) => id === messages[2]?.id))
    const again = consumer.received.find(({ id }) => id === messages[2]?.id)
    expect(again).toMatchObject({ key: 's/0', headers: { ...messages[2]?.headers, 'ce-evtreplayid': 'r1' } })
    expect((await dead(world, letters)).map(({ message }) => message.id)).toEqual([messages[1]?.id])
    const repeated = await letters.replay(letters.nameOf(world.topic), [second?.id ?? ''], { signal: signal() })
    expect(repeated.map(({ state }) => state)).toEqual(['refused'])
    await consumer.stop()
  })

  it('lists nothing where nothing died', async () => {
    const world = createWorld(setup, 1)
    const letters = (await world.open()).deadLetters
    expect(letters && (await dead(world, letters))).toEqual([])
  })

  it.skipIf(!setup.capabilities.durable)(
    'keeps them when the server is killed and started again',
    async () => {
      const { world, messages } = await withTwoDead()
      await means(setup, 'restart')()
      const letters = (await world.open()).deadLetters
      expect(letters && (await dead(world, letters)).map(({ message }) => message.id)).toEqual(idsOf(messages.slice(1)))
    },
    60_000,
  )
}
