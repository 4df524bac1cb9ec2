import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { EvtError } from '../../src/core/errors.ts'
import type { NewEvent } from '../../src/core/event.ts'
import { planTopics } from '../../src/core/layout.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { publishAll } from '../../src/publish/publish-all.ts'
import { createTransportPublisher, type TransportPublisherOptions } from '../../src/publish/transport-publisher.ts'
import type { Message, Published, Transport } from '../../src/transports/transport.ts'
import { until } from '../setup/until.ts'

type Publish = (batch: readonly Message[]) => readonly Published[] | Promise<readonly Published[]>

/** A broker that answers as the test says, and keeps what it stored. */
function brokerOf(answer: Publish = (batch) => batch.map(() => ({ state: 'stored' }))) {
  const stored: Message[] = []
  const batches: number[] = []
  const made: string[] = []
  const transport: Pick<Transport, 'publish' | 'ensure'> = {
    async ensure(topics) {
      made.push(...topics.map(({ name }) => name))
      return []
    },
    async publish(_topic, batch) {
      batches.push(batch.length)
      const results = await answer(batch)
      stored.push(...batch.filter((_, at) => results[at]?.state === 'stored'))
      return results
    },
  }
  return { transport, stored, batches, made, ids: () => stored.map(({ id }) => id) }
}

function publisherOn(transport: TransportPublisherOptions['transport'], more: Partial<TransportPublisherOptions> = {}) {
  const errors: [string, unknown][] = []
  const publisher = createTransportPublisher({
    transport,
    plan: planTopics({}),
    registry: createRegistry([]),
    source: 'test',
    onError: (error, event) => errors.push([error.message, event]),
    ...more,
  })
  return { publisher, errors }
}

const events = (count: number): NewEvent[] =>
  Array.from({ length: count }, (_, n) => ({ id: `e-${n}`, type: 'a.b', subject: 's/1', data: { n } }))
const unknown = (): Published => ({ state: 'unknown', error: new EvtError('connect', 'away') })
const refused = (why: string): Published => ({ state: 'refused', error: new EvtError('refused', why) })

