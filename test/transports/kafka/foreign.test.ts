import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import type { Received } from '../../../src/transports/transport.ts'
import { findKafka } from '../../setup/broker-binaries.ts'
import { type PrivateKafka, startPrivateKafka } from '../../setup/private-kafka.ts'
import { consume, createWorld, until } from '../conformance/world.ts'

/** A Java without its compiler cannot run a source file. */
function hasCompiler(): boolean {
  const java = findKafka()?.java
  return java !== undefined && execFileSync(java, ['--list-modules']).toString().includes('jdk.compiler')
}

describe.skipIf(!hasCompiler())('what Java clients wrote (needs a JDK)', () => {
  let kafka: PrivateKafka
  beforeAll(async () => {
    kafka = await startPrivateKafka()
    const transport = await openKafka(kafka.url)
    await transport.ensure([{ name: 'java', lanes: 1 }], 'create')
    await transport.close()
    const program = fileURLToPath(new URL('java/Foreign.java', import.meta.url))
    const { java, jars } = findKafka() ?? { java: '', jars: '' }
    await promisify(execFile)(java, ['-cp', `${jars}/*`, program, `127.0.0.1:${kafka.port}`, 'java'], {
      timeout: 60_000,
    })
  }, 120_000)
  afterAll(() => kafka?.stop())

  const expected = 5 * 200 + 10 + 4

  function check(messages: readonly Received[]): void {
    const text = (message: Received | undefined) => Buffer.from(message?.body ?? []).toString()
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
      const own = messages.filter(({ key }) => key === codec)
      expect(own.map(text)).toEqual(
        Array.from({ length: 200 }, (_, i) => `${codec} ${i} ${'again and again '.repeat(i % 40)}`),
      )
    }
    expect(messages.filter(({ key }) => key === 'aborted')).toEqual([])
    expect(messages.filter(({ key }) => key === 'committed').length).toBe(10)
    expect(messages.length).toBe(expected)
    const [tombstone, odd, structured, binary] = messages.slice(-4)
    expect(tombstone).toMatchObject({ key: 'tombstone', headers: {} })
    expect([tombstone?.isTombstone, tombstone?.body.length]).toEqual([true, 0])
    expect(odd).toMatchObject({ key: 'k\\x80', headers: { odd: 'a\\xff\\xc3', null: '' }, id: `java@${odd?.at}` })
    expect([...(odd?.body ?? [])]).toEqual([0, 1, 254])
    expect(structured).toMatchObject({ id: 'from-java' })
    expect(binary).toMatchObject({
      id: 'größe 1',
      headers: { 'ce-type': 'java.happened', 'ce-id': 'gr%C3%B6%C3%9Fe%201' },
    })
  }

  it('is observed whole: every codec, no aborted transaction, no stall at markers', async () => {
    const transport = await openKafka(kafka.url)
    onTestFinished(() => transport.close())
    const seen: Received[] = []
    const options = { from: 'start', follow: false, signal: AbortSignal.timeout(20_000) } as const
    for await (const batch of transport.observe({ topics: ['ja*'], patterns: [] }, options)) seen.push(...batch)
    check(seen)
    const only: Received[] = []
    for await (const batch of transport.observe({ topics: ['java'], patterns: ['java.*'] }, options))
      only.push(...batch)
    expect(only.map(({ id }) => id)).toEqual(['from-java', 'größe 1'])
  })

  it('is consumed whole, and nothing lags behind the markers', async () => {
    const world = createWorld(
      { open: () => openKafka(kafka.url), capabilities: kafkaCapabilities, topic: () => 'java' },
      1,
    )
    const transport = await world.open()
    const consumer = consume(world, transport, { patterns: [] })
    await until('all arrived', () => consumer.received.length >= expected)
    check(consumer.received)
    await until('nothing lags', async () => {
      const { groups } = await transport.inspect(['java'])
      return groups.find(({ group }) => group === world.group)?.lagMessages === 0
    })
    await consumer.stop()
  })
})
