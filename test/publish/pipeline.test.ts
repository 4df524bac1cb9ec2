import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { checksumOf } from '../../src/core/checksum.ts'
import { fromHeaders } from '../../src/core/codec/headers.ts'
import { decodeAny } from '../../src/core/codec.ts'
import { EvtError } from '../../src/core/errors.ts'
import type { NewEvent } from '../../src/core/event.ts'
import { planTopics } from '../../src/core/layout.ts'
import type { PublishOptions } from '../../src/core/publish-options.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createTransportPublisher } from '../../src/publish/transport-publisher.ts'
import type { Burial, Message, Published } from '../../src/transports/transport.ts'
import { until } from '../setup/until.ts'

interface Broker {
  answer?: (batch: readonly Message[]) => readonly Published[] | Promise<readonly Published[]>
}

function open(
  publish: PublishOptions = {},
  { answer = (batch) => batch.map(() => ({ state: 'stored' })) }: Broker = {},
) {
  const stored: Message[] = []
  const batches: number[] = []
  const buried: Burial[] = []
  const errors: string[] = []
  const transport = {
    ensure: async () => [],
    async publish(_topic: string, batch: readonly Message[]) {
      batches.push(batch.length)
      const results = await answer(batch)
      stored.push(...batch.filter((_, at) => results[at]?.state === 'stored'))
      return results
    },
    deadLetters: {
      async bury(_topic: string, burials: readonly Burial[]) {
        buried.push(...burials)
        return burials.map(() => ({ state: 'stored' as const }))
      },
    },
  }
  const publisher = createTransportPublisher({
    transport: transport as never,
    plan: planTopics({}),
    registry: createRegistry([]),
    source: 'test',
    onError: ({ message }) => void errors.push(message),
    publish,
  })
  return { publisher, stored, batches, buried, errors, ids: () => stored.map(({ id }) => id) }
}

const event = (n: number, more: Partial<NewEvent> = {}): NewEvent => ({
  id: `e-${n}`,
  type: 'a.b',
  data: { n },
  ...more,
})
const numbered = (n: number, sequence: number) => event(n, { subject: 's', sequence })
const gated = () => {
  const gate = Promise.withResolvers<void>()
  const answer = async (batch: readonly Message[]): Promise<readonly Published[]> => {
    await gate.promise
    return batch.map(() => ({ state: 'stored' }))
  }
  return { answer, gate }
}

describe('the duplicate window', () => {
  it('publishes an id once, also while the first is on its way, and all know what became of it', async () => {
    const { answer, gate } = gated()
    const { publisher, ids } = open({}, { answer })
    const both = [publisher.publish(event(1)), publisher.publish(event(1))]
    gate.resolve()
    expect((await Promise.all(both)).map(({ state }) => state)).toEqual(['stored', 'duplicate'])
    expect((await publisher.publish(event(1))).state).toBe('duplicate')
    expect(ids()).toEqual(['e-1'])
    expect(publisher.stats().duplicated).toBe(2)
  })

  it('lets an event come again that was not published', async () => {
    let fails = true
    const unknown = (): Published => ({ state: 'unknown', error: new EvtError('connect', 'away') })
    const { publisher } = open(
      { timeout: '1ms', retry: { initial: '1ms', max: '1ms' } },
      { answer: (batch) => batch.map(() => (fails ? unknown() : { state: 'stored' })) },
    )
    expect((await publisher.publish(event(1))).state).toBe('unknown')
    fails = false
    expect((await publisher.publish(event(1))).state).toBe('stored')
  })

  it('forgets after its window and beyond its count', async () => {
    const short = open({ duplicates: { window: '1ms' } })
    await short.publisher.publish(event(1))
    await delay(5)
    expect((await short.publisher.publish(event(1))).state).toBe('stored')
    const small = open({ duplicates: { count: 2 } })
    for (const n of [1, 2, 3, 1]) expect((await small.publisher.publish(event(n))).state).toBe('stored')
    expect((await small.publisher.publish(event(3))).state).toBe('duplicate')
  })

  it('knows the same content under other ids, when asked, and can be switched off', async () => {
    const byContent = open({ duplicates: { by: 'content' } })
    const { id: _, ...plain } = event(1)
    expect((await byContent.publisher.publish(plain)).state).toBe('stored')
    expect((await byContent.publisher.publish({ ...plain })).state).toBe('duplicate')
    expect((await byContent.publisher.publish({ ...plain, subject: 'other' })).state).toBe('stored')
    const off = open({ duplicates: false })
    await off.publisher.publish(event(1))
    expect((await off.publisher.publish(event(1))).state).toBe('stored')
  })

  it('refuses other data under a known id, and keeps it as a dead letter', async () => {
    const { publisher, buried } = open()
    await publisher.publish(event(1))
    expect(await publisher.publish(event(1, { data: { n: 2 } }))).toMatchObject({
      state: 'refused',
      isDeadLetter: true,
      error: { code: 'conflict' },
    })
    expect(buried).toMatchObject([{ message: { id: 'e-1' }, group: 'publisher.test', error: { class: 'EvtError' } }])
  })
})