describe('publishing to a transport', () => {
  it('resolves to what became of the event, in batches, in order', async () => {
    const broker = brokerOf()
    const { publisher } = publisherOn(broker.transport)
    const outcomes = await Promise.all(events(1_200).map(publisher.publish))
    expect(outcomes.every(({ state }) => state === 'stored')).toBe(true)
    expect(broker.ids()).toEqual(events(1_200).map(({ id }) => id))
    expect(broker.batches.length).toBeLessThanOrEqual(4)
    expect(broker.stored[0]).toMatchObject({ key: 's/1', headers: { 'ce-type': 'a.b', 'ce-source': 'test' } })
    expect(publisher.pending).toBe(0)
  })

  it('never throws: no event, no JSON, a contract that is broken, too large, a listener that throws', async () => {
    const broker = brokerOf()
    const contract = defineEvent('a.checked', { 1: z.object({ n: z.number() }) })
    const { publisher } = publisherOn(broker.transport, {
      registry: createRegistry([contract]),
      maxBytes: 100,
      onError() {
        throw new Error('a listener')
      },
    })
    const bad = [
      null,
      'text',
      { type: '', data: 1 },
      { type: 'a.b', data: 1n },
      { type: 'a.checked', data: { n: 'x' } },
      { type: 'a.b', data: 'x'.repeat(200) },
    ]
    const outcomes = await Promise.all(bad.map((event) => publisher.publish(event as NewEvent)))
    expect(outcomes.map(({ state }) => state)).toEqual(bad.map(() => 'refused'))
    expect(broker.stored).toEqual([])
    expect((await publisher.publish({ type: 'a.unchecked', data: {} })).state).toBe('stored')
  })

  it('sends again what was not answered, in order, the same bytes', async () => {
    let failures = 3
    const sent: Uint8Array[] = []
    const broker = brokerOf((batch) => {
      sent.push(...batch.map(({ body }) => body))
      if (failures-- > 0) return batch.map((_, at) => (at < 2 && failures === 2 ? { state: 'stored' } : unknown()))
      return batch.map(() => ({ state: 'stored' }))
    })
    const { publisher, errors } = publisherOn(broker.transport)
    const outcomes = await Promise.all(events(5).map(publisher.publish))
    expect(outcomes.map(({ state }) => state)).toEqual(Array(5).fill('stored'))
    expect(broker.ids()).toEqual(['e-0', 'e-1', 'e-2', 'e-3', 'e-4'])
    expect(errors).toEqual([])
    expect(new Set(sent.slice(2).map((body) => body.toString())).size).toBe(3)
  })

  it('sends again what a server that is away has refused', async () => {
    let failures = 2
    const away = (): Published => ({ state: 'refused', error: new EvtError('connect', 'away') })
    const broker = brokerOf((batch) => batch.map(() => (failures > 0 ? away() : { state: 'stored' })))
    const { publisher, errors } = publisherOn({
      ...broker.transport,
      publish: (...args) => broker.transport.publish(...args).finally(() => failures--),
    })
    const outcomes = await Promise.all(events(20).map(publisher.publish))
    expect(outcomes.every(({ state }) => state === 'stored')).toBe(true)
    expect(errors).toEqual([])
  })

  it('gives up after its time: unknown, told to the listener', async () => {
    const broker = brokerOf((batch) => batch.map(unknown))
    const { publisher, errors } = publisherOn(broker.transport, { publish: { timeout: '100ms' } })
    const [outcome] = await Promise.all(events(1).map(publisher.publish))
    expect(outcome).toMatchObject({ state: 'unknown', id: 'e-0', error: { code: 'connect' } })
    expect(errors).toHaveLength(1)
  })

  it('lets one that is refused take no other along', async () => {
    const broker = brokerOf((batch) => {
      const at = batch.findIndex(({ id }) => id === 'e-2')
      return batch.map((_, n) => (at < 0 || n < at ? { state: 'stored' } : refused(n === at ? 'poison' : 'behind it')))
    })
    const { publisher, errors } = publisherOn(broker.transport)
    const outcomes = await Promise.all(events(6).map(publisher.publish))
    expect(outcomes.map(({ state }) => state)).toEqual(['stored', 'stored', 'refused', 'stored', 'stored', 'stored'])
    expect(broker.ids()).toEqual(['e-0', 'e-1', 'e-3', 'e-4', 'e-5'])
    expect(errors.map(([message]) => message)).toEqual(['poison'])
  })

  it('takes no other along however many are refused, and the others are in batches again', async () => {
    const isBad = ({ id }: Message) => Number(id.slice(2)) % 7 === 0 && Number(id.slice(2)) < 210
    const poison = (): Published => ({ state: 'refused', error: new EvtError('too-large', 'poison') })
    const broker = brokerOf((batch) => {
      const at = batch.findIndex(isBad)
      return batch.map((_, n) => (at < 0 || n < at ? { state: 'stored' } : n === at ? poison() : refused('behind it')))
    })
    const { publisher, errors } = publisherOn(broker.transport)
    const outcomes = await Promise.all(events(1_000).map(publisher.publish))
    const bad = events(1_000).filter(({ id = '' }) => isBad({ id } as Message)).length
    expect([outcomes.filter(({ state }) => state === 'stored').length, errors.length]).toEqual([1_000 - bad, bad])
    expect(errors.every(([message]) => message === 'poison')).toBe(true)
    expect(broker.batches.length).toBeLessThan(200)
    const ids = broker.ids().map((id) => Number(id.slice(2)))
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
  })

  it('answers each of many that a broker refuses, in bounded time', async () => {
    const broker = brokerOf((batch) => batch.map(() => refused('no permission')))
    const { publisher, errors } = publisherOn(broker.transport)
    const outcomes = await Promise.all(events(300).map(publisher.publish))
    expect(outcomes.every(({ state }) => state === 'refused')).toBe(true)
    expect(errors).toHaveLength(300)
    expect(broker.batches.length).toBeLessThan(20)
  })

  it('is bounded: what would pass the bound is refused, and the rest is not lost', async () => {
    const gate = Promise.withResolvers<void>()
    const broker = brokerOf(async (batch) => {
      await gate.promise
      return batch.map(() => ({ state: 'stored' }))
    })
    const { publisher } = publisherOn(broker.transport, { publish: { most: { events: 100 } } })
    const all = events(150).map(publisher.publish)
    expect(publisher.pending).toBe(100)
    gate.resolve()
    const states = (await Promise.all(all)).map(({ state }) => state)
    expect(states.filter((state) => state === 'stored')).toHaveLength(100)
    expect(states.slice(100).every((state) => state === 'refused')).toBe(true)
  })

  it('pulls a source no faster than the broker confirms', async () => {
    const broker = brokerOf(async (batch) => {
      await delay(1)
      return batch.map(() => ({ state: 'stored' }))
    })
    const { publisher } = publisherOn(broker.transport)
    let [pulled, most] = [0, 0]
    function* source() {
      for (const event of events(10_000)) {
        pulled++
        most = Math.max(most, pulled - broker.stored.length)
        yield event
      }
    }
    expect(await publishAll(source(), publisher.publish)).toEqual({ published: 10_000, failed: [] })
    expect(most).toBeLessThanOrEqual(2_001)
  })

  it('flushes and closes without losing anything; after the grace the rest is unknown', async () => {
    const slow = brokerOf(async (batch) => {
      await delay(20)
      return batch.map(() => ({ state: 'stored' }))
    })
    const { publisher } = publisherOn(slow.transport)
    const all = events(2_000).map(publisher.publish)
    await publisher.flush()
    expect(slow.stored).toHaveLength(2_000)
    await publisher.close()
    expect((await Promise.all(all)).every(({ state }) => state === 'stored')).toBe(true)
    expect(await publisher.publish({ type: 'a.b', data: 1 })).toMatchObject({
      state: 'refused',
      error: { code: 'closed' },
    })

    const away = publisherOn(brokerOf((batch) => batch.map(unknown)).transport)
    const left = away.publisher.publish({ type: 'a.b', data: 1 })
    const closing = away.publisher.close({ graceMs: 50 })
    expect((await left).state).toBe('unknown')
    await closing
  })

  it('makes the topic of a type before its first event', async () => {
    const broker = brokerOf()
    const { publisher } = publisherOn(broker.transport, { plan: planTopics({ layout: 'per-type', prefix: 'events:' }) })
    await Promise.all(['a.b', 'a.c', 'a.b'].map((type) => publisher.publish({ type, data: 1 })))
    await until(() => broker.stored.length === 3)
    expect(broker.made.toSorted()).toEqual(['events:a.b', 'events:a.c'])
  })
})
