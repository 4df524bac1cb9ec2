import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openRedis } from '../../../src/transports/redis/index.ts'
import { describeWith, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../../setup/until.ts'
import { consume } from './consuming.ts'

describeWith('redis', 'a consumer that is there before its topic', () => {
  it('gets all that is in the lanes of the topic, which another process makes later', async () => {
    const url = await serverUrl('redis')
    const topic = `late-${randomUUID().slice(0, 8)}`
    const open = async () => {
      const transport = await openRedis(url)
      onTestFinished(() => transport.close())
      return transport
    }
    const consumer = consume(await open(), 'g', { topics: [topic], start: 'latest' })
    // It has its place in a stream of that name, which nobody will write to.
    await until(() => consumer.owned.length === 1)
    const other = await open()
    await other.ensure([{ name: topic, lanes: 8 }], 'create')
    const messages = Array.from({ length: 100 }, (_, n) => ({
      ...{ id: `m${n}`, key: `k${n}`, headers: {}, body: Buffer.from(`{"n":${n}}`) },
    }))
    await other.publish(topic, messages, AbortSignal.timeout(5_000))
    await until(() => consumer.ids().size === 100, { withinMs: 10_000 })
    expect(consumer.received).toHaveLength(100)
    await consumer.stop()
  })
})
