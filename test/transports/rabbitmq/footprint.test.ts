import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { compareFacts } from '../../../src/commands/tail/prove.ts'
import { openRabbit } from '../../../src/transports/rabbitmq/index.ts'
import { findRabbit } from '../../setup/broker-binaries.ts'
import { type PrivateRabbit, startPrivateRabbit } from '../../setup/private-rabbitmq.ts'
import { until } from '../../setup/until.ts'

const soon = { withinMs: 15_000 }

describe.skipIf(findRabbit() === undefined)('what a reader could leave in RabbitMQ', () => {
  let server: PrivateRabbit
  beforeAll(async () => {
    server = await startPrivateRabbit({ management: true })
  })
  afterAll(() => server?.stop())

  async function open(parameters = '') {
    const transport = await openRabbit(`${server.url}${parameters}`)
    onTestFinished(() => transport.close())
    return transport
  }

  it('is every queue, consumer and binding of the vhost, where the management API is named', async () => {
    const asker = await open(`?management=${encodeURIComponent(server.managementUrl ?? '')}`)
    const reader = await open()
    const topic = `footprint-${randomUUID().slice(0, 8)}`
    await reader.ensure([{ name: topic, lanes: 1 }], 'create')
    const facts = async () => (await asker.footprint?.([topic])) ?? {}
    const before = await facts()
    expect(before[`topic ${topic}`]).toBe('lanes')

    const stopping = new AbortController()
    const selector = { topics: [topic], patterns: ['*'] }
    const observing = (async () => {
      for await (const _ of reader.observe(selector, { from: 'now', follow: true, signal: stopping.signal })) break
    })()
    // While it reads, its private queue is there, with a binding and a consumer.
    const found = await until(async () => {
      const { changed } = compareFacts(before, await facts())
      const isThere = (what: string) => changed.some((one) => one.startsWith(what))
      return ['queue', 'consumer', 'binding'].every(isThere) ? changed : undefined
    }, soon)
    expect(found.every((one) => one.includes('is new'))).toBe(true)
    stopping.abort()
    await observing
    await until(async () => compareFacts(before, await facts()).changed.length === 0, soon)

    // A message that somebody leaves behind, too; its queue was not there before.
    await reader.join?.([topic], 'g', {
      ...{
        prefetch: 1,
        patterns: ['*'],
        start: 'earliest',
        lanes: 1,
        member: 'm',
        signal: AbortSignal.timeout(10_000),
      },
    })
    const joined = await facts()
    const message = { id: 'a', key: null, headers: { 'ce-type': 'a.b' }, body: Buffer.from('{}') }
    await reader.publish(topic, [message], AbortSignal.timeout(5_000))
    const moved = await until(async () => {
      const { moved, changed } = compareFacts(joined, await facts())
      expect(changed).toEqual([])
      return moved.length > 0 ? moved : undefined
    }, soon)
    expect(moved[0]).toMatch(/0 ready, 0 unacknowledged → \w+, 1 ready, 0 unacknowledged$/)
  })

  it('says what was not asked, where it is not named', async () => {
    const transport = await open()
    const facts = await transport.footprint?.(['nothing-here'])
    expect(facts).toMatchObject({
      'other queues, bindings and what consumers hold': expect.stringMatching(/management/),
    })
  })

  it('is every queue that evt made for the topic, where the management API is not named', async () => {
    const transport = await open()
    const topic = `footprint-${randomUUID().slice(0, 8)}`
    await transport.ensure([{ name: topic, lanes: 1 }], 'create')
    const signal = AbortSignal.timeout(10_000)
    await transport.join?.([topic], 'g', {
      prefetch: 1,
      patterns: [],
      start: 'earliest',
      lanes: 1,
      member: 'm',
      signal,
    })
    const made = (await server.ctl('list_queues', '--silent', 'name'))
      .split('\n')
      .filter((name) => name.startsWith(topic))
    const facts = Object.keys((await transport.footprint?.([topic])) ?? {})
    const told = facts.flatMap((fact) => (fact.startsWith('queue ') ? [fact.slice(6)] : []))
    expect(told).toEqual(expect.arrayContaining(made))
    expect(made).toContain(`${topic}/g/0/started`)
  })
})
