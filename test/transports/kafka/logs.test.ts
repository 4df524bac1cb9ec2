import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import { formatNote, parseNote } from '../../../src/transports/kafka/offsets.ts'
import { noSuspicion } from '../../../src/transports/suspicion.ts'
import { type PrivateKafka, startPrivateKafka } from '../../setup/private-kafka.ts'
import { consume, createWorld, until } from '../conformance/world.ts'

let kafka: PrivateKafka
beforeAll(async () => {
  kafka = await startPrivateKafka()
}, 120_000)
afterAll(() => kafka?.stop())

const worldOf = (lanes: number) =>
  createWorld({ open: () => openKafka(kafka.url), capabilities: kafkaCapabilities }, lanes)

describe('two logs on one topic', () => {
  it('are handed out whole, and what one of them repeats is dropped, also by the next owner', async () => {
    const world = worldOf(1)
    const transport = await world.open()
    const entry = (logId: string, n: number) => world.message('s/1', n, { log: BigInt(n), logId })
    const entries = (logId: string, from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => entry(logId, from + i))
    const came = (received: readonly { logId?: string; log?: bigint }[]) => received.map((m) => `${m.logId}@${m.log}`)
    const first = consume(world, transport)
    await world.publish(transport, entries('store-a/out', 11, 20))
    await world.publish(transport, entries('store-b/out', 1, 3))
    await world.publish(
      transport,
      [4, 5, 6].flatMap((n) => [entry('store-b/out', n), entry('store-a/out', n + 17)]),
    )
    // A leader came back: both repeat.
    await world.publish(transport, entries('store-a/out', 15, 24))
    await world.publish(transport, entries('store-b/out', 2, 7))
    await until('the last arrived', () => came(first.received).includes('store-b/out@7'))
    const whole = [
      ...entries('store-a/out', 11, 20),
      ...entries('store-b/out', 1, 3),
      ...[4, 5, 6].flatMap((n) => [entry('store-b/out', n), entry('store-a/out', n + 17)]),
      entry('store-a/out', 24),
      entry('store-b/out', 7),
    ]
    expect(came(first.received)).toEqual(came(whole))
    await first.stop()
    await world.publish(transport, [...entries('store-a/out', 20, 25), ...entries('store-b/out', 5, 8)])
    const second = consume(world, transport)
    await until('the new ones arrived', () => second.received.length >= 2)
    expect(came(second.received)).toEqual(['store-a/out@25', 'store-b/out@8'])
    await second.stop()
  })
})

describe('events of a log without a key', () => {
  it('are all handed out when one in their midst was refused and the rest is repeated', async () => {
    const world = worldOf(4)
    const transport = await world.open()
    const batch = Array.from({ length: 30 }, (_, i) =>
      world.message(null, i, {
        log: BigInt(i + 1),
        logId: 'store-a/out',
        ...(i === 13 && { body: Buffer.alloc(5 * 1024 * 1024) }),
      }),
    )
    const consumer = consume(world, transport)
    const signal = AbortSignal.timeout(20_000)
    // As the relay does it: what was not stored again, without what is refused for good.
    const results = await transport.publish(world.topic, batch, signal)
    const left = batch.filter((_, i) => results[i]?.state !== 'stored')
    expect(left.length).toBeGreaterThan(1)
    await world.publish(
      transport,
      left.filter(({ log }) => log !== 14n),
    )
    await until('all arrived', () => consumer.received.length >= 29)
    expect(new Set(consumer.received.map(({ log }) => log)).size).toBe(29)
    await consumer.stop()
  }, 60_000)
})

describe('the note of a commit', () => {
  it.each([
    new Map([['', 7n]]),
    new Map([
      ['3f2a/orders', 7n],
      ['', 9n],
      ['a b@=%/é', 2n ** 62n],
    ]),
    new Map(),
  ])('has the last position of each log: %o', (logs) => {
    const note = { logs, started: 5n, suspicion: noSuspicion, topicId: 'a'.repeat(32), partitions: 3 }
    expect(parseNote(formatNote(note, 5n), 5n)).toEqual(note)
  })

  it('has what was handed out and what is suspect, as long as it is not settled', () => {
    const note = { logs: new Map(), started: 9n, suspicion: { suspectTo: 12n, guilty: 9n, deaths: 3 }, partitions: 1 }
    expect(formatNote(note, 8n)).toBe('evt partitions=1 started=9 suspects=12 guilty=9*3')
    expect(parseNote(formatNote(note, 8n), 8n)).toEqual(note)
    expect(formatNote(note, 9n)).toBe('evt partitions=1 suspects=12')
    expect(formatNote(note, 12n)).toBe('evt partitions=1')
  })

  it('is read as earlier versions and others wrote it', () => {
    const nothing = { started: 7n, suspicion: noSuspicion }
    const logs = new Map([['', 5n]])
    expect(parseNote('evt log=5 partitions=2', 7n)).toEqual({ ...nothing, logs, partitions: 2 })
    expect(parseNote('somebody else', 7n)).toEqual({ ...nothing, logs: new Map() })
  })

  it('stays below what Kafka takes', () => {
    const logs = new Map(Array.from({ length: 50 }, (_, i) => [`${i}`.repeat(400), BigInt(i)]))
    const far = 2n ** 62n
    const suspicion = { suspectTo: far, guilty: far, deaths: 1_000_000 }
    const note = { logs, started: far, suspicion, topicId: 'a'.repeat(32), partitions: 100_000 }
    expect(formatNote(note, 0n).length).toBeLessThan(4_000)
  })
})