describe('sequence numbers of a subject', () => {
  it('refuses what is late, and counts gaps that it skips', async () => {
    const { publisher, ids } = open({ sequence: { gaps: 'skip' } })
    const outcomes = await Promise.all(
      [numbered(1, 1), numbered(2, 2), numbered(5, 5), numbered(3, 3)].map(publisher.publish),
    )
    expect(outcomes.map(({ state }) => state)).toEqual(['stored', 'stored', 'stored', 'refused'])
    expect(ids()).toEqual(['e-1', 'e-2', 'e-5'])
    expect(publisher.stats()).toMatchObject({ sequenceGaps: 1, sequenceLate: 1, dead: 1 })
  })

  it('waits for what is missing, and goes on in order', async () => {
    const { publisher, ids } = open({ sequence: { gaps: 'wait', wait: '60s' } })
    const some = [1, 4, 3, 2, 5].map((n) => publisher.publish(numbered(n, n)))
    expect((await Promise.all(some)).every(({ state }) => state === 'stored')).toBe(true)
    expect(ids()).toEqual(['e-1', 'e-2', 'e-3', 'e-4', 'e-5'])
    expect(publisher.stats().sequenceGaps).toBe(0)
  })

  it('waits no longer than it was told, and close waits for nothing', async () => {
    const patient = open({ sequence: { gaps: 'wait', wait: '5ms' } })
    await Promise.all([1, 4, 3].map((n) => patient.publisher.publish(numbered(n, n))))
    expect(patient.ids()).toEqual(['e-1', 'e-3', 'e-4'])
    expect(patient.publisher.stats().sequenceGaps).toBe(1)
    const closing = open({ sequence: { gaps: 'wait', wait: '60s' } })
    const held = [1, 3].map((n) => closing.publisher.publish(numbered(n, n)))
    await closing.publisher.close()
    expect((await Promise.all(held)).map(({ state }) => state)).toEqual(['stored', 'stored'])
  })

  it('makes dead letters of what comes after a gap, when asked', async () => {
    const { publisher, buried, ids } = open({ sequence: { gaps: 'dead-letter' } })
    await Promise.all([numbered(1, 1), numbered(3, 3), numbered(2, 2)].map(publisher.publish))
    expect(ids()).toEqual(['e-1', 'e-2'])
    expect(buried.map(({ message }) => message.id)).toEqual(['e-3'])
  })

  it('takes the next number as it comes when one was not published after all', async () => {
    let fails = true
    const answer = (batch: readonly Message[]) =>
      batch.map(
        (): Published => (fails ? { state: 'refused', error: new EvtError('refused', 'no') } : { state: 'stored' }),
      )
    const { publisher } = open({ sequence: { gaps: 'dead-letter' } }, { answer })
    await publisher.publish(numbered(1, 1))
    fails = false
    expect((await publisher.publish(numbered(11, 1))).state).toBe('stored')
  })
})

