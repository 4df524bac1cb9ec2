import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { consume, createWorld, firstLanes, idsOf, means, type Setup, takeExactly, until } from './world.ts'

export function publishing(setup: Setup): void {
  const { capabilities } = setup

  it('publishes an empty batch as nothing', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    expect(await transport.publish(world.topic, [], AbortSignal.timeout(5_000))).toEqual([])
  })

  it('answers an aborted publish with unknown for each message, and does not throw', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const results = await transport.publish(world.topic, world.messages(3, 1), AbortSignal.abort())
    expect(results.map(({ state }) => state)).toEqual(['unknown', 'unknown', 'unknown'])
  })

  it('keeps id, key, headers and body', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const sent = world.message('s/ü 1', { text: 'grüße \u{1f600}', nested: [1, null, true] })
    await world.publish(transport, [sent])
    const consumer = consume(world, transport)
    await until('it arrives', () => consumer.received.length === 1)
    const [got] = consumer.received
    expect(got).toMatchObject({ id: sent.id, key: sent.key, topic: world.topic, deliveries: 1 })
    expect(got?.headers).toMatchObject(sent.headers)
    expect(JSON.parse(Buffer.from(got?.body ?? []).toString())).toEqual(JSON.parse(Buffer.from(sent.body).toString()))
    await consumer.stop()
  })

  it('keeps keys and headers that are no plain words', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const keys = ['a b', '{a}:{b}', '\'"\\%s%', 'x'.repeat(255), 'line\r\nbreak', '*.#', '漢字', '__proto__', ' ', '0']
    const messages = keys.map((key, n) => world.message(key, { key: n, n: 1 }))
    await world.publish(transport, messages)
    const consumer = consume(world, transport)
    await until('all arrived', () => consumer.received.length >= keys.length)
    const byId = new Map(consumer.received.map((one) => [one.id, one]))
    for (const sent of messages)
      expect(byId.get(sent.id)).toMatchObject({ key: sent.key, headers: { 'ce-subject': sent.headers['ce-subject'] } })
    await consumer.stop()
  })

  it.skipIf(capabilities.content !== 'bytes')('keeps keys with bytes that texts do not have', async () => {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    const keys = ['\u0000', 'a\u0000b', '\u007f\u0085', '\ufeffa']
    await world.publish(
      transport,
      keys.map((key) => {
        const message = world.message(key, null)
        return { ...message, headers: { ...message.headers, 'x-odd': `a\u0001${key.length}` } }
      }),
    )
    const [lane] = await firstLanes(world, transport, 1)
    const got = lane && (await takeExactly(lane, keys.length))
    expect(got?.map(({ key }) => key)).toEqual(keys)
    expect(got?.map(({ headers }) => headers['x-odd'])).toEqual(keys.map((key) => `a\u0001${key.length}`))
  })

  it('carries a big body whole', async () => {
    const world = createWorld(setup)
    const transport = await world.open()
    const text = randomBytes((setup.bigBytes ?? 1024 * 1024) / 2 - 16).toString('hex')
    await world.publish(transport, [world.message('s/1', text)])
    const consumer = consume(world, transport)
    await until('it arrives', () => consumer.received.length === 1)
    expect(JSON.parse(Buffer.from(consumer.received[0]?.body ?? []).toString()) === text).toBe(true)
    await consumer.stop()
  })

  it.skipIf(capabilities.content !== 'bytes')('carries bytes that are no text, and no bytes at all', async () => {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    const bodies = [Uint8Array.from({ length: 256 }, (_, i) => i), new Uint8Array(0)]
    await world.publish(
      transport,
      bodies.map((body) => world.message('s/1', null, { body })),
    )
    const [lane] = await firstLanes(world, transport, 1)
    const got = lane && (await takeExactly(lane, 2))
    expect(got?.map(({ body }) => [...body])).toEqual(bodies.map((body) => [...body]))
  })

  it.skipIf(!capabilities.deduplicates)(
    'calls an id that it stored before a duplicate, and hands it out once',
    async () => {
      const world = createWorld(setup, 1)
      const transport = await world.open()
      const messages = world.messages(3, 1)
      await world.publish(transport, messages)
      const again = await transport.publish(world.topic, messages.slice(0, 2), AbortSignal.timeout(5_000))
      expect(again.map(({ state }) => state)).toEqual(['duplicate', 'duplicate'])
      const last = world.message('s/0', { key: 0, n: 4 })
      await world.publish(transport, [last])
      const [lane] = await firstLanes(world, transport, 1)
      expect(lane && idsOf(await takeExactly(lane, 4))).toEqual(idsOf([...messages, last]))
    },
  )

  it.skipIf(!capabilities.durable)('stores a prefix only: nothing of a lane after what it refused', async () => {
    const world = createWorld(setup, 1)
    const transport = await world.open()
    const spoil = means(setup, 'spoil')
    const messages = world.messages(5, 1).map((message, i) => (i === 2 ? spoil(message) : message))
    // Without a group there is nobody to store it for, where there is no history.
    await world.publish(transport, [])
    const results = await transport.publish(world.topic, messages, AbortSignal.timeout(15_000))
    const stored = results.findIndex(({ state }) => state !== 'stored')
    expect(stored).toBeLessThanOrEqual(2)
    expect(results.slice(stored).map(({ state }) => state)).not.toContain('stored')
    const last = world.message('s/0', { key: 0, n: 9 })
    // Some servers close the connection over what is too big for them.
    await until('what is small is taken again', async () => {
      const [result] = await transport.publish(world.topic, [last], AbortSignal.timeout(5_000))
      return result?.state === 'stored'
    })
    const [lane] = await firstLanes(world, transport, 1)
    const taken: string[] = []
    while (lane && !taken.includes(last.id)) taken.push(...idsOf(await takeExactly(lane, 1)))
    // A server that closed the connection may have stored what it had not confirmed yet: a longer prefix, and once more when it is sent again.
    const ids = capabilities.deduplicates ? taken : [...new Set(taken)]
    expect(ids.length).toBeGreaterThan(stored)
    expect(ids).toEqual(idsOf([...messages.slice(0, Math.min(ids.length - 1, 2)), last]))
  })
}
