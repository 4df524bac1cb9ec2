// The document of the typed event system: its own examples and promises, where no other test holds them (see map/5-typed-events.ts).
import { describe, expect, it } from 'vitest'
import { encodeAs } from '../../src/core/codec/encode-as.ts'
import { decodeAny, encodeEvent } from '../../src/core/codec.ts'
import { compilePatterns } from '../../src/core/pattern.ts'
import { createRegistry, type EvtEvent, type NewEvent } from '../../src/index.ts'
import * as contracts from '../../src/services/validation/contracts.ts'
import { createTestBus, waitForEvents } from '../../src/testing.ts'
import { examples } from './examples.ts'

const registry = createRegistry(contracts.contracts)
const read = (name: string): EvtEvent => {
  const example = examples.find(({ file }) => file === `${name}.json`)
  return decodeAny(JSON.stringify(example?.event), { topic: 'x', time: '2026-01-02T03:04:05.678Z', id: 'p' }).event
}

/** What the document prints as its naming convention. */
const named = [
  ...['validation.started', 'validation.phase.completed', 'validation.error.occurred'],
  ...['performance.metric.recorded', 'performance.phase.start', 'performance.operation.complete'],
]

describe('typed events', () => {
  it('of every name in the document have a contract', () => {
    expect(named.filter((type) => registry.get(type) === undefined)).toEqual([])
  })

  it('have no field of any kind: what a contract does not know as it is typed is refused', () => {
    const wrong = {
      type: 'performance.phase.start',
      data: { contextId: 'c', operation: 'x', durationMs: 'long', status: 'started' },
    }
    const event = {
      id: 'e',
      version: 2,
      source: 's',
      time: '2026-01-02T00:00:00.000Z',
      priority: 'normal',
      metadata: {},
      ...wrong,
    }
    expect(() => registry.validate(event as EvtEvent)).toThrow(/data\.durationMs/)
  })

  it.each([
    'typed-events-metric-recorded',
    'typed-events-phase-start-validation',
    'typed-events-phase-start-monitoring',
  ])('as the document has them fit version 1, and are what the coordinator says in version 2: %s', (name) => {
    const event = read(name)
    registry.validate(event)
    const now = registry.migrate(event, 2)
    expect(now.data).toMatchObject({ contextId: 'ctx-1', fieldPath: 'user.address.zip', status: expect.any(String) })
  })

  it('are written as JSON and read back as they were', () => {
    const event = read('typed-events-metric-recorded')
    const { body, headers } = encodeAs('typed-events', event)
    expect(decodeAny(body, { topic: 'x', time: event.time, id: 'y', headers }).event).toEqual(event)
    const { dataText, checksum } = encodeEvent(event)
    expect(JSON.parse(dataText)).toEqual(event.data)
    expect(checksum).toHaveLength(64)
  })

  it('cannot be changed where somebody else handles them', async () => {
    const bus = await createTestBus({ registry })
    try {
      const metric: NewEvent = {
        type: 'performance.metric.recorded',
        data: { contextId: 'c', operation: 'x', durationMs: 1, status: 'completed' },
      }
      await bus.subscribe('performance.**', (event) => {
        Object.assign(event.data as object, { operation: 'changed' })
      })
      const waiting = waitForEvents(bus, contracts.metricRecorded, { count: 1 })
      await bus.publish(metric)
      expect((await waiting)[0]?.data.operation).toBe('x')
    } finally {
      await bus.stop()
    }
  })
})

describe('patterns', () => {
  const types = [
    ...named,
    'validation.completed',
    'validation.failed',
    'validation.phase.failed',
    'system.health.reported',
    'system.error.raised',
  ]
  const matching = (...patterns: string[]) => types.filter(compilePatterns(patterns).matches)

  it('of the four categories find their events', () => {
    expect(matching('*.started', '*.completed', '*.failed')).toEqual([
      ...['validation.started', 'validation.phase.completed', 'validation.completed', 'validation.failed'],
      'validation.phase.failed',
    ])
    expect(matching('performance.metric.*', 'performance.phase.*')).toEqual([
      'performance.metric.recorded',
      'performance.phase.start',
    ])
    expect(matching('validation.*')).toContain('validation.phase.completed')
    expect(matching('validation.phase.*')).toEqual(['validation.phase.completed', 'validation.phase.failed'])
    expect(matching('system.health.*', 'system.error.*')).toEqual(['system.health.reported', 'system.error.raised'])
    expect(matching('*.error.*')).toEqual(['validation.error.occurred', 'system.error.raised'])
  })
})
