import { expect, it } from 'vitest'
import type { LogAppender, LogPosition, Message, Transport } from '../../../src/transports/transport.ts'
import { consume, counted, createWorld, idsOf, means, type Setup, sequences, until, type World } from './world.ts'

const signal = () => AbortSignal.timeout(10_000)

/** Entries of a log, at positions from `first`: what the relay hands to a sink. */
const entries = (messages: readonly Message[], first = 1): readonly (Message & { readonly log: LogPosition })[] =>
  messages.map((message, i) => ({ ...message, log: BigInt(first + i) }))

async function openLog(transport: Transport, world: World, epoch: bigint): Promise<LogAppender> {
  if (transport.openLog === undefined) throw new Error('no openLog, against its capabilities')
  return transport.openLog(world.topic, epoch)
}

const statesOf = (results: readonly { readonly state: string }[]) => results.map(({ state }) => state)

export function ownMark(setup: Setup): void {
  it('stores entries of the log once, in order, and knows how far it has the log', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const consumer = consume(world, transport)
    const log = await openLog(transport, world, 1n)
    expect(await log.mark()).toBe(0n)
    const all = entries(world.messages(100, 10))
    expect(new Set(statesOf(await log.append(all.slice(0, 60), 60n, signal())))).toEqual(new Set(['stored']))
    expect(await log.mark()).toBe(60n)
    // What a relay sends again that does not know whether it arrived.
    const again = await log.append(all.slice(40), 100n, signal())
    expect(statesOf(again)).toEqual([...Array(20).fill('duplicate'), ...Array(40).fill('stored')])
    expect(await log.mark()).toBe(100n)
    await until('all arrived', () => consumer.received.length >= 100)
    for (const sequence of sequences(consumer.received).values()) expect(sequence).toEqual(counted(10))
    const positions = new Map(all.map(({ id, log }) => [id, log]))
    expect(consumer.received.every((one) => one.log === positions.get(one.id))).toBe(true)
    await consumer.stop()
    await log.close()
  })

  it('moves its mark over what is not for this topic', async () => {
    const world = createWorld(setup)
    const log = await openLog(await world.open(), world, 1n)
    await log.append(entries(world.messages(3, 1)), 3n, signal())
    await log.append([], 5_000n, signal())
    expect(await log.mark()).toBe(5_000n)
    await log.close()
  })

  it('refuses what a former leader still sends, and keeps nothing of it', async () => {
    const world = createWorld(setup)
    const [one, other] = [await world.open(), await world.open()]
    const all = entries(world.messages(30, 6))
    const former = await openLog(one, world, 1n)
    await former.append(all.slice(0, 10), 10n, signal())
    const leader = await openLog(other, world, 2n)
    await leader.append(all.slice(10, 20), 20n, signal())
    await expect(former.append(all.slice(10), 30n, signal())).rejects.toMatchObject({ code: 'fenced' })
    expect(statesOf(await leader.append(all.slice(20), 30n, signal()))).toEqual(Array(10).fill('stored'))
    const consumer = consume(world, other)
    await until('all arrived', () => consumer.received.length >= 30)
    for (const sequence of sequences(consumer.received).values()) expect(sequence).toEqual(counted(5))
    expect(idsOf(consumer.received).toSorted()).toEqual(idsOf(all).toSorted())
    await consumer.stop()
    await Promise.all([former.close(), leader.close()])
  })

  it.skipIf(!setup.capabilities.durable)(
    'keeps its mark when the server is killed and started again, and goes on over the same appender',
    async () => {
      const world = createWorld(setup)
      const transport = await world.open()
      const log = await openLog(transport, world, 1n)
      const all = entries(world.messages(40, 8))
      await log.append(all.slice(0, 20), 20n, signal())
      await means(setup, 'restart')()
      let mark: LogPosition | undefined
      await until('it answers again', async () => {
        mark = await log.mark().catch(() => undefined)
        return mark !== undefined
      })
      expect(mark).toBe(20n)
      await log.append(all.slice(Number(mark)), 40n, signal())
      const consumer = consume(world, transport)
      await until('all arrived', () => new Set(idsOf(consumer.received)).size >= 40)
      for (const sequence of sequences(consumer.received).values()) expect(sequence).toEqual(counted(5))
      await consumer.stop()
      await log.close()
    },
    60_000,
  )
}