describe('rate, priorities and batches', () => {
  it('lets no more out than the rate, and critical events before all others', async () => {
    const { publisher, ids } = open({ rate: '100/s', burst: 5, bypass: '100/s', batch: { size: 10 } })
    const normal = Array.from({ length: 30 }, (_, n) => publisher.publish(event(n)))
    await until(() => ids().length >= 5)
    const urgent = publisher.publish(event(100, { priority: 'critical' }))
    expect((await urgent).state).toBe('stored')
    expect(ids().length).toBeLessThan(30)
    await Promise.all(normal)
    expect(ids()).toHaveLength(31)
    expect(publisher.stats().bypassed).toBeGreaterThanOrEqual(0)
    expect(publisher.stats().rateLimited).toBeGreaterThanOrEqual(20)
  })

  it('counts what passes beyond the rate, and a flood of it waits as everybody', async () => {
    const { publisher, ids } = open({ rate: '1/s', burst: 1, bypass: '3/s' })
    const flood = Array.from({ length: 50 }, (_, n) => publisher.publish(event(n, { priority: 'critical' })))
    await until(() => ids().length >= 4)
    expect(publisher.stats().bypassed).toBeGreaterThanOrEqual(3)
    expect(ids().length).toBeLessThan(40)
    await publisher.close({ graceMs: 1 })
    const outcomes = await Promise.all(flood)
    expect(outcomes.filter(({ state }) => state === 'stored')).toHaveLength(ids().length)
    expect(outcomes.every(({ state }) => state !== 'unknown')).toBe(true)
  })

  it('sends by priority what waits for a slow broker, and each subject in its order', async () => {
    const { answer, gate } = gated()
    const { publisher, ids } = open({ batch: { size: 1 } }, { answer })
    const all = [
      event(0),
      event(1, { priority: 'low' }),
      event(2, { priority: 'low', subject: 's' }),
      event(3, { priority: 'high' }),
      event(4, { priority: 'critical', subject: 's' }),
    ].map(publisher.publish)
    gate.resolve()
    await Promise.all(all)
    expect(ids().filter((id) => id === 'e-2' || id === 'e-4')).toEqual(['e-2', 'e-4'])
    expect(ids().indexOf('e-4')).toBeLessThan(ids().indexOf('e-1'))
    expect(ids().indexOf('e-3')).toBeLessThan(ids().indexOf('e-1'))
  })

  it('a batch waits to become fuller, and a flush does not', async () => {
    const { publisher, batches } = open({ batch: { size: 10, wait: '60s' } })
    const some = Array.from({ length: 10 }, (_, n) => publisher.publish(event(n)))
    await Promise.all(some)
    expect(batches).toEqual([10])
    const few = [publisher.publish(event(11)), publisher.publish(event(12))]
    await publisher.flush()
    expect((await Promise.all(few)).every(({ state }) => state === 'stored')).toBe(true)
    expect(batches).toEqual([10, 2])
  })

  it('a burst of 100,000 is bounded by bytes and by events, and refuses the rest', async () => {
    const { answer, gate } = gated()
    const { publisher } = open({ most: { events: '50k', bytes: '300kB' } }, { answer })
    const outcomes = Array.from({ length: 100_000 }, (_, n) => publisher.publish(event(n)))
    expect(publisher.stats().queuedBytes).toBeLessThanOrEqual(300_100)
    expect(publisher.pending).toBeLessThanOrEqual(50_000)
    gate.resolve()
    const states = (await Promise.all(outcomes)).map(({ state }) => state)
    const stored = states.filter((state) => state === 'stored').length
    expect(publisher.stats()).toMatchObject({ published: stored, refused: 100_000 - stored, queued: 0, queuedBytes: 0 })
  })
})

describe('what a transport cannot', () => {
  it('refuses deliverAt with what to do instead', async () => {
    const { publisher } = open()
    const outcome = await publisher.publish(event(1, { deliverAt: new Date().toISOString() }))
    expect(outcome).toMatchObject({
      state: 'refused',
      error: { code: 'unsupported', hint: expect.stringContaining('createPublisher') },
    })
  })
})

describe('compression', () => {
  const text = 'the same again, '.repeat(100)

  it('makes big data smaller on the wire, and every reader gets what was published', async () => {
    const { publisher, stored } = open({ compress: '1kB' })
    await publisher.publish(event(1, { data: { text } }))
    await publisher.publish(event(2))
    const [big, small] = stored as [Message, Message]
    expect(big.body.length).toBeLessThan(200)
    expect(big.headers['ce-datacontentencoding']).toBe('gzip')
    expect(big.headers['ce-checksum']).toBe(checksumOf(JSON.stringify({ text })))
    expect(small.headers).not.toHaveProperty('ce-datacontentencoding')
    const read = fromHeaders(big.headers, big.body, { verify: true })
    expect([read.data, read.metadata]).toEqual([{ text }, {}])
    expect(decodeAny(big.body, { headers: big.headers })).toMatchObject({
      dialect: 'cloudevents',
      dataText: JSON.stringify({ text }),
    })
    expect(publisher.stats().compressed).toBe(1)
  })

  it('says what is wrong with a body that is no gzip, and leaves other encodings alone', () => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': '1',
      'ce-type': 'a.b',
      'ce-source': 's',
      'ce-time': '2026-01-01T00:00:00Z',
    }
    const broken = { ...headers, 'ce-datacontentencoding': 'gzip' }
    expect(() => fromHeaders(broken, Buffer.from('{}'))).toThrow(/no gzip/)
    expect(decodeAny(Buffer.from('{}'), { headers: broken })).toMatchObject({
      dialect: 'unknown',
      problem: { code: 'decode' },
    })
    const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024))
    expect(() => fromHeaders(broken, bomb)).toThrow(/64 MiB/)
    const other = fromHeaders({ ...headers, 'ce-datacontentencoding': 'base64' }, Buffer.from('{}'))
    expect(other.metadata).toEqual({ datacontentencoding: 'base64' })
  })
})
